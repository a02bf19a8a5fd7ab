"""200 steps that PyTorch took in float64, taken again. The recording is made by scripts/records/record_torch.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nn import MLP, SGD, Adam, AdamW, Dataset, RMSprop, train
from nn.optimizers import OPTIMIZERS, Optimizer

with np.load(Path(__file__).with_name("torch_replay.npz"), allow_pickle=False) as _file:
    RECORD = {name: _file[name] for name in _file.files}
ABOUT = json.loads(str(RECORD["about"]))
TASKS = {"classes": "classification", "binary": "classification", "labels": "multilabel", "values": "regression"}


def optimizer_of(options: dict[str, Any]) -> tuple[Optimizer, float]:
    """Our optimizer, and the L2 penalty that goes through the gradient."""
    rate, penalty = options["lr"], options.get("penalty", 0.0)
    if options["kind"] == "SGD":
        return SGD(rate, options.get("momentum", 0.0), options.get("nesterov", False)), penalty
    if options["kind"] == "AdamW":
        return AdamW(rate, weight_decay=penalty), 0.0
    epsilon = options.get("eps", 1e-8)
    if options["kind"] == "RMSprop":
        return RMSprop(rate, options.get("alpha", 0.99), epsilon, options.get("momentum", 0.0)), penalty
    beta1, beta2 = options.get("betas", (0.9, 0.999))
    return Adam(rate, beta1, beta2, epsilon), penalty


@pytest.mark.parametrize("optimizer", ABOUT["optimizers"])
@pytest.mark.parametrize("network", ABOUT["networks"])
def test_200_recorded_steps_of_pytorch_are_replayed(network: str, optimizer: str) -> None:
    about = ABOUT["networks"][network]
    chosen, l2 = optimizer_of(ABOUT["optimizers"][optimizer])
    data = Dataset(RECORD["X"], RECORD[about["targets"]], TASKS[about["targets"]])
    run = train(
        MLP(about["layer_sizes"], about["activation"], l2=l2, dtype="float64"),
        data,
        chosen,
        theta=RECORD[f"{network}/start"],
        indices=RECORD["indices"],
        record_steps=True,
    )
    losses, theta = RECORD[f"{network}/{optimizer}/losses"], RECORD[f"{network}/{optimizer}/theta"]
    assert run.history.step_loss is not None
    assert run.history.step_loss.shape == (200,)
    np.testing.assert_allclose(run.history.step_loss, losses, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(run.theta, theta, rtol=1e-9, atol=1e-9)
    assert np.abs(theta - RECORD[f"{network}/start"]).max() > 0.05, "the recording must lead somewhere"


def test_the_recording_holds_every_case() -> None:
    cases = len(ABOUT["networks"]) * len(ABOUT["optimizers"])
    assert cases == 45
    assert sum(name.endswith("/theta") for name in RECORD) == cases
    assert {TASKS[about["targets"]] for about in ABOUT["networks"].values()} == set(TASKS.values())
    assert {options["kind"] for options in ABOUT["optimizers"].values()} == {k.__name__ for k in OPTIMIZERS.values()}
