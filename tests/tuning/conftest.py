from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def _kernels_are_compiled() -> None:
    """What is compiled for the first time says so on standard error, where tests look for errors."""
    from nn import MLP, load_dataset, train

    train(MLP((4, 3)), load_dataset("iris").split(), epochs=2)


@pytest.fixture(autouse=True)
def _ctrl_c_is_heard() -> Iterator[None]:
    """Also where the tests run in the background, whose processes are started deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
