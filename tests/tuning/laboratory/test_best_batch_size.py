"""The best batch size against the learning rate, on other sizes, rates and seeds than the script's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nn import MLP, SGD, load_dataset
from tuning.laboratory import best_batch_size as experiment
from tuning.laboratory.best_batch_size import Measured


def made(best: tuple[int, ...], rates: tuple[float, ...] = (0.01, 0.02, 0.04, 0.08)) -> Measured:
    """A result with peaks at these positions among eight batch sizes, in each of four repeats."""
    peaks = 0.9 - 0.02 * np.abs(np.arange(8) - np.array(best)[:, None])
    noise = 1e-3 * np.random.default_rng(0).normal(size=(len(best), 8, 4))
    return Measured(np.array(rates), 2 ** np.arange(8), peaks[:, :, None] + noise)


def test_the_best_batch_grows_with_the_rate() -> None:
    found = experiment.measure(
        seed=13,
        learning_rates=(0.32, 0.02),
        batch_sizes=(128, 32, 8, 2),
        updates=1500,
        repeats=6,
        training_examples=900,
    )
    assert found.learning_rates.tolist() == [0.02, 0.32]
    assert found.batch_sizes.tolist() == [2, 8, 32, 128]
    assert found.accuracy.shape == (2, 4, 6)
    slow, fast = found.batch_sizes[found.best]
    assert fast >= 4 * slow
    assert found.mean[1, 0] < found.mean[0, 0] - 0.05  # a batch of two is too noisy for the large rate


def test_examples_have_the_wrong_labels_asked_for_and_are_judged_by_true_ones() -> None:
    digits = load_dataset("digits")
    digits = digits.scaled_by(digits.fit_scaling())
    labels = {row.tobytes(): label for row, label in zip(np.asarray(digits.X), digits.targets, strict=True)}
    part, judge = experiment.examples(1200, 0.5, seed=21)
    assert (len(part), len(judge)) == (1200, len(digits) - 1200)
    true = np.array([labels[row.tobytes()] for row in np.asarray(part.X)])
    assert (part.targets != true).mean() == pytest.approx(0.5 * 0.9, abs=0.04)
    assert np.array_equal(judge.targets, [labels[row.tobytes()] for row in np.asarray(judge.X)])
    again, _ = experiment.examples(1200, 0.5, seed=21)
    other, _ = experiment.examples(1200, 0.5, seed=22)
    assert np.array_equal(again.X, part.X)
    assert not np.array_equal(other.X, part.X)
    clean, _ = experiment.examples(1200, 0.0, seed=21)
    assert np.array_equal(clean.targets, true)


@pytest.mark.parametrize(("batch_size", "updates"), [(1, 40), (50, 40), (400, 7)])
def test_every_batch_size_gets_as_many_updates(monkeypatch: pytest.MonkeyPatch, batch_size: int, updates: int) -> None:
    part, judge = experiment.examples(300, 0.2, seed=3)
    steps = []
    train = experiment.train

    def counted(*arguments: object, **options: object) -> object:
        run = train(*arguments, **options)  # type: ignore[arg-type]
        steps.append((run.steps, np.shape(options["indices"])[1]))
        return run

    monkeypatch.setattr(experiment, "train", counted)
    experiment.accuracy_after(updates, MLP((64, 8, 10)), part, judge, SGD(0.05), batch_size, seed=4)
    assert steps == [(updates, batch_size)]


def test_a_training_that_diverged_counts_as_guessing() -> None:
    part, judge = experiment.examples(300, 0.2, seed=3)
    accuracy = experiment.accuracy_after(200, MLP((64, 8, 10)), part, judge, SGD(1e6, momentum=0.9), 8, seed=4)
    assert accuracy == pytest.approx(0.1)


def test_a_best_batch_at_either_end_of_the_grid_is_unknown() -> None:
    found = experiment.best_or_nan(made((0, 1, 6, 7)))
    assert np.isnan(found).tolist() == [True, False, False, True]
    assert found[1:3].tolist() == [2, 64]


def test_claims_hold_for_proportionality_and_for_nothing_else() -> None:
    def holds(best: tuple[int, ...]) -> list[bool]:
        return [claim.holds for claim in experiment.claims(made(best), "relu")]

    assert holds((1, 2, 3, 4)) == [True] * 6
    assert holds((1, 2, 3, 5)) == [True] * 4 + [False, True]  # one doubling off by one step
    assert holds((2, 2, 3, 3))[3] is False
    assert holds((3, 3, 3, 3))[3:5] == [False, False]
    assert not any(holds((4, 3, 2, 1))[:5])
    assert not any(holds((0, 1, 2, 3))[i] for i in (0, 3, 4))


def test_the_interval_of_the_slope_is_as_wide_as_the_repeats_differ() -> None:
    assert experiment.slope_interval(made((1, 2, 3, 4))) == pytest.approx((1.0, 1.0))
    steep, flat = made((1, 2, 3, 4)), made((3, 3, 3, 3))
    mixed = replace(steep, accuracy=np.concatenate([steep.accuracy, flat.accuracy], axis=2))
    low, high = experiment.slope_interval(mixed, seed=5)
    assert low < 0.3
    assert high == pytest.approx(1.0)
    assert np.isnan(experiment.slope_interval(made((0, 0, 0, 0)))).all()


def test_the_lead_is_that_over_the_largest_batch_in_standard_errors() -> None:
    result = made((2, 2, 2, 2))
    ahead = result.accuracy[:, 2] - result.accuracy[:, -1]
    assert experiment.lead(result) == pytest.approx(ahead.mean(axis=1) / (ahead.std(axis=1, ddof=1) / 2))
    same = replace(result, accuracy=np.full_like(result.accuracy, 0.5))
    assert experiment.lead(same).tolist() == [0.0] * 4
    assert not experiment.claims(same, "relu")[-1].holds
