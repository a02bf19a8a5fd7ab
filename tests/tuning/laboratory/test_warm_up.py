"""Warm-up raises the largest trainable rate, on other data, rates, lengths and seeds than the script's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nn import MLP, SGD, load_dataset, sharpness, train
from nn.schedules import Warmup
from tuning import sweep
from tuning.laboratory import warm_up as experiment
from tuning.laboratory.sharpening import Sharpening
from tuning.laboratory.warm_up import Measured

RATES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)


@pytest.fixture(scope="module")
def measured() -> Measured:
    return experiment.measure(
        seed=5, data="wine", learning_rates=RATES, warmups=(1, 150), steps=200, repeats=3, followed_rate=6.0,
        followed_warmup=100, every=10,
    )  # fmt: skip


def made(largest: list[list[int]]) -> Measured:
    """A result in which so many of eight rates train, (warm-ups, repeats); sharpness gives way to the rate."""
    rates = 2.0 ** np.arange(8)
    loss = np.where(np.arange(8)[None, :, None] < np.array(largest)[:, None, :], 0.1, np.inf)
    steps, sharpness = np.arange(0, 41, 10), np.array([1.0, 0.5, 0.2, 0.2, 0.2])
    followed = Sharpening("digits", SGD(8.0), np.ones(40), steps, sharpness)
    return Measured(4 ** np.arange(len(largest)), rates, loss, 2.3, Warmup(8.0, warmup=20), followed)


def test_a_long_warm_up_raises_the_largest_trainable_rate(measured: Measured) -> None:
    without, long = experiment.largest_rates(measured)
    assert (long >= 2 * without).all()
    assert measured.blank == pytest.approx(np.log(3))


def test_the_sharpness_gives_way_to_the_rate(measured: Measured) -> None:
    followed = measured.followed
    assert followed.optimizer.learning_rate * followed.sharpness[0] > 2
    end = np.argmax(followed.steps >= 100)
    assert followed.sharpness[end] < 0.5 * followed.sharpness[0]
    assert np.median(measured.followed_rates[end:] * followed.sharpness[end:]) < 2


def test_no_warm_up_is_a_constant_rate() -> None:
    split = load_dataset("iris").split(seed=8)
    loss = experiment.search(split, [0.1, 0.4], [1, 30], steps=40, repeats=2, seed=8)
    space = {"learning_rate": [0.1, 0.4], "hidden_units": [experiment.HIDDEN], "batch_size": "full"}
    plain = sweep(split, space, "grid", epochs=40, repeats=2, metric="train_loss", seed=8, progress=False)
    for trial in plain.trials:
        at = [0.1, 0.4].index(trial.params["learning_rate"])  # type: ignore[arg-type]
        assert loss[0, at, trial.repeat] == trial.metrics["train_loss"]
        assert loss[1, at, trial.repeat] != trial.metrics["train_loss"]


def test_a_trial_that_diverged_has_an_infinite_loss() -> None:
    split = load_dataset("iris").split(seed=8)
    loss = experiment.search(split, [0.1, 1e5], [1], steps=40, repeats=1, seed=8)
    assert np.isfinite(loss).tolist() == [[[True], [False]]]


def test_each_sharpness_and_rate_is_that_of_the_step_beside_it() -> None:
    data = load_dataset("iris").split(seed=4).train
    followed = experiment.follow(data, SGD(0.6), Warmup(0.6, warmup=30), steps=48, every=16, seed=7)
    assert followed.steps.tolist() == [0, 16, 32, 48]
    result = replace(made([[1]]), schedule=Warmup(0.6, warmup=30), followed=followed)
    assert result.followed_rates == pytest.approx([0.6 / 30, 0.6 * 17 / 30, 0.6, 0.6])
    model = MLP((4, *experiment.HIDDEN, 3)).for_task(data.task)
    for step, seen in zip(followed.steps.tolist(), followed.sharpness, strict=True):
        theta = model.init(7)
        if step:
            rates = 0.6 * np.minimum((np.arange(step) + 1) / 30, 1)
            theta = train(model, data, SGD(), batch_size="full", epochs=step, theta=theta, schedule=rates).theta
        assert seen == pytest.approx(sharpness(model, theta, data.X, data.targets), rel=0.01)


def test_the_largest_rate_is_the_last_before_the_first_that_fails() -> None:
    result = made([[3, 0, 8]])
    assert np.array_equal(experiment.largest_rates(result), [[4.0, np.nan, 128.0]], equal_nan=True)
    loss = result.loss.copy()
    loss[0, 5, 0] = 0.1  # trains again above a rate that failed
    assert experiment.largest_rates(replace(result, loss=loss))[0, 0] == 4.0
    loss[0, 1, 2] = 0.6 * result.blank  # does not diverge, and knows hardly more than nothing
    assert experiment.largest_rates(replace(result, loss=loss))[0, 2] == 1.0
    assert experiment.largest_rates(replace(result, loss=loss), part=0.7)[0, 2] == 128.0


def test_claims_hold_where_warm_up_helps_and_fail_where_it_does_not() -> None:
    def holds(result: Measured) -> list[bool]:
        return [claim.holds for claim in experiment.claims(result)]

    good = made([[2, 3, 2], [2, 3, 3], [5, 4, 6]])
    assert holds(good) == [True] * 6
    assert holds(made([[3, 3, 3]] * 3))[:3] == [False, False, True]
    assert holds(made([[5, 5, 5], [4, 4, 4], [2, 2, 2]]))[:3] == [False] * 3
    sharp = replace(good, followed=replace(good.followed, sharpness=good.followed.sharpness[::-1] + 0.3))
    assert holds(sharp)[4:] == [True, False]
    rising = replace(good, followed=replace(good.followed, sharpness=np.array([0.2, 0.1, 0.3, 0.1, 0.1])))
    assert holds(rising)[3:] == [False, False, True]
