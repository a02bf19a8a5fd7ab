"""The experiment on the range test: which rates it compares, and that plain SGD's suggestion finds the right decade."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nn import MLP, load_dataset, sharpness
from tuning import sweep
from tuning.laboratory import range_test as experiment
from tuning.laboratory.range_test import Comparison, Measured
from tuning.learning_rate import RangeTest


@pytest.fixture(scope="module")
def measured() -> Measured:
    return experiment.measure(
        ("iris", "diabetes", "spirals"), ("SGD",), (8, 48), (8, 64), seeds=2, limit_seeds=2, steps=60, seed=31
    )


def comparison(suggestion: float, best: float, minimum: float = 3.0) -> Comparison:
    """With a range test whose edge is ten times the suggestion, of a loss that falls to `minimum` and rises again."""
    rates = np.geomspace(suggestion / 100, 10 * suggestion, 31)
    middle = 2 - np.sin(np.linspace(0, np.pi, 31)) * np.exp(-((np.log(rates) - np.log(minimum)) ** 2))
    middle[-1] = 2.0
    test = RangeTest(rates, middle[None], middle[None], (0,), "SGD", 8)
    return Comparison("iris", "SGD", test, rates, np.ones(31), best, best, best, 2.0)


@pytest.mark.parametrize(("suggestion", "best"), [(0.5, 5.0), (5.0, 0.5)])
def test_a_rule_is_off_by_the_same_factor_below_and_above_the_best_rate(suggestion: float, best: float) -> None:
    each = comparison(suggestion, best)
    result = Measured((each,), (8,), (4,), *np.ones((3, 1, 1)), np.ones(1))
    assert each.factors[0] == pytest.approx(suggestion / best)
    assert result.off(0) == pytest.approx([10.0])
    assert each.test.minimum is not None
    assert each.factors[1] == pytest.approx(each.test.minimum / 10 / best)
    assert each.price == 2.0
    assert len(result.off(0, "Adam")) == 0


def test_the_best_rate_and_the_price_are_those_of_real_sweeps(measured: Measured) -> None:
    for each in measured.comparisons:
        assert each.losses[each.learning_rates == each.best] == each.losses.min()
        assert each.low <= each.best <= each.high
        assert each.test.seeds == (31, 32)
        how = {"metric": "validation_loss", "repeats": 2, "seed": 31, "progress": False}
        setting = {"learning_rate": [each.best, each.test.suggestion], "hidden_units": 32, "batch_size": 32}
        best, suggested = (
            next(s for s in sweep(each.data, setting, **how).summaries() if s.params["learning_rate"] == rate)
            for rate in (each.best, each.test.suggestion)
        )
        assert each.price == pytest.approx(suggested.metrics["validation_loss"] / best.metrics["validation_loss"])


def test_plain_sgds_suggestion_finds_the_right_decade_and_a_decade_below_the_minimum_does_not(
    measured: Measured,
) -> None:
    assert measured.off(0, "SGD").max() < 10
    assert measured.off(1, "SGD").max() > measured.off(0, "SGD").max()
    assert all(each.holds_best for each in measured.comparisons)


def test_each_optimizer_is_tested_and_swept_as_itself() -> None:
    tests = {name: experiment.compare("iris", name, seed=5, seeds=2, epochs=3) for name in experiment.OPTIMIZERS}
    assert [each.test.momentum for each in tests.values()] == [0.0, 0.9, 0.9]
    assert [each.test.optimizer for each in tests.values()] == ["SGD", "SGD(momentum=0.9)", "Adam"]
    assert len({tuple(each.losses) for each in tests.values()}) == 3


def test_stability_limits_rise_with_the_batch_while_two_over_the_sharpness_falls_with_the_width(
    measured: Measured,
) -> None:
    split = load_dataset("digits").split(seed=31)
    assert measured.batch_sizes == (8, 64, len(split.train))
    assert (np.diff(measured.limits, axis=1) > 0).all()
    assert (measured.limit_low <= measured.limits).all()
    assert (measured.limits <= measured.limit_high).all()
    assert measured.two_over_sharpness[1] < 0.7 * measured.two_over_sharpness[0]
    model = MLP((64, 8, 10))
    found = [2 / sharpness(model, model.init(seed), split.train.X, split.train.targets) for seed in (31, 32)]
    assert measured.two_over_sharpness[0] == pytest.approx(np.sqrt(np.prod(found)), rel=1e-3)


def test_claims_fail_where_the_suggestion_is_far_off_and_the_range_misses_the_best(measured: Measured) -> None:
    good = {claim.what: claim.holds for claim in experiment.claims(measured)}
    spoilt = replace(measured, comparisons=tuple(replace(c, best=c.best * 1e4) for c in measured.comparisons))
    bad = {claim.what: claim.holds for claim in experiment.claims(spoilt)}
    first = list(good)[:3]
    assert [good[what] for what in first] == [True] * 3
    assert [bad[what] for what in first] == [False] * 3
    falling = replace(measured, limits=measured.limits[:, ::-1])
    rises = next(claim for claim in experiment.claims(falling) if claim.paper == "rises")
    assert not rises.holds
