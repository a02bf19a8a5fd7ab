"""The recursion, the three phases and the height of the throw, at other widths, rates and starts than the script's."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from nn import SGD, train
from tuning.laboratory import catapult as experiment
from tuning.laboratory.catapult import Measured


@pytest.fixture(scope="module")
def measured() -> Measured:
    return experiment.measure(
        seed=9,
        followed_factors=(0.7, 2.3, 3.7, 4.7),
        followed_width=300,
        followed_steps=40,
        factors=(0.4, 1.2, 2.2, 3.2, 3.9, 4.1, 7.0),
        widths=(100, 700),
        starts=4,
        peak_factors=(2.6, 3.4),
        peak_widths=(300, 1000, 3000),
        peak_starts=12,
    )


@pytest.mark.parametrize("c", [0.7, 2.3, 3.7, 4.7])
def test_two_vectors_trained_by_hand_make_the_same_throw(measured: Measured, c: float) -> None:
    (throw,) = (each for each in measured.throws if each.c == c)
    n = throw.width
    (u, _), (v, _) = experiment.network(n).layers(experiment.network(n).init(9))
    u, v, eta = u.ravel(), v.ravel(), throw.learning_rate
    assert eta * (u @ u + v @ v) / n == pytest.approx(c, rel=1e-12)
    for step in range(min(len(throw.f), 10)):
        f = u @ v / math.sqrt(n)
        assert throw.f[step] == pytest.approx(f, rel=1e-7)
        assert throw.curvature[step] == pytest.approx((u @ u + v @ v) / n, rel=1e-7)
        assert throw.loss[step] == pytest.approx(f**2 / 2, rel=1e-7)
        u, v = u - eta * f * v / math.sqrt(n), v - eta * f * u / math.sqrt(n)


def test_each_step_follows_the_recursion(measured: Measured) -> None:
    for throw in measured.throws:
        f, curvature, eta, n = throw.f[:-1], throw.curvature[:-1], throw.learning_rate, throw.width
        size = np.maximum(np.abs(f), np.abs(throw.f[1:]))
        assert np.abs(throw.f[1:] - f * (1 - eta * curvature + eta**2 * f**2 / n)).max() < 1e-6 * size.max()
        assert throw.curvature[1:] == pytest.approx(curvature + eta * f**2 / n * (eta * curvature - 4), rel=1e-6)
        assert experiment.recursion_error(throw) < 1e-6


@pytest.mark.parametrize("what", ["f", "curvature"])
def test_a_throw_off_by_a_millionth_is_found_out(measured: Measured, what: str) -> None:
    throw = measured.throws[1]
    values = getattr(throw, what).copy()
    values[7] *= 1 + 3e-6
    assert experiment.recursion_error(replace(throw, **{what: values})) > 1e-6


def test_curvature_is_the_squared_gradient_of_f() -> None:
    model = experiment.network(50)
    theta = model.init(3)
    f, curvature = experiment.function_and_curvature(model, theta)
    gradient = model.gradient(theta, experiment.DATA.X, experiment.DATA.y)  # of J = f²/2, so f·∇f
    assert curvature == pytest.approx(gradient @ gradient / f**2, rel=1e-12)


def test_below_four_all_converge_and_above_none(measured: Measured) -> None:
    below = measured.factors < 4
    assert measured.converged[below].all()
    assert measured.diverged[~below].all()
    assert not (measured.converged & measured.diverged).any()


def test_the_throw_lands_where_it_is_flatter(measured: Measured) -> None:
    for c, final in zip(measured.factors, measured.final, strict=True):
        if c < 1:
            assert final == pytest.approx(np.full_like(final, c), rel=0.2)
        elif 2 < c < 4:
            assert (final < 2).all()
        elif c > 4:
            assert np.isnan(final).all()


def test_the_loss_falls_from_the_first_step_below_two_and_rises_first_above(measured: Measured) -> None:
    calm, *thrown = measured.throws
    assert (np.diff(calm.loss) < 0).all()
    for throw in thrown:
        assert throw.loss[1] > throw.loss[0]
    assert [throw.loss[-1] < experiment.CONVERGED for throw in measured.throws] == [True, True, True, False]


def test_the_height_is_proportional_to_the_width(measured: Measured) -> None:
    wider = measured.peak_widths[-1] / measured.peak_widths[0]
    for row in measured.peaks:
        assert np.median(row[-1]) / np.median(row[0]) == pytest.approx(wider, rel=0.15)
    assert experiment.slopes(measured) == pytest.approx(np.ones(2), abs=0.05)


def test_a_peak_is_the_largest_loss_of_its_training(measured: Measured) -> None:
    model = experiment.network(1000)
    start = model.init(9 * 12 + 4)
    curvature = experiment.function_and_curvature(model, start)[1]
    run = train(
        model,
        experiment.DATA,
        SGD(3.4 / curvature),
        batch_size="full",
        epochs=100,
        theta=start,
        divergence_factor=math.inf,
    )
    assert measured.peaks[1, 1, 4] == pytest.approx(run.history.train_loss.max(), rel=1e-9)


def test_claims_hold_and_a_single_exception_breaks_them(measured: Measured) -> None:
    assert all(claim.holds for claim in experiment.claims(measured))
    one = np.zeros_like(measured.converged)
    one[2, 0, 0] = True
    broken = replace(measured, converged=measured.converged & ~one, final=np.where(one, np.nan, measured.final))
    assert [claim.holds for claim in experiment.claims(broken)] == [True, False, True, True, True, True]
    one[:] = False
    one[5, 1, 1] = True
    broken = replace(measured, diverged=measured.diverged & ~one)
    assert [claim.holds for claim in experiment.claims(broken)] == [True, True, False, True, True, True]
    flat = replace(measured, peaks=np.ones_like(measured.peaks))
    assert [claim.holds for claim in experiment.claims(flat)][-2:] == [False, False]
