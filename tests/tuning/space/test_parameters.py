"""The table of what can be tuned: all that models, optimizers and schedules take is in it, or refused by name."""

from __future__ import annotations

import inspect
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nn import MLP, SGD, Dataset, load_dataset, train
from nn.optimizers import OPTIMIZERS
from nn.schedules import SCHEDULES, Cosine, Warmup
from tuning import Study, sweep
from tuning.objective import Objective
from tuning.space import BESIDE, PARAMETERS, Space, as_parameter

IRIS = load_dataset("iris").split(seed=0)
TUNED: dict[str, dict[str, Any]] = {
    "rate_multipliers": {"hidden_units": [(6, 5)], "rate_multipliers": [(1, 1, 0.5), (0, 1, 1)]},
    "std": {"std": [0.1, (0.5, 0.0), (None, 0.0)]},
    "multipliers": {"multipliers": [1.0, (1.0, 0.5)]},
    "parametrisation": {"parametrisation": ["standard", "mup"], "base_width": 8},
    "output": {"output": "logistic", "loss": ["cross_entropy", "squared_error"]},
    "warmup": {"schedule": ["cosine", None], "warmup": [0, 4], "batch_size": 16},
    "schedule_steps": {"schedule": "cosine", "schedule_steps": [10, 1000]},
    "schedule_start": {"schedule": "one_cycle", "schedule_start": [2.0, 50.0], "schedule_end": [10.0, 1e3]},
    "schedule_linear": {"schedule": "ramp", "schedule_linear": [True, False]},
}


def test_all_that_training_takes_can_be_tuned_or_is_refused_by_name() -> None:
    taken = set(inspect.signature(MLP).parameters)
    taken |= {each.name for kind in OPTIMIZERS.values() for each in fields(kind)}
    taken |= {f"schedule_{each.name}" for kind in SCHEDULES.values() for each in fields(kind)}
    assert taken <= PARAMETERS.keys() | BESIDE.keys()
    assert not PARAMETERS.keys() & BESIDE.keys()


@pytest.mark.parametrize("name", BESIDE)
def test_what_is_no_parameter_is_refused_with_the_way_to_give_it(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name} must be given (as|beside the space, as) .*, but got it as a param"):
        sweep(IRIS, {name: [1, 2]}, epochs=1)


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_example_of_a_parameter_is_one(name: str) -> None:
    parameter = as_parameter(name, PARAMETERS[name].example)
    assert as_parameter(name, str(parameter)) == parameter


@pytest.mark.parametrize("case", TUNED)
def test_it_is_tuned_kept_and_gone_on_with(case: str, tmp_path: Path) -> None:
    data = load_dataset("moons", n=60).split(seed=0) if case == "output" else IRIS
    options: dict[str, Any] = {"epochs": 2, "progress": False, "n_jobs": 1}
    whole = sweep(data, TUNED[case], **options)
    assert {trial.state for trial in whole.trials} == {"completed"}
    assert len({trial.metrics["train_loss"] for trial in whole.trials}) == len(whole.trials) > 1
    sweep(data, TUNED[case], n_trials=1, storage=tmp_path / "a.db", **options).close()
    part = sweep(data, TUNED[case], storage=tmp_path / "a.db", **options)
    assert [t.params for t in part.trials] == [t.params for t in whole.trials]
    assert [t.metrics for t in part.trials] == [t.metrics for t in whole.trials]
    assert Study.open(tmp_path / "a.db").space == Space(TUNED[case])


def test_what_is_tuned_is_what_training_does() -> None:
    study = sweep(
        IRIS, {"rate_multipliers": [(1, 0.5)], "std": [(None, 0.0)], "schedule": "cosine", "warmup": 5}, epochs=4
    )
    (trial,) = study.trials
    schedule = Warmup(warmup=5, then=Cosine())
    run = train(
        MLP((4, 32, 3), std=(None, 0.0)), IRIS, SGD(0.1, rate_multipliers=(1, 0.5)), batch_size=32, epochs=4,
        seed=trial.seed, schedule=schedule,
    )  # fmt: skip
    np.testing.assert_array_equal(trial.curves["train_loss"], run.history.train_loss)


@pytest.mark.parametrize(
    ("space", "law"),
    [
        (
            {"rate_multipliers": [(1, 1, 1, 0.5)]},
            "rate_multipliers must have one value for each of the 2 layers, but got 4",
        ),
        (
            {"rate_multipliers": [(1, "a")]},
            "rate_multipliers: a list in a list must be numbers, one for each layer, but got",
        ),
        ({"std": [(0.1, True)]}, "std: a list in a list must be numbers, one for each layer, but got"),
        ({"hidden_units": [(8, 4.5)]}, "hidden_units must be an integer of at least 1, but got 4.5"),
        ({"schedule": "warmup", "warmup": 3}, "warmup must be 0 with schedule warmup, which has schedule_warmup"),
        ({"warmup": -1}, "warmup must be an integer of at least 0, but got -1"),
        ({"schedule_start": 3.0}, "schedule_start must go with schedule one_cycle, but the schedule is not given"),
        ({"output": "softmax", "loss": "squared_error"}, "softmax"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_trained(space: dict[str, Any], law: str) -> None:
    with pytest.raises(ValueError, match=law) as seen:
        sweep(IRIS, space, epochs=1)
    assert "\n" not in str(seen.value)


def test_a_warmup_is_searched_beside_schedules_with_numbers_of_their_own() -> None:
    objective = Objective.prepare(Dataset(IRIS.train.X, IRIS.train.y))
    space = objective.conditioned(Space({"schedule": "cosine,step", "schedule_every": "5,9", "warmup": "0,4"}))
    assert space.grid_size(1) == (1 + 2) * 2
    objective.check(space)
