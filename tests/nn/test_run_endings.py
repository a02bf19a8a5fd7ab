"""How runs end: divergence, early stopping, targets, callbacks; and what is left untouched."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest

from nn import MLP, SGD, Dataset, EarlyStopping, Snapshot, load_dataset, train

RNG = np.random.default_rng(2)
X = RNG.normal(size=(50, 4))
LABELS = RNG.integers(0, 3, 50)
DATA = Dataset(X, LABELS)
MODEL = MLP((4, 6, 3), "tanh", dtype="float64")
THETA = MODEL.init(seed=1)
IRIS = load_dataset("iris").split(seed=0)


def bowl(start: float) -> dict[str, Any]:
    """½θ² on two equal examples: a step of rate η multiplies θ by 1 − η, so that all is known beforehand."""
    model = MLP((1, 1), bias=False, dtype="float64")
    return {"model": model, "data": Dataset([[1.0], [1.0]], [0.0, 0.0], "regression"), "theta": [start]}


def descend(start: float, rate: float, **options: Any) -> Any:
    return train(**bowl(start), optimizer=SGD(rate), batch_size="full", **{"record_steps": True, **options})


@pytest.mark.parametrize("factor", [2.0, 100.0, 1e4])
def test_divergence_is_the_first_loss_above_the_factor(factor: float) -> None:
    run = descend(1.0, 3.0, epochs=50, divergence_factor=factor)  # θ = (−2)ᵗ, loss = 4ᵗ/2
    first = next(t for t in range(50) if 4**t >= factor)
    assert (run.status, run.reason, run.diverged_step, run.steps) == ("diverged", "", first, first)
    assert run.theta.tolist() == [(-2.0) ** first]
    assert run.epochs == len(run.history.train_loss) == first
    assert run.history.step_loss.tolist() == [4**t / 2 for t in range(first + 1)]


def test_a_loss_that_rises_less_than_the_factor_is_no_divergence() -> None:
    assert descend(1.0, 3.0, epochs=7, divergence_factor=4.0**7).status == "completed"
    assert descend(1.0, 3.0, epochs=200, divergence_factor=math.inf).status == "completed"


def test_infinity_and_nan_are_divergence_whatever_the_factor() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = descend(1.0, 3.0, epochs=3000, divergence_factor=math.inf)
    assert run.status == "diverged"
    assert run.diverged_step == 512
    assert run.history.step_loss[-1] == math.inf
    assert np.isfinite(run.history.step_loss[:-1]).all()
    deep = MLP((4, 30, 30, 3), dtype="float32")
    for rate in (1e5, 1e20, 1e38):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            run = train(deep, IRIS, SGD(rate), epochs=9, divergence_factor=math.inf, record_steps=True)
        assert run.status == "diverged"
        assert run.diverged_step == run.steps == len(run.history.step_loss) - 1
        assert run.epochs == run.steps // 3
        assert len(run.history.validation_loss) == run.epochs


def test_divergence_in_the_first_step_leaves_an_empty_history() -> None:
    run = descend(1e200, 0.1, epochs=5)
    assert (run.status, run.diverged_step, run.steps, run.epochs) == ("diverged", 0, 0, 0)
    assert run.theta.tolist() == [1e200]
    assert math.isnan(run.metrics["train_loss"])


@pytest.mark.parametrize("held_out", [False, True])
def test_divergence_in_the_very_last_update_is_noticed(held_out: bool) -> None:
    data = Dataset([[3e4], [3e4], [3e4], [3e4], [3e4]], [1.0, 2.0, 3.0, 4.0, 5.5])
    model, options = MLP((1, 1), init="normal"), {"batch_size": "full", "epochs": 1}
    used = data.split(0.4, 0, scale=False) if held_out else data
    run = train(model, used, SGD(1e37), **options)  # type: ignore[arg-type]
    assert (run.status, run.diverged_step, run.steps) == ("diverged", 1, 1)


def test_parameters_that_only_the_validation_part_sees_diverge_are_noticed() -> None:
    """The last update leaves finite parameters whose outputs are not numbers."""
    run = train(MLP((4, 8, 3)), IRIS, SGD(1e28), batch_size="full", epochs=1)
    assert np.isfinite(run.theta).all()
    assert np.isnan(run.history.validation_loss).all()
    assert run.status == "diverged"


def test_a_run_that_starts_at_the_minimum_does_not_diverge() -> None:
    run = descend(0.0, 0.1, epochs=3)
    assert run.status == "completed"
    assert run.history.train_loss.tolist() == [0.0, 0.0, 0.0]
    assert run.history.train_r2.tolist() == [1.0, 1.0, 1.0]


def test_a_good_start_is_measured_by_a_network_that_knows_nothing() -> None:
    """The loss of θ = 0 sets the scale where the first loss happens to be tiny."""
    data = Dataset([[1.0], [1.0]], [1.0, 1.0], "regression")
    model = MLP((1, 1), bias=False, dtype="float64")
    run = train(model, data, SGD(3.0), theta=[1.0 + 1e-9], batch_size="full", epochs=15, divergence_factor=10)
    assert run.status == "completed"
    assert run.state.start_loss == 0.5


def test_early_stopping_keeps_the_best_parameters() -> None:
    stop = EarlyStopping(patience=4, metric="validation_accuracy")
    run = train(MLP((4, 16, 3)), IRIS, SGD(0.5, momentum=0.9), epochs=200, early_stopping=stop)
    scores = run.history.validation_accuracy
    best = int(np.argmax(scores))
    assert (run.status, run.reason, run.epochs) == ("stopped", "early stopping", best + 5)
    assert run.metrics == run.history.metrics(best)
    assert run.evaluate(IRIS.validation)["loss"] == run.history.validation_loss[best]
    again = train(MLP((4, 16, 3)), IRIS, SGD(0.5, momentum=0.9), epochs=best + 1)
    np.testing.assert_array_equal(run.theta, again.theta)


def test_early_stopping_by_hand_on_a_known_course() -> None:
    rates = np.array([0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.5])  # θ falls twice and then rests
    stop = EarlyStopping(patience=3, metric="train_loss")
    run = descend(1.0, 1.0, schedule=rates, epochs=7, early_stopping=stop)
    # The training loss of an epoch is that before its update: 1/2, 1/8, 1/32, 1/32, …
    assert (run.status, run.epochs, run.state.best_epoch) == ("stopped", 6, 2)
    patient = EarlyStopping(patience=4, min_delta=0.2, metric="train_loss")
    run = descend(1.0, 1.0, schedule=rates, epochs=7, early_stopping=patient)
    assert (run.status, run.epochs, run.state.best_epoch) == ("stopped", 6, 1)


def test_a_diverged_run_reports_its_last_epoch_even_with_early_stopping() -> None:
    stop = EarlyStopping(patience=50, metric="train_loss")
    run = descend(1.0, 3.0, epochs=50, divergence_factor=100.0, early_stopping=stop)
    assert run.status == "diverged"
    assert run.theta.tolist() == run.state.theta.tolist()
    assert run.metrics == run.history.metrics()


def test_a_target_stops_after_the_first_epoch_that_reaches_it() -> None:
    goal = {"train_loss": 0.5, "validation_accuracy": 0.9}
    run = train(MLP((4, 16, 3)), IRIS, SGD(0.1), epochs=100, target=goal)
    reached = (run.history.train_loss <= 0.5) & (run.history.validation_accuracy >= 0.9)
    assert (run.status, run.reason) == ("stopped", "target")
    assert reached[-1]
    assert not reached[:-1].any()
    assert run.epochs > 1


def test_a_callback_is_called_when_it_was_asked_for() -> None:
    for options, expected in (
        ({"every": 2}, [8, 16, 24]),
        ({"every_steps": 5}, [5, 10, 15, 20, 25]),
        ({"every_steps": 100}, []),
    ):
        seen: list[Snapshot] = []
        train(MODEL, DATA, batch_size=16, epochs=7, callback=seen.append, **options)  # type: ignore[arg-type]
        assert [shown.step for shown in seen] == expected
        assert [shown.epoch for shown in seen] == [step // 4 for step in expected]
        assert all(len(shown.history) == shown.epoch for shown in seen)


def test_a_callback_gets_copies() -> None:
    def spoil(shown: Snapshot) -> None:
        shown.theta[:] = np.nan
        shown.history.train_loss[:] = np.nan
        shown.history.gradient_norm[:] = np.nan
        if shown.history.step_loss is not None:
            shown.history.step_loss[:] = np.nan

    options: dict[str, Any] = {"epochs": 4, "record_steps": True, "early_stopping": EarlyStopping(9, 0.0, "train_loss")}
    spoilt, plain = train(MODEL, DATA, callback=spoil, **options), train(MODEL, DATA, **options)
    np.testing.assert_array_equal(spoilt.theta, plain.theta)
    np.testing.assert_array_equal(spoilt.history.train_loss, plain.history.train_loss)
    np.testing.assert_array_equal(spoilt.history.step_loss, plain.history.step_loss)


def test_a_callback_stops_with_true_alone() -> None:
    assert train(MODEL, DATA, epochs=3, callback=lambda shown: 1).status == "completed"
    run = train(MODEL, DATA, epochs=3, callback=lambda shown: True)
    assert (run.status, run.reason, run.epochs) == ("stopped", "callback", 1)


def test_what_train_is_given_is_left_as_it_was() -> None:
    theta, weights, order = THETA.copy(), np.ones(50), np.zeros((4, 5), np.int64)
    before = DATA.fingerprint
    run = train(MODEL, DATA, theta=theta, sample_weight=weights, indices=order)
    np.testing.assert_array_equal(theta, THETA)
    assert DATA._with().fingerprint == before
    assert weights.tolist() == [1.0] * 50
    assert not order.any()
    run.theta[:] = 0
    assert run.state.theta.any(), "a run's parameters and its state share nothing"


def test_a_start_is_that_of_the_seed() -> None:
    run = train(MODEL, DATA, schedule=np.zeros(2), batch_size=25, epochs=1, seed=9)
    np.testing.assert_array_equal(run.theta, MODEL.init(seed=9))
