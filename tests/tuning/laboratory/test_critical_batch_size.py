"""Steps against the batch size, the fit to them, and the noise scale, on other sizes and starts than the script's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nn import SGD, gradient_noise_scale, train
from tuning.laboratory import critical_batch_size as experiment
from tuning.laboratory.critical_batch_size import LossCurve, Measured

SIZES = np.array([3, 12, 48, 192])


@pytest.fixture(scope="module")
def measured() -> Measured:
    return experiment.measure(
        seed=6,
        batch_sizes=SIZES.tolist(),
        learning_rates=2.0 ** np.arange(-6, 3),
        targets=(0.25, 0.6),
        starts=3,
        noise_starts=1,
        examples=400,
        hidden_units=20,
    )


def made(minimum: float = 50.0, critical: tuple[float, ...] = (20.0, 40.0), noise: float = 1.5) -> Measured:
    """A result that follows S = S_min(1 + B_crit/B), with rates in proportion to the batch up to 64."""
    sizes = 2 ** np.arange(11)
    rates = 2.0 ** np.arange(-9, 2)
    best = np.minimum(np.arange(11), 6) + 2
    curves = minimum * (1 + np.array(critical) / sizes[:, None])  # (B, T)
    off = 2.0 ** np.abs(np.arange(11) - best[:, None])  # (B, R)
    steps = (off[:, :, None] * curves[:, None, :])[..., None].repeat(3, axis=3)
    scales = np.broadcast_to(noise * np.array(critical)[:, None], (11, len(critical), 2))
    return Measured(sizes, rates, 0.3 / np.arange(1, len(critical) + 1), steps, scales)


def test_larger_batches_need_fewer_steps_and_larger_rates(measured: Measured) -> None:
    assert measured.targets.tolist() == [0.6, 0.25]
    assert (np.diff(measured.best_steps, axis=0) < 0).all()
    fewer = measured.best_steps[:-1] / measured.best_steps[1:]
    assert fewer[0] == pytest.approx(4.0, rel=0.25)  # four times the batch, where it is small
    assert (fewer[-1] < 0.8 * fewer[0]).all()
    rates = measured.best_rates[:3]
    assert (np.diff(rates, axis=0) > 0).all()


def test_a_lower_loss_has_a_larger_critical_batch_and_more_noise(measured: Measured) -> None:
    early, late = experiment.fits(measured)
    assert early.residual < 0.15
    assert late.residual < 0.15
    assert late.critical_batch > 1.2 * early.critical_batch
    early_noise, late_noise = experiment.noise_scales(measured)
    assert late_noise > early_noise
    assert 0.2 < late_noise / late.critical_batch < 5


def test_steps_to_a_loss_are_those_of_a_training_on_the_same_batches() -> None:
    model, data = experiment.problem(300, 12, seed=2)
    curve = experiment.follow(model, data, 16, 0.25, seed=5, target=0.9)
    reached = curve.reach(0.9)
    batches = np.random.default_rng([5, 16]).integers(0, len(data), (experiment.budget(16), 16))
    losses = [
        model.loss(
            train(model, data, SGD(0.25), indices=batches[:steps], theta=model.init(5)).theta, data.X, data.targets
        )
        for steps in curve.steps[-2:].tolist()
    ]
    assert losses == pytest.approx(curve.loss[-2:].tolist(), rel=1e-6)
    assert losses[0] >= 0.9 > losses[1]
    assert curve.steps[-2] <= reached <= curve.steps[-1]
    assert curve.steps[0] == 0
    assert curve.loss[0] == pytest.approx(model.loss(model.init(5), data.X, data.targets))


@pytest.mark.parametrize(("target", "expected"), [(5.0, 0.0), (2.0, 3.0), (0.5, 7.0), (0.2, np.inf)])
def test_steps_are_interpolated_in_the_logarithm_of_the_loss(target: float, expected: float) -> None:
    curve = LossCurve(np.array([0, 1, 5, 9]), np.array([4.0, 4.0, 1.0, 0.25]), np.empty(0))
    assert curve.reach(target) == pytest.approx(expected)


def test_a_start_that_diverges_or_is_too_slow_needs_infinitely_many_steps() -> None:
    model, data = experiment.problem(100, 8, seed=3)
    for rate in (1e-6, 1e4):
        assert experiment.follow(model, data, 64, rate, seed=1, target=0.3).reach(0.3) == np.inf


def test_mean_noise_is_that_of_the_steps_to_the_target() -> None:
    curve = LossCurve(np.array([0, 2, 4, 8]), np.array([3.0, 2.0, 1.0, 0.5]), np.array([1.0, 3.0, 5.0, 100.0]))
    assert experiment.mean_noise(curve, 1.5) == pytest.approx(3.0)
    assert np.isnan(experiment.mean_noise(curve, 0.1))
    model, data = experiment.problem(150, 8, seed=3)
    seen = experiment.follow(model, data, 32, 0.1, seed=1, target=1.5, noise=True)
    assert seen.noise[0] == pytest.approx(gradient_noise_scale(model, model.init(1), data.X, data.targets))


def test_fit_finds_the_curve_and_its_scatter() -> None:
    rng = np.random.default_rng(3)
    exact = 70 * (1 + 25 / SIZES)
    found = experiment.fit(SIZES, exact)
    assert found == pytest.approx((70, 25, 0), rel=1e-3, abs=1e-6)
    assert found.steps(SIZES) == pytest.approx(exact, rel=1e-3)
    sizes = np.geomspace(1, 1000, 200)
    scattered = experiment.fit(sizes, 70 * (1 + 25 / sizes) * np.exp(0.2 * rng.normal(size=200)))
    assert scattered.residual == pytest.approx(0.2, rel=0.15)
    assert np.isnan(experiment.fit(SIZES, np.where(SIZES == 3, np.inf, exact))).all()


def test_a_best_rate_at_the_end_of_the_ladder_is_unknown() -> None:
    result = made()
    assert np.isfinite(result.best_rates).all()
    cut = replace(result, learning_rates=result.learning_rates[:6], steps=result.steps[:, :6])
    assert np.isnan(cut.best_rates).all(axis=1).tolist() == [best >= 5 for best in range(2, 8)] + [True] * 5
    never = replace(result, steps=np.full_like(result.steps, np.inf))
    assert np.isnan(never.best_rates).all()


def test_claims_hold_for_the_published_law_and_for_no_other() -> None:
    good = experiment.claims(made(), linear_up_to=32)
    assert all(claim.holds for claim in good)
    assert len(good) == 2 * 4 + 1
    assert not experiment.claims(made(critical=(20.0, 20.0)))[-1].holds
    assert not any(claim.holds for claim in experiment.claims(made(noise=9.0)) if "noise" in claim.what)
    flat = made()
    flat = replace(flat, steps=np.broadcast_to(flat.steps[5:6], flat.steps.shape))
    assert not any(claim.holds for claim in experiment.claims(flat) if "B ≤ 32" in claim.what)
    lost = replace(made(), steps=np.where(np.arange(11)[:, None, None, None] == 4, np.inf, made().steps))
    assert not any(
        claim.holds for claim in experiment.claims(lost) if "residual" in claim.what or "B_crit at" in claim.what
    )
