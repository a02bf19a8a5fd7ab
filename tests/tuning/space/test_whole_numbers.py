"""Whole numbers: their ranges, and the parameters whose ranges are of whole numbers however they are written."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning import sweep
from tuning.space import PARAMETERS, Choice, IntUniform, LogUniform, Range, Space, Uniform, as_parameter
from tuning.space.parameters import WHOLE

ends = st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)).filter(lambda e: e[0] < e[1])


@given(ends, st.booleans(), st.integers(2, 40))
def test_a_grid_of_whole_numbers_is_sorted_distinct_and_has_both_ends(e: Any, log: bool, points: int) -> None:
    low, high = e
    grid: Any = IntUniform(low, high, log=log).grid(points)
    assert (grid[0], grid[-1]) == (low, high)
    assert list(grid) == sorted(set(grid))
    assert all(type(value) is int for value in grid)
    assert len(grid) == min(points, high - low + 1)


@given(ends, st.integers(2, 40))
def test_a_logarithmic_grid_has_equal_ratios_where_whole_numbers_can(e: Any, points: int) -> None:
    low, high = e
    grid: Any = IntUniform(low, high, log=True).grid(points)
    ratio = (high / low) ** (1 / (points - 1))
    if low * (ratio - 1) < 2 or high - low < points:  # its numbers are so near that some were moved
        return
    for i, value in enumerate(grid):
        assert abs(value - low * ratio**i) <= 0.5 + 1e-6


def test_short_grids_of_whole_numbers() -> None:
    assert IntUniform(1, 3).grid(7) == (1, 2, 3)
    assert IntUniform(1, 3).grid(2) == (1, 3)
    assert IntUniform(4, 64, log=True).grid(1) == (16,)
    assert IntUniform(1, 100, log=True).grid(8) == (1, 2, 4, 7, 14, 27, 52, 100)


def test_draws_in_the_logarithm_give_each_doubling_its_share() -> None:
    parameter = IntUniform(4, 63, log=True)
    octaves = Counter(int(math.log2(parameter.at((i + 0.5) / 4000))) for i in range(4000))
    assert octaves == pytest.approx({2: 1000, 3: 1000, 4: 1000, 5: 1000}, abs=1)
    assert {parameter.at(i / 4000) for i in range(4001)} == set(range(4, 64))


@pytest.mark.parametrize("name", sorted(WHOLE))
@pytest.mark.parametrize(
    ("given", "meaning"),
    [
        ("4:64:log", IntUniform(4, 64, log=True)),
        ("8:65", IntUniform(8, 65)),
        ("8:65:int", IntUniform(8, 65)),
        (LogUniform(4, 64), IntUniform(4, 64, log=True)),
        (Uniform(8, 65), IntUniform(8, 65)),
    ],
)
def test_a_range_of_a_whole_number_is_one_of_whole_numbers(name: str, given: Any, meaning: IntUniform) -> None:
    assert as_parameter(name, given) == meaning
    assert Space(Space({name: given}).texts()) == Space({name: meaning})


def test_the_parameters_that_are_whole_numbers_are_those_that_refuse_others() -> None:
    """A parameter that is missing from the list would start a sweep whose trials fail."""
    from nn import load_dataset
    from tuning.objective import Objective

    objective = Objective.prepare(load_dataset("iris"))
    owners = {"schedule_every": "step", "schedule_warmup": "warmup", "schedule_half": "triangular"}
    owners |= {"schedule_steps": "cosine"}
    for name in PARAMETERS:
        setting: dict[str, Any] = {name: 2.5, **({"schedule": owners[name]} if name in owners else {})}
        if isinstance(as_parameter(name, PARAMETERS[name].example), Range) or name in WHOLE:
            refused = False
            try:
                objective.build(setting)
            except ValueError as error:
                refused = "integer" in str(error) or "between 1 and" in str(error)
            assert refused == (name in WHOLE), name


@pytest.mark.parametrize("method", ["grid", "random", "sobol", "refine", "halving", "tpe"])
def test_every_method_draws_whole_numbers_and_no_trial_fails(method: str) -> None:
    if method == "tpe":
        pytest.importorskip("optuna")
    space = {"hidden_units": "2:16:log", "batch_size": LogUniform(16, 64), "learning_rate": 0.1}
    options: dict[str, Any] = {"points": 3} if method in ("grid", "refine", "halving") else {}
    study = sweep("iris", space, method=method, n_trials=9, epochs=3, progress=False, **options)
    assert {trial.state for trial in study.trials} <= {"completed", "pruned"}
    assert all(type(trial.params[name]) is int for trial in study.trials for name in ("hidden_units", "batch_size"))


def test_what_stands_in_a_list_may_be_written_as_text() -> None:
    given = {"hidden_units": ["32x32", "16", "()"], "batch_size": ["full", 8], "clip_norm": ["none"], "bias": ["true"]}
    assert [parameter.grid(1) for parameter in Space(given).parameters.values()] == [
        ((32, 32), 16, ()),
        ("full", 8),
        (None,),
        (True,),
    ]


def test_a_tuple_of_units_is_the_layers_of_one_network() -> None:
    assert as_parameter("hidden_units", (64, 32)) == Choice([(64, 32)])
    assert as_parameter("hidden_units", ()) == Choice([()])


def test_other_names_of_activations_are_the_same_activations() -> None:
    assert as_parameter("activation", "sigmoid,linear,relu") == Choice(["logistic", "identity", "relu"])
    parts = as_parameter("activation", {"sigmoid": {"init": "glorot"}, "relu": {}})
    assert str(parts) == "logistic(init=glorot),relu"
    assert all(a != b for a, b in pairwise(as_parameter("activation", ["sigmoid", "tanh"]).grid(2)))


def test_a_logarithmic_range_of_whole_numbers_stays_one_in_optuna() -> None:
    optuna = pytest.importorskip("optuna")
    study = sweep("iris", {"hidden_units": "2:16:log"}, points=2, epochs=1, progress=False)
    (trial, *_) = study.to_optuna(optuna.storages.InMemoryStorage()).trials
    assert trial.distributions == {"hidden_units": optuna.distributions.IntDistribution(2, 16, log=True)}


def test_refine_steps_by_ratios_and_to_the_next_whole_number_at_last() -> None:
    from tuning.methods.refine import _Axis, _Window

    window = _Window(Space({"hidden_units": "4:64:log"}), {"hidden_units": 16}, 5, False)
    axis: _Axis = window.axes["hidden_units"]
    assert axis.around(16) == [16, 11, 23]
    for _ in range(20):
        axis.adjust(16, 16)
        if axis.step >= axis.smallest:
            assert axis.around(16)[1] < 16 < axis.around(16)[2]
    assert axis.around(16) == [16]
    window = _Window(Space({"hidden_units": "4:64:log"}), {"hidden_units": 4}, 5, False)
    assert window.axes["hidden_units"].around(4)[1:] == [6]
