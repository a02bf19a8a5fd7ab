"""The best rate falls as 1/width in the standard parametrisation and stays under μP, on other sizes than the script."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from nn import SGD, train
from tuning.laboratory import width_transfer as experiment
from tuning.laboratory.digits import standardised_digits
from tuning.laboratory.width_transfer import Measured

WIDTHS = np.array([48, 96, 192])


@pytest.fixture(scope="module")
def measured() -> tuple[Measured, Measured]:
    return experiment.measure(
        seed=7,
        widths=WIDTHS.tolist(),
        base_width=96,
        examples=256,
        steps=30,
        starts=5,
        check_starts=5,
        lowest=2.0**-7,
        beyond=0,
        check_rate=0.01,
        check_steps=(1, 6),
    )


def made(rates: NDArray[np.float64], change: NDArray[np.float64]) -> Measured:
    """A result with these best rates (W, starts) and changes (W, starts, T, 3)."""
    steps = tuple(range(1, 1 + change.shape[2]))
    return Measured(
        "mup", 64 * 2 ** np.arange(len(rates)), np.empty(0), np.empty((0, 0, 0)), rates, change, 0.01, steps
    )


def test_best_rate_falls_as_one_over_the_width_and_stays_under_mup(measured: tuple[Measured, Measured]) -> None:
    standard, mup = measured
    x = np.log2(WIDTHS)
    for each, law in ((standard, -1.0), (mup, 0.0)):
        assert np.isfinite(each.best).all()
        fitted = np.polyfit(x, np.log2(each.best).mean(axis=1), 1)[0]
        assert fitted == pytest.approx(law, abs=0.3)  # it is −1.2 for networks so narrow
        assert experiment.rate_slope(each)[0] == pytest.approx(fitted, rel=1e-9)
        assert experiment.rate_slope(each)[1] < 0.2


def test_activations_move_alike_at_any_width_under_mup_alone(measured: tuple[Measured, Measured]) -> None:
    standard, mup = measured
    assert np.abs(experiment.change_slopes(mup)[-1]).max() < 0.1
    assert np.abs(experiment.change_slopes(standard)[-1]).max() > 0.25
    assert experiment.change_slopes(standard)[0, -1] == pytest.approx(1.0, abs=0.15)


def test_at_the_base_width_both_parametrisations_are_the_same(measured: tuple[Measured, Measured]) -> None:
    standard, mup = measured
    assert np.array_equal(standard.loss[1], mup.loss[1], equal_nan=True)
    assert np.array_equal(standard.change[1], mup.change[1])
    assert not np.array_equal(standard.best[0], mup.best[0])
    assert not np.array_equal(standard.best[2], mup.best[2])
    assert len(np.unique(standard.loss[1, :, 0])) == 5


def test_first_minimum_is_the_vertex_of_the_first_parabola() -> None:
    x = np.arange(-6.0, 3.0, 0.5)
    bowl = 0.1 * np.exp((x + 3.3) ** 2)
    assert experiment.first_minimum(2.0**x, bowl) == pytest.approx(2.0**-3.3, rel=1e-9)
    with_second = np.where(x > 0, 1e-6, bowl)
    assert experiment.first_minimum(2.0**x, with_second) == pytest.approx(2.0**-3.3, rel=1e-9)
    assert experiment.first_minimum(2.0**x, np.where(x > -3.5, np.inf, bowl)) == 2.0**-3.5


@pytest.mark.parametrize("losses", [[1.0, 2.0, 1.0, 3.0], [4.0, 3.0, 2.0, 1.0], [4.0, 3.0], [1.0, 1.0, 2.0, 3.0]])
def test_without_a_fall_and_a_rise_there_is_no_minimum(losses: list[float]) -> None:
    assert np.isnan(experiment.first_minimum(2.0 ** np.arange(4), losses))


@pytest.mark.parametrize("beyond", [0, 2])
def test_scan_holds_the_loss_after_all_steps_and_ends_beyond_the_rise(beyond: int) -> None:
    data, model = standardised_digits(60, seed=8), experiment.network(24, "mup", base_width=12)
    rates = 0.02 * 2.0 ** np.arange(10)
    losses, best = experiment.scan(model, data, rates, steps=15, beyond=beyond, seed=3)
    count = int(np.isfinite(losses).sum())
    assert np.isnan(losses[count:]).all()
    falls = np.diff(losses[:count]) < 0
    assert falls[: -beyond - 1].all()
    assert not falls[-beyond - 1]
    for rate, loss in zip(rates, losses[:count], strict=False):
        run = train(model, data, SGD(rate), batch_size="full", epochs=15, theta=model.init(3))
        assert loss == pytest.approx(model.loss(run.theta, data.X, data.targets), rel=1e-5)
    at = int(np.argmin(losses[: count - beyond]))
    assert rates[at - 1] < best < rates[at + 1]


def test_scan_ends_where_training_diverges() -> None:
    data, model = standardised_digits(60, seed=8), experiment.network(24, "standard")
    losses, best = experiment.scan(model, data, np.array([1e-3, 1e4, 1e5]), steps=15, beyond=3, seed=3)
    assert losses[1] == np.inf
    assert np.isnan(losses[2])
    assert np.isnan(best)


def test_coordinates_are_how_far_each_layer_is_from_the_start() -> None:
    data, model = standardised_digits(50, seed=6), experiment.network(32, "mup", base_width=16)
    found = experiment.coordinates(model, data, learning_rate=0.05, steps=(1, 3, 4), seed=2)

    def layers(theta: NDArray[np.float32]) -> list[NDArray[np.float64]]:
        V, W, U = (weights.astype(np.float64) for weights, _ in model.layers(theta))
        first = np.maximum(data.X @ V, 0)
        second = np.maximum(first @ W, 0)
        return [first, second, second @ U / 2]

    run = train(model, data, SGD(0.05), batch_size="full", epochs=4, theta=model.init(2))
    moved = [np.sqrt(np.mean((a - b) ** 2)) for a, b in zip(layers(run.theta), layers(model.init(2)), strict=True)]
    assert found.shape == (3, 3)
    assert found[-1] == pytest.approx(moved, rel=1e-3)
    assert found[0, :2].tolist() == [0.0, 0.0]

    # From a zero readout, one step moves the outputs by η·A Aᵀ Y/N in the standard parametrisation.
    _, second, _ = layers(model.init(2))
    plain = experiment.network(32, "standard").replace(std=(None, None, 0.0))
    first_step = experiment.coordinates(plain, data, learning_rate=0.05, steps=[1], seed=2)[0, 2]
    V, W, _ = (weights.astype(np.float64) for weights, _ in plain.layers(plain.init(2)))
    A = np.maximum(np.maximum(data.X @ V, 0) @ W, 0)
    outputs = 0.05 * A @ (A.T @ np.eye(10)[data.targets]) / len(data)
    assert first_step == pytest.approx(np.sqrt(np.mean(outputs**2)), rel=1e-4)
    assert second.shape == A.shape


def test_claims_hold_for_the_published_slopes_and_for_no_others() -> None:
    width = 2.0 ** np.arange(4)
    level = np.ones((4, 3))
    moved = np.stack([width, width**0.0, width**-0.5], axis=-1)[:, None, None, :] * np.ones((4, 3, 2, 3))
    moved[:, :, 0, 2] = width[:, None]
    still = np.ones((4, 3, 2, 3))
    standard, mup = made(level / width[:, None], moved), made(level, still)
    assert [claim.holds for claim in experiment.claims((standard, mup))] == [True] * 7
    assert not any(claim.holds for claim in experiment.claims((mup, standard))[:2])
    assert [claim.holds for claim in experiment.claims((mup, standard))[2:]] == [False, True, False, False, False]
    lost = replace(standard, best=np.where(np.arange(3) == 1, np.nan, standard.best))
    assert not experiment.claims((lost, mup))[0].holds


def test_slopes_of_what_has_not_moved_are_unknown() -> None:
    change = np.ones((3, 2, 2, 3))
    change[:, :, 0, :2] = 0.0
    slopes = experiment.change_slopes(made(np.ones((3, 2)), change))
    assert np.isnan(slopes).tolist() == [[True, True, False], [False, False, False]]
    assert slopes[1].tolist() == pytest.approx([0.0, 0.0, 0.0])
