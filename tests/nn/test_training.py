"""The laws of training: what a step is, what an example and a batch count for, which rates and batches are taken."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nn import MLP, SGD, Adam, Dataset, load_dataset, train
from nn.model import ACTIVATIONS
from nn.schedules import Cosine, Ramp

RNG = np.random.default_rng(2)
X = RNG.normal(size=(50, 4))
LABELS = RNG.integers(0, 3, 50)
VALUES = RNG.normal(size=(50, 2))
DATA = Dataset(X, LABELS)
MODEL = MLP((4, 6, 3), "tanh", dtype="float64")
THETA = MODEL.init(seed=1)
IRIS = load_dataset("iris").split(seed=0)


def close(one: Any, other: Any, tolerance: float = 1e-12) -> None:
    np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


# -- what a step is --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("task", ["classification", "regression", "multilabel"])
def test_a_full_batch_step_is_theta_minus_rate_times_gradient(activation: str, task: str) -> None:
    y = {"classification": LABELS, "regression": VALUES, "multilabel": (VALUES > 0).astype(int)}[task]
    data = Dataset(X, y, task)
    model = MLP((4, 6, data.n_outputs), activation, dtype="float64", l2=0.03).for_task(task)
    theta = model.init(seed=3)
    run = train(model, data, SGD(0.07), batch_size="full", epochs=1, theta=theta)
    gradient = model.gradient(theta, X, data.targets if task == "classification" else y)
    close(run.theta, theta - 0.07 * gradient)
    close(run.history.gradient_norm, [np.linalg.norm(gradient)])
    close(run.history.update_norm, [0.07 * np.linalg.norm(gradient)])


def test_full_batch_is_all_rows_in_order() -> None:
    full = train(MODEL, DATA, batch_size="full", epochs=3, theta=THETA)
    rows = train(MODEL, DATA, indices=np.tile(np.arange(50), (3, 1)), epochs=3, theta=THETA)
    np.testing.assert_array_equal(full.theta, rows.theta)


def test_the_loss_is_a_mean_so_that_doubling_the_data_changes_nothing() -> None:
    twice = Dataset(np.vstack([X, X]), np.hstack([LABELS, LABELS]))
    one, two = (train(MODEL, d, SGD(0.3, momentum=0.9), batch_size="full", theta=THETA) for d in (DATA, twice))
    close(one.theta, two.theta, 1e-10)
    close(one.history.train_loss, two.history.train_loss, 1e-10)


def test_the_last_shorter_batch_counts_by_its_examples() -> None:
    run = train(MODEL, DATA, batch_size=16, epochs=4, seed=1, record_steps=True)
    assert run.steps == 16
    assert run.history.step_loss is not None
    by_epoch = run.history.step_loss.reshape(4, 4)
    close(run.history.train_loss, by_epoch @ np.array([16, 16, 16, 2]) / 50)
    assert np.abs(run.history.train_loss - by_epoch.mean(axis=1)).max() > 1e-3


def test_the_last_batch_is_a_mean_of_its_own_examples() -> None:
    run = train(MODEL, DATA, SGD(0.1), batch_size=48, epochs=1, shuffle=False, theta=THETA)
    first = THETA - 0.1 * MODEL.gradient(THETA, X[:48], LABELS[:48])
    close(run.theta, first - 0.1 * MODEL.gradient(first, X[48:], LABELS[48:]))


def test_step_loss_is_that_of_each_batch_before_its_update() -> None:
    order = RNG.integers(0, 50, (5, 7))
    theta, losses = THETA, []
    for rows in order:
        losses.append(MODEL.loss(theta, X[rows], LABELS[rows]))
        theta = theta - 0.2 * MODEL.gradient(theta, X[rows], LABELS[rows])
    run = train(MODEL, DATA, SGD(0.2), indices=order, theta=THETA, record_steps=True)
    close(run.history.step_loss, losses)
    close(run.theta, theta)


def test_the_penalty_is_in_the_gradient_and_not_in_the_losses_reported() -> None:
    plain, penalised = (
        train(MODEL.replace(l2=l2), DATA, batch_size="full", epochs=1, theta=THETA) for l2 in (0.0, 0.5)
    )
    assert plain.history.train_loss[0] == penalised.history.train_loss[0]
    assert not np.array_equal(plain.theta, penalised.theta)


# -- sample weights --------------------------------------------------------------------------------------------


def test_weight_2_is_the_example_twice() -> None:
    weight = np.where(np.arange(50) % 3 == 0, 2, 1)
    twice = Dataset(np.repeat(X, weight, axis=0), np.repeat(LABELS, weight))
    one = train(MODEL, DATA, batch_size="full", theta=THETA, sample_weight=weight)
    two = train(MODEL, twice, batch_size="full", theta=THETA)
    close(one.theta, two.theta, 1e-11)
    close(one.history.train_loss, two.history.train_loss, 1e-11)


@pytest.mark.parametrize("regression", [False, True])
def test_weight_0_is_the_example_left_out(regression: bool) -> None:
    weight = (np.arange(50) % 4 > 0).astype(float)
    y = VALUES * np.where(weight == 0, 1e4, 1.0)[:, None] if regression else LABELS
    model = MODEL.replace(layer_sizes=(4, 6, 2 if regression else 3))
    task = "regression" if regression else "classification"
    some = train(model, Dataset(X, y, task), batch_size="full", sample_weight=weight)
    without = train(model, Dataset(X[weight > 0], y[weight > 0], task), batch_size="full")
    close(some.theta, without.theta, 1e-11)
    close(some.history.train_loss, without.history.train_loss, 1e-11)
    close(some.state.start_loss, without.state.start_loss, 1e-11)
    if regression:
        close(some.history.train_r2, without.history.train_r2, 1e-11)


def test_only_the_proportions_of_weights_matter() -> None:
    weight = RNG.uniform(0.5, 2, 50)
    runs = [train(MODEL, DATA, epochs=2, sample_weight=weight * scale).theta for scale in (1.0, 8e307, 1e-300)]
    close(runs[0], runs[1], 1e-11)
    close(runs[0], runs[2], 1e-11)


def test_class_weights_are_weights_of_their_examples() -> None:
    each = {0: 3.0, 2: 0.5}
    by_class = train(MODEL, DATA, epochs=3, class_weight=each)
    by_example = train(MODEL, DATA, epochs=3, sample_weight=np.array([each.get(y, 1.0) for y in LABELS.tolist()]))
    np.testing.assert_array_equal(by_class.theta, by_example.theta)
    counts = np.bincount(LABELS)
    balanced = train(MODEL, DATA, epochs=3, class_weight="balanced")
    close(balanced.theta, train(MODEL, DATA, epochs=3, class_weight=dict(enumerate(1 / counts))).theta, 1e-11)
    both = train(MODEL, DATA, epochs=3, class_weight=each, sample_weight=np.arange(50.0))
    product = np.arange(50.0) * [each.get(y, 1.0) for y in LABELS.tolist()]
    close(both.theta, train(MODEL, DATA, epochs=3, sample_weight=product).theta, 1e-11)


def test_class_weights_go_by_label() -> None:
    names = np.array(["c", "a", "b"])[LABELS]
    by_name = train(MODEL, Dataset(X, names), epochs=2, class_weight={"c": 2.0})
    by_hand = train(MODEL, Dataset(X, names), epochs=2, sample_weight=1.0 + (names == "c"))
    np.testing.assert_array_equal(by_name.theta, by_hand.theta)


# -- which batches, which rates --------------------------------------------------------------------------------


def run_losses(**options: Any) -> Any:
    return train(MODEL, DATA, SGD(1e-12), **{"batch_size": 8, "epochs": 3, "record_steps": True, **options})


def test_the_order_of_the_batches_comes_from_the_seed_alone() -> None:
    np.random.seed(1)
    one = run_losses(seed=5, theta=THETA).history.step_loss
    np.random.seed(2)
    np.random.default_rng().random(3)
    np.testing.assert_array_equal(one, run_losses(seed=5, theta=THETA).history.step_loss)
    assert not np.array_equal(one, run_losses(seed=6, theta=THETA).history.step_loss)
    assert not np.array_equal(one[:7], one[7:14]), "each epoch has its own order"


def test_an_epoch_has_each_example_once() -> None:
    """With a rate of almost 0 the epoch's loss is that of the whole set, whatever the order."""
    whole = MODEL.loss(THETA, X, LABELS)
    close(run_losses(theta=THETA).history.train_loss, np.full(3, whole), 1e-9)
    close(run_losses(theta=THETA, shuffle=False).history.train_loss, np.full(3, whole), 1e-9)
    replaced = run_losses(theta=THETA, replacement=True).history.train_loss
    assert np.abs(replaced - whole).min() > 1e-6


def test_without_shuffling_the_batches_are_the_rows_in_order() -> None:
    losses = run_losses(theta=THETA, shuffle=False).history.step_loss.reshape(3, 7)
    expected = [MODEL.loss(THETA, X[at : at + 8], LABELS[at : at + 8]) for at in range(0, 50, 8)]
    close(losses, np.tile(expected, (3, 1)), 1e-9)


def test_with_replacement_every_batch_is_full() -> None:
    """Only full batches give an epoch's loss as the plain mean of those of its steps."""
    run = run_losses(replacement=True, seed=3)
    assert run.steps == 3 * 7
    close(run.history.train_loss, run.history.step_loss.reshape(3, 7).mean(axis=1))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 50), st.integers(0, 2**63 - 1))
def test_any_batch_size_and_seed_train_the_same_number_of_epochs(batch_size: int, seed: int) -> None:
    run = train(MODEL, DATA, batch_size=batch_size, epochs=2, seed=seed)
    assert (run.status, run.epochs, run.steps) == ("completed", 2, 2 * -(-50 // batch_size))
    assert len(run.history.train_loss) == 2


def test_a_schedule_is_followed_step_by_step() -> None:
    rates = RNG.uniform(0, 0.5, 6)
    order = np.tile(np.arange(50), (6, 1))
    theta = THETA
    for rate in rates:
        theta = theta - rate * MODEL.gradient(theta, X, LABELS)
    seen: list[float] = []
    by_array = train(
        MODEL, DATA, indices=order, theta=THETA, schedule=rates, every_steps=1,
        callback=lambda shown: seen.append(shown.learning_rate),
    )  # fmt: skip
    close(by_array.theta, theta)
    assert seen == rates.tolist()
    by_function = train(MODEL, DATA, indices=order, theta=THETA, schedule=lambda step: rates[step])
    np.testing.assert_array_equal(by_function.theta, by_array.theta)


def test_a_schedule_takes_rate_and_length_from_the_run() -> None:
    steps = 4 * 4
    filled = Cosine(0.3, steps)(np.arange(steps))
    short = train(MODEL, DATA, SGD(0.3), batch_size=16, epochs=4, schedule=Cosine())
    np.testing.assert_array_equal(short.theta, train(MODEL, DATA, batch_size=16, epochs=4, schedule=filled).theta)
    own = train(MODEL, DATA, SGD(0.3), batch_size=16, epochs=4, schedule=Ramp(0.01, 9, final=0.2))
    filled = Ramp(0.01, 9, final=0.2)(np.arange(steps))
    np.testing.assert_array_equal(own.theta, train(MODEL, DATA, batch_size=16, epochs=4, schedule=filled).theta)


# -- the update ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [SGD, Adam])
def test_a_rate_multiplier_of_0_freezes_a_layer(kind: Any) -> None:
    run = train(MODEL, DATA, kind(0.1, rate_multipliers=(0, 1), weight_decay=0.1), theta=THETA, epochs=2)
    (W0, b0), (W1, b1) = MODEL.layers(run.theta)
    (V0, c0), (V1, c1) = MODEL.layers(THETA)
    np.testing.assert_array_equal(W0, V0)
    np.testing.assert_array_equal(b0, c0)
    assert (W1 != V1).all()
    assert (b1 != c1).all()


def test_a_rate_multiplier_multiplies_the_rate() -> None:
    run = train(MODEL, DATA, SGD(0.1, rate_multipliers=(0.5, 3)), batch_size="full", epochs=1, theta=THETA)
    each = np.repeat([0.05, 0.3], [30, 21])
    close(run.theta, THETA - each * MODEL.gradient(THETA, X, LABELS))


@pytest.mark.parametrize("limit", [1e-3, 0.05, 1e3])
def test_clipping_bounds_the_gradient_and_keeps_its_direction(limit: float) -> None:
    gradient = MODEL.gradient(THETA, X, LABELS)
    norm = float(np.linalg.norm(gradient))
    run = train(MODEL, DATA, SGD(0.5, clip_norm=limit), batch_size="full", epochs=1, theta=THETA)
    close(run.theta, THETA - 0.5 * gradient * min(1, limit / norm))
    close(run.history.gradient_norm, [norm])
    close(run.history.update_norm, [0.5 * min(norm, limit)])


@pytest.mark.parametrize("kind", [SGD, Adam])
def test_weight_decay_shrinks_weights_and_spares_biases(kind: Any) -> None:
    theta = THETA + 0.3
    plain, decayed = (
        train(MODEL, DATA, kind(0.1, weight_decay=decay), batch_size="full", epochs=1, theta=theta).theta
        for decay in (0.0, 0.5)
    )
    for (W, b), (V, c), (start, _) in zip(*map(MODEL.layers, (plain, decayed, theta)), strict=True):
        close(W - V, 0.1 * 0.5 * start)
        np.testing.assert_array_equal(b, c)


def test_dropout_is_off_when_validation_is_scored() -> None:
    model = MLP((4, 30, 3), dropout=0.6)
    run = train(model, IRIS, epochs=3, record_steps=True)
    assert run.evaluate(IRIS.validation)["loss"] == run.history.validation_loss[-1]
    plain = train(model.replace(dropout=0.0), IRIS, epochs=1)
    assert plain.history.train_loss[0] != run.history.train_loss[0]
