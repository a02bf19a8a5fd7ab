"""Sharpness rises to the limit of the optimiser at hand and stays there, on other sizes and starts than the script."""

from __future__ import annotations

import numpy as np
import pytest

from nn import SGD, sharpness, train
from tuning.laboratory import edge_of_stability as experiment
from tuning.laboratory.edge_of_stability import Measured
from tuning.laboratory.sharpening import Sharpening, follow_sharpness

TWO_OVER_RATE, BETA = 18.0, 0.4
# By which multiple of 2/η each optimiser is limited: from the roots of z² − (1 + β − ηλ)z + β and of
# z² − (1 + β)(1 − ηλ)z + β(1 − ηλ), one of which is −1 there.
MULTIPLES = {"gradient descent": 1.0, "heavy ball": 1 + BETA, "Nesterov": (1 + BETA) / (1 + 2 * BETA)}


@pytest.fixture(scope="module")
def measured() -> Measured:
    return experiment.measure(
        seed=11,
        two_over_rates=(TWO_OVER_RATE,),
        digits_two_over_rates=(),
        momentum=BETA,
        starts=2,
        steps=3000,
        every=12,
    )


def made(sharpness: list[float], loss: list[float], optimizer: SGD | None = None) -> Sharpening:
    """Twice as many losses as sharpnesses, which are of each second step."""
    at = 2 * np.arange(len(sharpness))
    return Sharpening("chebyshev", optimizer or SGD(0.5), np.array(loss), at, np.array(sharpness))


@pytest.mark.parametrize("name", MULTIPLES)
def test_sharpness_settles_at_the_limit_of_its_optimiser(measured: Measured, name: str) -> None:
    limit = MULTIPLES[name] * TWO_OVER_RATE
    found = [c for c in measured.trainings if experiment.name(c.optimizer) == name]
    assert len(found) == 2
    for each in found:
        assert each.sharpness[0] < 0.8 * limit
        after = each.sharpness[np.argmax(each.sharpness >= limit) :]
        assert np.median(after) == pytest.approx(limit, rel=0.04)
        assert experiment.settled(each) == pytest.approx(np.median(after) / limit, rel=1e-12)


def test_loss_falls_in_each_step_below_the_limit_and_not_beyond(measured: Measured) -> None:
    for each in measured.trainings:
        if experiment.name(each.optimizer) == "gradient descent":
            crossing = each.steps[np.argmax(each.sharpness >= TWO_OVER_RATE)]
            assert (np.diff(each.loss[:crossing]) < 0).all()
            assert (np.diff(each.loss[crossing:]) > 0).mean() > 0.01
            assert np.median(each.loss[-300:]) < 0.5 * each.loss[crossing]


def test_digits_settle_too() -> None:
    model, data = experiment.digits_problem(examples=400, width=24, seed=4)
    each = follow_sharpness(model, data, SGD(2 / 4.0), steps=600, every=15, seed=4)
    after = each.sharpness[np.argmax(each.sharpness >= 4.0) :]
    assert each.sharpness[0] < 3.0
    assert np.median(after) == pytest.approx(4.0, rel=0.05)


def test_each_sharpness_is_that_of_the_step_beside_it() -> None:
    model, data = experiment.chebyshev_problem(points=12, width=6)
    each = follow_sharpness(model, data, SGD(0.3), steps=40, every=8, seed=5)
    assert each.steps.tolist() == [0, 8, 16, 24, 32, 40]
    for step, seen in zip(each.steps[1:], each.sharpness[1:], strict=True):
        run = train(model, data, SGD(0.3), batch_size="full", epochs=int(step), theta=model.init(5))
        assert seen == pytest.approx(sharpness(model, run.theta, data.X, data.y), rel=1e-4)
        if step < 40:
            assert each.loss[step] == pytest.approx(model.loss(run.theta, data.X, data.y), rel=1e-12)


def test_digits_are_standardised_over_all_of_them_and_drawn_without_repeats() -> None:
    _, everything = experiment.digits_problem(examples=1797, seed=2)
    spread = everything.X.std(axis=0)
    assert np.abs(everything.X.mean(axis=0)).max() < 1e-12
    assert np.where(spread > 0, np.abs(spread - 1), 0).max() < 1e-12
    _, some = experiment.digits_problem(examples=300, seed=2)
    assert len(np.unique(some.X, axis=0)) == 300
    assert np.array_equal(some.X, everything.X[:300])


def test_trainings_are_all_combinations_each_from_its_own_start() -> None:
    measured = experiment.measure(
        seed=3, two_over_rates=(10.0, 30.0), digits_two_over_rates=(), starts=2, steps=2, every=1
    )
    groups = measured.of("chebyshev")
    assert [len(group) for group in groups] == [2] * 6
    assert {experiment.limit(group[0].optimizer) for group in groups} == {10.0, 15.0, 7.5, 30.0, 45.0, 22.5}
    starts = [[each.loss[0] for each in group] for group in groups]
    assert all(pair == starts[0] for pair in starts)
    assert starts[0][0] != starts[0][1]
    assert measured.of("digits") == []


def test_median_and_rises_count_from_the_first_crossing() -> None:
    each = made([1.0, 3.0, 4.0, 6.0, 2.0, 5.0], [9, 8, 7, 6, 5, 6, 5, 4, 5, 4, 3, 2])
    assert experiment.first_crossing(each) == 2
    assert experiment.settled(each) == pytest.approx(4.5 / 4)
    assert experiment.rises(each) == (0.0, pytest.approx(2 / 7))


def test_the_loss_of_the_long_run_is_the_median_of_the_last_tenth() -> None:
    assert experiment.long_run(made([4.0] * 10, [9.0] * 18 + [2.0, 3.0])) == 2.5
    assert experiment.long_run(made([4.0] * 2, [9.0, 1.0, 5.0])) == 5.0


def test_what_never_crosses_is_not_within_tolerance() -> None:
    below = made([1.0, 3.0], [9, 8, 7, 6])
    assert experiment.first_crossing(below) is None
    assert np.isnan(experiment.settled(below))
    table = experiment.claims(Measured((below, made([3.0, 4.0], [9, 8, 7, 6]))))
    reached, median, *_ = table
    assert (reached.here, reached.holds) == (1, False)
    assert (median.here, median.holds) == (1.0, True)
    assert not any(claim.holds for claim in experiment.claims(Measured((below,))))


@pytest.mark.parametrize(("factor", "holds"), [(0.95, False), (0.97, True), (1.03, True), (1.05, False)])
def test_the_median_farthest_from_the_limit_decides(factor: float, holds: bool) -> None:
    exact, off = ([4.0] * 3, [9.0, 10.0, 8.0, 9.0, 5.0, 4.0]), ([4.0] + [4 * factor] * 4, [9.0] * 10)
    median = experiment.claims(Measured((made(*exact), made(*off))))[1]
    assert median.here == pytest.approx(factor)
    assert median.holds is holds
