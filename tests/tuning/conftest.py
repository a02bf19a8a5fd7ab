from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def _kernels_are_compiled() -> None:
    """What is compiled for the first time says so on standard error, where tests look for errors."""
    from nn import MLP, load_dataset, train

    train(MLP((4, 3)), load_dataset("iris").split(), epochs=2)
