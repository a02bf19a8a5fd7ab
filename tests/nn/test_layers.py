"""What a run records of each layer: the norms of its weights, and the units that learn nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nn import MLP, SGD, Adam, AdamW, Dataset, RMSprop, TrainState, load, load_dataset, reference, train
from nn.optimizers import Optimizer

Array = NDArray[Any]

RNG = np.random.default_rng(12)
X, LABELS = RNG.normal(size=(43, 4)), RNG.integers(0, 3, 43)
DATA = Dataset(X, LABELS, task="classification")
IRIS = load_dataset("iris").split(seed=0)
STILL = np.zeros(6 * 3)  # the rates of three epochs in batches of 8 in which nothing moves

RECIPES: dict[str, tuple[Optimizer, dict[str, Any]]] = {
    "sgd": (SGD(0.2), {}),
    "clipped": (SGD(0.2, clip_norm=0.1), {}),
    "layer rates": (SGD(0.1, rate_multipliers=(0.5, 0.0, 2.0)), {}),
    "momentum": (SGD(0.05, 0.9), {}),
    "decay": (SGD(0.1, weight_decay=0.1), {}),
    "adamw": (AdamW(0.01, weight_decay=0.1, clip_norm=0.1), {}),
    "rmsprop": (RMSprop(0.005, 0.9), {}),
    "dropout": (SGD(0.1), {"dropout": 0.3}),
    "no bias": (Adam(0.01), {"bias": False, "l2": 0.1}),
}


def recorded(run: Any) -> Any:
    assert run.history.layers is not None
    return run.history.layers


def with_biases(model: MLP, *biases: Any) -> Array:
    """Theta whose hidden layers have weights too small to matter, and these biases."""
    theta = model.init(0)
    for (W, b), values in zip(model.layers(theta), biases, strict=False):
        W *= 1e-9
        b[:] = values
    return theta


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "gelu"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_the_records_are_those_of_the_reference(recipe: str, activation: str) -> None:
    optimizer, options = RECIPES[recipe]
    model = MLP((4, 9, 8, 3), activation, "softmax", "cross_entropy", dtype="float64", **options)
    net, update, multipliers = model.network, optimizer.update(), model.rate_multipliers(optimizer)
    theta = model.init(5)
    theta[net.offsets[1] - 5 : net.offsets[1]] += {"relu": -30.0, "gelu": 0.0}.get(activation, 30.0)
    run = train(model, DATA, optimizer, batch_size=8, epochs=4, seed=5, shuffle=False, theta=theta)
    moments, layers = reference.Moments(np.zeros_like(theta), np.zeros_like(theta)), recorded(run)
    for epoch in range(4):
        slopes = np.zeros(17)
        for position in range(6):
            rows, step = slice(8 * position, 8 * position + 8), 6 * epoch + position
            slopes += reference.slope_sums(net, reference.forward(net, theta, X[rows], 5, step)[1])
            _, gradient = reference.loss_gradient(net, theta, X[rows], LABELS[rows], None, 5, step)
            before, norms = theta.copy(), reference.weight_norms(net, gradient)
            rate = optimizer.learning_rate
            reference.update_parameters(net, update, theta, gradient, moments, rate, multipliers, step)
        np.testing.assert_allclose(layers.gradient_norm[epoch], norms, rtol=1e-9)
        np.testing.assert_allclose(layers.weight_norm[epoch], reference.weight_norms(net, theta), rtol=1e-9)
        np.testing.assert_allclose(layers.update_norm[epoch], reference.weight_norms(net, theta - before), rtol=1e-6)
        idle, other = (layers.dead, layers.saturated) if activation == "relu" else (layers.saturated, layers.dead)
        assert np.isnan(other).all()
        if activation == "gelu":
            assert np.isnan(idle).all()
        else:
            np.testing.assert_array_equal(idle[epoch], reference.idle_shares(net, slopes, 43))
            assert idle[epoch, 0] >= (0 if "bias" in options else 5 / 9) - 1e-12


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "optimizer",
    [
        SGD(0.5, weight_decay=0.4),
        SGD(0.5, weight_decay=0.4, momentum=0.9, rate_multipliers=(1, 0, 2)),
        SGD(0.5, weight_decay=0.4, clip_norm=1e-3),
        AdamW(0.01, weight_decay=0.4),
        RMSprop(0.01, weight_decay=0.4, momentum=0.5),
    ],
    ids=repr,
)
def test_the_norm_of_an_update_is_the_way_that_theta_goes_decay_included(optimizer: Any, dtype: str) -> None:
    model = MLP((4, 6, 5, 3), dtype=dtype)
    seen = [model.init(1)]
    options: dict[str, Any] = {"batch_size": "full", "epochs": 3, "theta": seen[0]}
    run = train(model, IRIS, optimizer, **options, callback=lambda shown: seen.append(shown.theta))
    ways = np.diff(np.array(seen, np.float64), axis=0)
    np.testing.assert_allclose(run.history.update_norm, np.linalg.norm(ways, axis=1), rtol=1e-4)
    for layer, norms in enumerate(recorded(run).update_norm.T):
        own = [np.linalg.norm(model.layers(way.astype(dtype))[layer][0]) for way in ways]
        np.testing.assert_allclose(norms, own, rtol=1e-4, atol=1e-7)


def test_norms_of_all_layers_make_up_those_of_the_whole() -> None:
    model = MLP((4, 6, 5, 3), bias=False)
    for optimizer in (SGD(0.1), Adam(0.01, clip_norm=0.1)):
        run = train(model, IRIS, optimizer, batch_size="full", epochs=5)
        layers = recorded(run)
        np.testing.assert_allclose(np.linalg.norm(layers.gradient_norm, axis=1), run.history.gradient_norm, rtol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(layers.update_norm, axis=1), run.history.update_norm, rtol=1e-6)
        W = [np.linalg.norm(W) for W, _ in model.layers(run.theta)]
        np.testing.assert_allclose(layers.weight_norm[-1], W, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [1, 7, 32, "full"])
@pytest.mark.parametrize(("activation", "idle"), [("relu", -9.0), ("tanh", 9.0), ("logistic", -9.0)])
def test_units_that_were_made_idle_are_counted(activation: str, idle: float, batch_size: Any, dtype: str) -> None:
    model = MLP((4, 8, 70, 3), activation, dtype=dtype)
    theta = with_biases(model, [idle] * 3 + [0.1] * 5, [idle] * 7 + [0.1] * 63)
    layers = recorded(train(model, DATA, SGD(1e-3), batch_size=batch_size, epochs=2, theta=theta))
    shares = layers.dead if activation == "relu" else layers.saturated
    np.testing.assert_array_equal(shares, [[3 / 8, 7 / 70]] * 2)


@pytest.mark.parametrize("batch_size", [1, 8, 43])
def test_a_unit_that_fires_for_one_example_is_not_dead(batch_size: int) -> None:
    one = np.eye(43)[:, [17]]  # the one example at which the input is 1
    data = Dataset(one, LABELS, task="classification")
    model = MLP((1, 2, 3), dtype="float64")
    theta = model.init(0)
    W, b = model.layers(theta)[0]
    W[:], b[:] = [1.0, 0.4], -0.5
    steps = -(-43 // batch_size)
    run = train(model, data, SGD(0.1), batch_size=batch_size, theta=theta, epochs=3, schedule=np.zeros(3 * steps))
    assert recorded(run).dead.tolist() == [[0.5]] * 3


@pytest.mark.parametrize(("activation", "largest"), [("tanh", 1.0), ("logistic", 0.25)])
def test_saturation_begins_at_a_hundredth_of_the_largest_slope(activation: str, largest: float) -> None:
    model = MLP((4, 2, 3), activation, dtype="float64")
    slopes = 0.01 * largest * np.array([0.999, 1.001])
    a = np.sqrt(1 - slopes) if activation == "tanh" else (1 + np.sqrt(1 - 4 * slopes)) / 2
    biases = np.arctanh(a) if activation == "tanh" else np.log(a / (1 - a))
    theta = with_biases(model, biases)
    run = train(model, DATA, SGD(0.1), batch_size=8, epochs=3, theta=theta, schedule=STILL)
    assert recorded(run).saturated.tolist() == [[0.5]] * 3


def test_shares_are_of_the_whole_epoch_however_it_is_cut() -> None:
    """Batches of more rows than a chunk of the kernels has, cut by callbacks, and a mean that only the whole tells."""
    data = Dataset(np.repeat([[1.0], [0.0]], [30, 1200], axis=0)[RNG.permutation(1230)], np.arange(1230) % 2)
    model = MLP((1, 40, 2), "logistic", dtype="float64")
    theta = model.init(0)
    W, b = model.layers(theta)[0]
    W[:], b[:] = np.linspace(0, 30, 40), -9.0  # a unit is idle where 30 of 1,230 examples do not lift its mean slope
    z = np.where(data.X == 1, W + b, b)
    a = 1 / (1 + np.exp(-z))
    expected = (a * (1 - a)).mean(axis=0) <= 0.0025
    assert 0 < expected.sum() < 40
    for batch_size, steps in ((100, 13), (600, 3), ("full", 1)):
        for every in (1, 2, 50):
            rates = np.zeros(2 * steps)
            run = train(
                model, data, SGD(0.1), batch_size=batch_size, epochs=2, theta=theta, schedule=rates,
                callback=lambda shown: None, every_steps=every,
            )  # fmt: skip
            assert recorded(run).saturated[:, 0].tolist() == [expected.mean()] * 2


def test_a_network_without_hidden_layers_has_no_shares_and_a_diverged_run_its_completed_epochs() -> None:
    layers = recorded(train(MLP((4, 3)), IRIS, epochs=2))
    assert layers.weight_norm.shape == (2, 1)
    assert layers.dead.shape == layers.saturated.shape == (2, 0)
    run = train(MLP((4, 6, 3)), IRIS, SGD(0.5), epochs=9, schedule=np.geomspace(1e-3, 1e9, 27))
    assert run.status == "diverged"
    assert 0 < run.epochs < 9
    assert recorded(run).dead.shape == (run.epochs, 1)
    assert np.isfinite(recorded(run).records[: 3 * 2]).all()


def test_layers_are_saved_and_loaded(tmp_path: Path) -> None:
    for activation in ("relu", "tanh"):
        run = train(MLP((4, 6, 5, 3), activation), IRIS, epochs=3, metrics="train_f1_macro")
        run.save(tmp_path / "run.npz")
        for name in ("weight_norm", "gradient_norm", "update_norm", "dead", "saturated"):
            one, other = (getattr(recorded(each), name) for each in (run, load(tmp_path / "run.npz")))
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("steps", [2, 3, 4, 6])
@pytest.mark.parametrize("metrics", [(), ("train_f1_macro",)])
def test_a_state_from_before_layers_were_recorded_goes_on(steps: int, metrics: tuple[str, ...]) -> None:
    model, options = MLP((4, 6, 5, 3)), {"epochs": 4, "batch_size": 30, "metrics": metrics}
    whole = train(model, IRIS, Adam(0.01), **options)
    stop = {"callback": lambda shown: shown.step == steps, "every_steps": 1}
    arrays = train(model, IRIS, Adam(0.01), **options, **stop).state.to_arrays()
    arrays["history"] = np.delete(arrays["history"], range(6, 6 + 4 * 3), axis=1)
    arrays["totals"] = arrays["totals"][:6]
    run = train(model, IRIS, Adam(0.01), **options, resume=TrainState.from_arrays(arrays))
    np.testing.assert_array_equal(run.theta, whole.theta)
    np.testing.assert_array_equal(run.history.train_loss, whole.history.train_loss)
    assert run.metrics == whole.metrics
    before, cut = steps // 3, steps % 3 > 0
    assert np.isnan(recorded(run).records[:, :before]).all()
    assert np.isnan(recorded(run).dead[: before + cut]).all()
    np.testing.assert_array_equal(recorded(run).weight_norm[before:], recorded(whole).weight_norm[before:])
    np.testing.assert_array_equal(recorded(run).dead[before + cut :], recorded(whole).dead[before + cut :])
