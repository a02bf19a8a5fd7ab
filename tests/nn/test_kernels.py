"""The laws that hold reference.py and kernels.py together, and what a kernel may and may not do."""

from __future__ import annotations

import ast
import inspect
import itertools
import math
import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numba.core.runtime import _nrt_python as _nrt
from numba.core.runtime import rtsys
from numpy.typing import NDArray

from nn import MLP, SGD, Adam, AdamW, Dataset, RMSprop, compiled, descent, kernels, reference, train
from nn.model import ACTIVATIONS, OUTPUTS
from nn.optimizers import OPTIMIZERS, Optimizer
from tests.patience import PATIENCE

Array = NDArray[Any]

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
DTYPE = pytest.mark.parametrize("dtype", ["float32", "float64"])
ACTIVATION = pytest.mark.parametrize("activation", ACTIVATIONS)
OUTPUT = pytest.mark.parametrize(("output", "loss"), OUTPUTS)


def random_examples(model: MLP, examples: int, seed: int = 0) -> tuple[Array, Array, Array]:
    """X, y and weights with mean 1."""
    rng = np.random.default_rng(seed)
    outputs = model.layer_sizes[-1]
    X = rng.normal(size=(examples, model.layer_sizes[0])).astype(model.dtype)
    y = rng.integers(0, outputs, examples) if model.output == "softmax" else rng.uniform(0, 1, (examples, outputs))
    w = rng.uniform(0.2, 2.0, examples)
    return X, y if model.output == "softmax" else y.astype(model.dtype), (w / w.mean()).astype(model.dtype)


def assert_close(actual: Any, expected: Any, tolerance: float) -> None:
    """To `tolerance` of the largest value: a sum's rounding is relative to its terms."""
    scale = float(np.max(np.abs(expected))) or 1.0
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * scale)


# -- the mirror ------------------------------------------------------------------------------------------------

# Examples and batches as tuples; one number where the reference takes an array; a workspace where it takes a value.
RENAMED = {
    "X": ("data", "feed"),
    "y": ("y", "data", "feed"),
    "w": ("w", "data"),
    "mode": ("mode", "feed"),
    ("logistic", "Z"): ("z",),
    ("forward", "X"): ("A",),
}


def public_functions(module: Any) -> list[str]:
    tree = ast.parse(inspect.getsource(module))
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]


def python_function(name: str) -> Any:
    function = getattr(kernels, name)
    return getattr(function, "py_func", function)


def test_reference_and_kernels_have_the_same_functions_in_the_same_order() -> None:
    names = public_functions(reference)
    assert len(names) > 20
    assert [name for name in public_functions(kernels) if name in names] == names


@pytest.mark.parametrize("name", public_functions(reference))
def test_parameters_of_the_reference_appear_in_order_in_the_kernel(name: str) -> None:
    kernel = list(inspect.signature(python_function(name)).parameters)
    place = -1
    for parameter in inspect.signature(getattr(reference, name)).parameters:
        known = RENAMED.get((name, parameter)) or RENAMED.get(parameter) or (parameter,)
        found = [kernel.index(other) for other in known if other in kernel]
        assert found, f"{name} of the kernels has no {parameter}"
        assert min(found) >= place, f"{parameter} stands elsewhere in the kernel"
        place = max(found)


# -- the same numbers ------------------------------------------------------------------------------------------


@DTYPE
@ACTIVATION
@OUTPUT
def test_loss_gradient_product_and_norms_agree(activation: str, output: str, loss: str, dtype: str) -> None:
    for hidden, bias, weighted in itertools.product([(), (7,), (6, 9, 5)], [True, False], [True, False]):
        multipliers = [0.7 + 0.2 * layer for layer in range(len(hidden) + 1)]
        model = MLP((5, *hidden, 3), activation, output, loss, multipliers=multipliers, bias=bias, l2=0.1, dtype=dtype)
        assert_same_numbers(model, examples=9, weighted=weighted)


@DTYPE
@pytest.mark.parametrize("examples", [kernels.CHUNK, kernels.CHUNK + 37, 2 * kernels.CHUNK, 2 * kernels.CHUNK + 1])
def test_chunks_do_not_show(examples: int, dtype: str) -> None:
    for output, loss in OUTPUTS:
        assert_same_numbers(MLP((4, 6, 5, 3), "tanh", output, loss, l2=0.1, dtype=dtype), examples, weighted=True)


def assert_same_numbers(model: MLP, examples: int, weighted: bool) -> None:
    X, y, w = random_examples(model, examples)
    theta, v = (np.random.default_rng(s).normal(0, 0.5, model.size).astype(model.dtype) for s in (1, 2))
    net, data = model.network, compiled.examples(model, X, y, w if weighted else None)
    plain = (X, y, w if weighted else None)
    tolerance = TOLERANCE[model.dtype]
    expected_loss, expected_gradient = reference.loss_gradient(net, theta, *plain)
    loss, gradient = compiled.loss_gradient(model, theta, data)
    assert loss == pytest.approx(expected_loss, rel=tolerance)
    assert_close(gradient, expected_gradient, tolerance)
    product = compiled.hessian_vector_product(model, theta, v, data)
    assert_close(product, reference.hessian_vector_product(net, theta, v, *plain), tolerance)
    norms = compiled.example_gradient_norms(model, theta, data)
    assert_close(norms, reference.example_gradient_norms(net, theta, *plain), tolerance)
    assert_close(compiled.outputs(model, theta, X), reference.forward(net, theta, X)[0][-1], tolerance)


@DTYPE
def test_every_shape_agrees(dtype: str) -> None:
    """Widths and batches that fill no whole vector or tile, and those just around one."""
    rng = np.random.default_rng(0)
    shapes = [tuple(rng.integers(1, 70, 4).tolist()) for _ in range(80)]
    shapes += [tuple(rng.integers(1, 10, 4).tolist()) for _ in range(80)]
    shapes += [(n, n, n, n) for n in (1, 2, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65)]
    for number, (examples, *sizes) in enumerate(shapes):
        output, loss = list(OUTPUTS)[number % len(OUTPUTS)]
        model = MLP(sizes, "tanh", output, loss, bias=number % 3 > 0, dtype=dtype)
        assert_same_numbers(model, examples, weighted=False)


def guarded(array: Array, guards: list[Array]) -> Array:
    """A copy of the array between two stretches of NaN, which are also kept in `guards`; not aligned to a vector."""
    room = np.full(array.size + 2 * 17, np.nan, array.dtype)
    guards += [room[:17], room[-17:]]
    copy = room[17:-17].reshape(array.shape)
    copy[...] = array
    return copy


@DTYPE
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (5, 3, 7, 2), (33, 9, 17, 10), (64, 64, 32, 10), (31, 15, 33, 3)])
def test_kernels_read_and_write_nothing_beside_their_arrays(shape: tuple[int, ...], dtype: str) -> None:
    examples, *sizes = shape
    for output, loss in OUTPUTS:
        model = MLP(sizes, "tanh", output, loss, dtype=dtype)
        X, y, w = random_examples(model, examples)
        theta = model.init(0)
        guards: list[Array] = []
        data = compiled.examples(model, X, y, w)
        expected_loss, expected = compiled.loss_gradient(model, theta, data)
        held = compiled.Examples(*(guarded(p, guards) if p.dtype.kind == "f" and p.size else p for p in data))
        spaces = compiled.workspace(model, examples)
        room = compiled.Workspace(*(guarded(np.full_like(part, np.nan), guards) for part in spaces))
        point, rows = guarded(theta, guards), np.arange(examples)
        slopes = guarded(np.zeros(sum(sizes[1:-1])), guards)
        value, _ = kernels.loss_gradient(model.network, point, held, rows, 0, -1, room, slopes, np.inf)
        assert_close(
            slopes, reference.slope_sums(model.network, reference.forward(model.network, theta, X)[1]), TOLERANCE[dtype]
        )
        assert value == pytest.approx(expected_loss, rel=TOLERANCE[dtype])
        assert_close(room.gradient, expected, TOLERANCE[dtype])
        Hv, v = guarded(np.empty_like(theta), guards), guarded(np.ones_like(theta), guards)
        kernels.hessian_vector_product(model.network, point, v, held, rows, Hv)
        assert_close(Hv, compiled.hessian_vector_product(model, theta, np.ones_like(theta), data), TOLERANCE[dtype])
        for guard in guards:
            assert np.isnan(guard).all()


@pytest.mark.parametrize("mode", [reference.SHUFFLED, reference.REPLACED])
@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1])
def test_orders_of_epochs_are_equal_bit_for_bit(mode: int, seed: int) -> None:
    for examples, epoch in itertools.product([1, 2, 57, 1000], [0, 1, 12345]):
        expected, order = np.zeros(examples, np.int64), np.zeros(examples, np.int64)
        reference.epoch_rows(expected, examples, mode, seed, epoch)
        kernels.epoch_rows(order, examples, mode, seed, epoch)
        np.testing.assert_array_equal(order, expected)
        if mode == reference.SHUFFLED:
            np.testing.assert_array_equal(np.sort(order), np.arange(examples))


def test_orders_of_epochs_are_uniform() -> None:
    """Each row stands in each place equally often; a draw with replacement hits each row equally often."""
    counts, order = np.zeros((6, 6)), np.empty(6, np.int64)
    for epoch in range(6000):
        reference.epoch_rows(order, 6, reference.SHUFFLED, 7, epoch)
        counts[np.arange(6), order] += 1
    assert ((counts - 1000) ** 2 / 1000).sum() < 25 + 5 * np.sqrt(50)  # χ² with 25 degrees of freedom
    drawn = np.empty(60_000, np.int64)
    reference.epoch_rows(drawn, 6, reference.REPLACED, 7, 0)
    assert ((np.bincount(drawn, minlength=6) - 10_000) ** 2 / 10_000).sum() < 5 + 5 * np.sqrt(10)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("step", [0, 3, 10**6])
def test_dropout_masks_are_equal_bit_for_bit(rate: float, step: int) -> None:
    model = MLP((4, 30, 20, 3), "identity", "softmax", "cross_entropy", dropout=rate, dtype="float64")
    X, y, _ = random_examples(model, kernels.CHUNK + 50)
    theta, rows, data = model.init(0), np.arange(len(X)), compiled.examples(model, X, y)
    room = compiled.workspace(model, len(X))
    kernels.loss_gradient(model.network, theta, data, rows, 11, step, room, np.empty(0), 0.0)
    A, S, _ = reference.forward(model.network, theta, X, 11, step)
    for layer, units in ((1, 30), (2, 20)):
        left = room.A[layer, : 50 * units].reshape(50, units)  # the workspace holds the last chunk
        np.testing.assert_array_equal(left == 0, A[layer][kernels.CHUNK :] == 0)
        slopes = room.S[layer - 1, : 50 * units].reshape(50, units)
        np.testing.assert_array_equal(slopes, S[layer - 1][kernels.CHUNK :])
        assert (S[layer - 1] == 0).mean() == pytest.approx(rate, abs=0.02)


RECIPES: dict[str, tuple[Optimizer, dict[str, Any], dict[str, Any]]] = {
    "sgd": (SGD(0.2), {}, {}),
    "momentum": (SGD(0.05, 0.9), {}, {}),
    "nesterov": (SGD(0.05, 0.9, nesterov=True), {}, {}),
    "decay": (SGD(0.1, 0.9, weight_decay=0.05), {}, {}),
    "adam": (Adam(0.01), {}, {}),
    "adamw": (AdamW(0.01, weight_decay=0.1), {}, {}),
    "rmsprop": (RMSprop(0.005), {}, {}),
    "rmsprop momentum": (RMSprop(0.002, 0.9, 1e-6, 0.9, weight_decay=0.1, clip_norm=0.5), {}, {}),
    "clip": (SGD(0.2, clip_norm=0.2), {}, {}),
    "clipped adam": (Adam(0.02, clip_norm=0.1), {}, {}),
    "dropout": (SGD(0.1, 0.5), {"dropout": 0.3}, {}),
    "replacement": (SGD(0.1), {}, {"replacement": True}),
    "in order": (SGD(0.1), {}, {"shuffle": False}),
    "layer rates": (SGD(0.1, rate_multipliers=(0.5, 0.0, 2.0)), {}, {}),
    "mup": (Adam(0.01), {"parametrisation": "mup", "base_width": 4}, {}),
    "no bias": (SGD(0.1, 0.9), {"bias": False, "l2": 0.1}, {}),
}


def test_every_optimizer_has_a_recipe() -> None:
    assert {type(optimizer) for optimizer, _, _ in RECIPES.values()} == {*OPTIMIZERS.values()}


@pytest.mark.parametrize("recipe", RECIPES)
def test_fifty_steps_of_training_agree(recipe: str) -> None:
    optimizer, options, how = RECIPES[recipe]
    model = MLP((4, 9, 8, 3), "tanh", "softmax", "cross_entropy", **{"dtype": "float64", **options})
    X, y, _ = random_examples(model, 43)
    batch_size, epochs, seed = 8, 9, 5  # 6 steps an epoch, the last batch shorter
    rates = np.linspace(1.0, 0.3, 6 * epochs) * optimizer.learning_rate
    data = Dataset(X, y, task="classification")
    settings = {"batch_size": batch_size, "epochs": epochs, "seed": seed, "schedule": rates, "record_steps": True}
    run = train(model, data, optimizer, **settings, **how)
    theta = model.init(seed)
    mode = reference.REPLACED if how.get("replacement") else reference.SHUFFLED if not how else reference.IN_ORDER
    losses = reference.train_steps(
        model.network,
        optimizer.update(),
        theta,
        reference.Moments(np.zeros_like(theta), np.zeros_like(theta)),
        X,
        y,
        mode,
        batch_size,
        rates,
        model.rate_multipliers(optimizer),
        seed,
    )
    assert run.steps == len(rates) >= 50
    assert_close(run.history.step_loss, losses, 1e-10)
    assert_close(run.theta, theta, 1e-10)
    assert not np.allclose(theta, model.init(seed), atol=1e-3)


# -- what a kernel costs ---------------------------------------------------------------------------------------


def in_a_fresh_process(code: str, **environment: str) -> str:
    """What the code prints; it fails where the process does."""
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, **environment},
        cwd=os.path.dirname(os.path.dirname(kernels.__file__)),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_a_sweep_compiles_one_signature_for_each_dtype() -> None:
    out = in_a_fresh_process(
        """
        import numpy as np
        from nn import MLP, SGD, Adam, Dataset, kernels, train

        rng = np.random.default_rng(0)
        X, labels = rng.normal(size=(40, 3)), np.arange(40) % 3
        classes, values = Dataset(X, labels, task="classification"), Dataset(X, rng.normal(size=40))
        split = classes.split(validation=0.2, test=0.2, seed=0)
        for dtype, sizes in (("float32", 1), ("float64", 2)):
            for hidden in ((), (4,), (8,), (5, 5), (3, 4, 5)):
                for batch_size in (1, 7, "full"):
                    for optimizer in (SGD(0.1), SGD(1), SGD(0.01, 0.9, nesterov=True), Adam(1e-3)):
                        train(MLP((3, *hidden, 3), dtype=dtype), split, optimizer, batch_size=batch_size, epochs=1)
            for options in (
                {"replacement": True}, {"shuffle": False}, {"record_steps": True}, {"seed": np.int32(3)},
                {"sample_weight": np.arange(1, 41)}, {"schedule": np.ones(4, dtype="f4")}, {"divergence_factor": 100},
                {"theta": np.zeros(38, dtype="f8")[::-1]},
                {"indices": np.arange(40, dtype="i4").reshape(4, 10)[:, ::-1]},
            ):
                train(MLP((3, 5, 3), dtype=dtype), classes, SGD(1), batch_size=10, epochs=1, **options)
            for output in ("identity", "logistic"):
                loss = "squared_error"
                train(MLP((3, 4, 1), output=output, loss=loss, dtype=dtype, l2=1, dropout=0.5, bias=False), values,
                      batch_size=8, epochs=2)
            model = MLP((3, 4, 3), dtype=dtype)
            model.gradient(model.init(0), X[:, ::-1].astype("f4"), labels.astype("u1"))
            model.loss(model.init(0), X.tolist(), labels.tolist())
            print(len(kernels.train_steps.signatures), len(kernels.loss_gradient.signatures), sizes)
        """
    )
    for line in out.splitlines():
        steps, gradients, dtypes = map(int, line.split())
        assert (steps, gradients) == (dtypes, dtypes), out


def test_python_runs_on_while_a_kernel_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python sees the first steps of one call that would do many more, and ends it by spoiling theta."""
    model, steps = MLP((64, 256, 10), "tanh"), 10_000
    X, y, _ = random_examples(model.for_task("classification"), 1_000)
    data = Dataset(X, y)
    train(model, data, SGD(0.01), batch_size="full", epochs=1)  # it is compiled
    calls: list[tuple[Any, ...]] = []
    train_steps = kernels.train_steps

    def noted(*arguments: Any) -> Any:
        calls.append(arguments)
        return train_steps(*arguments)

    monkeypatch.setattr(kernels, "train_steps", noted)
    monkeypatch.setattr(descent, "CALL_OPERATIONS", 1e30)  # all steps in one call
    with ThreadPoolExecutor(1) as thread:
        training = thread.submit(train, model, data, SGD(0.01), batch_size="full", epochs=steps)
        while not calls and not training.done():
            pass
        theta = calls[0][2]
        while np.array_equal(theta, model.init(0)) and not training.done():
            pass
        theta[:] = math.nan
        run = training.result()
    assert len(calls) == 1
    assert run.status == "diverged"
    assert 0 < run.steps < steps


def test_every_kernel_releases_the_interpreter() -> None:
    for name in public_functions(kernels):
        assert getattr(kernels, name).targetoptions["nogil"], name


def per_batch_functions() -> dict[str, list[ast.stmt]]:
    """What runs for each batch: the body of the loop over steps, and all functions that it reaches."""
    tree = ast.parse(inspect.getsource(kernels))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    loops = [node for node in ast.walk(functions["train_steps"]) if isinstance(node, ast.For)]
    loop = next(node for node in loops if isinstance(node.target, ast.Name) and node.target.id == "step")
    reached: dict[str, list[ast.stmt]] = {"train_steps": loop.body}
    waiting = list(loop.body)
    while waiting:
        for node in ast.walk(waiting.pop()):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                name = node.func.id
                if name in functions and name not in reached:
                    reached[name] = functions[name].body
                    waiting.extend(functions[name].body)
    return reached


# All that a per-batch function may ask of NumPy: products into given arrays, and whole numbers.
HARMLESS = {"dot", "uint64", "int64"}


def test_no_array_is_made_for_a_batch() -> None:
    reached = per_batch_functions()
    assert {"loss_gradient", "forward", "backward", "linear_backward", "adam_update", "epoch_rows", "mix"} <= set(
        reached
    )
    for name, body in reached.items():
        for node in itertools.chain.from_iterable(map(ast.walk, body)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "np":
                assert node.attr in HARMLESS, f"{name} calls np.{node.attr}"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                assert node.func.attr not in {"copy", "astype", "flatten", "repeat"}, f"{name} calls {node.func.attr}"
                if node.func.attr == "dot":
                    assert len(node.args) == 3, f"{name} calls np.dot without a place for the result"


@DTYPE
def test_the_number_of_allocations_does_not_grow_with_the_steps(dtype: str) -> None:
    """Numba counts them; array arithmetic such as a + b would show here, if not in the code."""
    model = MLP((5, 8, 6, 3), "gelu", "softmax", "cross_entropy", dropout=0.2, l2=0.1, bias=True, dtype=dtype)
    X, y, _ = random_examples(model, 50)
    data = Dataset(X, y, task="classification")

    def allocations(epochs: int) -> int:
        before = rtsys.get_allocation_stats().alloc
        train(model, data, Adam(0.01, clip_norm=0.1, weight_decay=0.1), batch_size=4, epochs=epochs)
        return int(rtsys.get_allocation_stats().alloc - before)

    enabled = _nrt.memsys_stats_enabled()
    _nrt.memsys_enable_stats()
    try:
        allocations(1)  # compiles
        few, many = allocations(2), allocations(20)
    finally:
        if not enabled:
            _nrt.memsys_disable_stats()
    assert 0 < few == many


@DTYPE
def test_the_number_of_python_calls_does_not_grow_with_the_steps(dtype: str) -> None:
    """Epochs on end are one call of a kernel, during which the interpreter is free."""
    model = MLP((5, 8, 3), "relu", "softmax", "cross_entropy", dtype=dtype)
    X, y, _ = random_examples(model, 50)
    split = Dataset(X, y, task="classification").split(seed=0)

    def calls(epochs: int) -> int:
        seen = 0

        def count(frame: Any, event: str, argument: Any) -> None:
            nonlocal seen
            seen += event in ("call", "c_call")

        before = sys.getprofile()
        sys.setprofile(count)
        try:
            train(model, split, SGD(0.01, momentum=0.9), batch_size=4, epochs=epochs)
        finally:
            sys.setprofile(before)
        return seen

    calls(1)  # compiles
    assert calls(2) == calls(200) > 0


# -- extreme numbers -------------------------------------------------------------------------------------------


def linear(output: str, loss: str, dtype: str) -> MLP:
    return MLP((1, 3), output=output, loss=loss, bias=False, dtype=dtype)


@DTYPE
@OUTPUT
def test_large_outputs_leave_the_loss_and_its_derivatives_finite(output: str, loss: str, dtype: str) -> None:
    model = linear(output, loss, dtype)
    for Z in ([1e4, -1e4, 0.0], [-1e4, -1e4, -1e4], [1e4, 1e4, 1e4]):
        theta, X = np.array(Z, dtype=dtype), np.ones((3, 1), dtype)
        y = np.arange(3) if output == "softmax" else np.eye(3)
        data = compiled.examples(model, X, y)
        value, gradient = compiled.loss_gradient(model, theta, data)
        expected, _ = reference.loss_gradient(model.network, theta, X, y if output == "softmax" else data.Y)
        # Rounded as z = 1e4 is.
        assert value == pytest.approx(expected, rel=1e-6, abs=1e-2 if dtype == "float32" else 1e-11)
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()
        assert np.isfinite(compiled.hessian_vector_product(model, theta, theta, data)).all()
        assert np.isfinite(compiled.outputs(model, theta, X)).all()
    if output == "softmax":  # the loss is not clipped: it is the distance that is left
        theta = np.array([1e4, -1e4, 0.0], dtype)
        data = compiled.examples(model, np.ones((1, 1), dtype), np.array([1]))
        assert compiled.loss_gradient(model, theta, data)[0] == pytest.approx(2e4)


@DTYPE
@OUTPUT
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_in_the_outputs_stay_visible_in_the_loss(
    output: str, loss: str, bad: float, dtype: str
) -> None:
    model = linear(output, loss, dtype)
    X = np.ones((3, 1), dtype)
    y = np.arange(3) if output == "softmax" else np.eye(3)
    data = compiled.examples(model, X, y)
    for place in range(3):
        theta = np.zeros(3, dtype)
        theta[place] = bad
        assert not np.isfinite(compiled.loss_gradient(model, theta, data)[0])


@DTYPE
@ACTIVATION
@OUTPUT
def test_nan_in_the_first_layer_stays_visible_in_the_loss(activation: str, output: str, loss: str, dtype: str) -> None:
    model = MLP((2, 3, 3, 2), activation, output, loss, dtype=dtype)
    X, y, _ = random_examples(model, 5)
    theta = np.random.default_rng(0).normal(size=model.size).astype(dtype)
    theta[0] = np.nan
    value, gradient = compiled.loss_gradient(model, theta, compiled.examples(model, X, y))
    assert np.isnan(value)
    assert np.isnan(gradient).any()


@DTYPE
def test_training_stops_at_the_step_at_which_the_loss_is_no_number(dtype: str) -> None:
    model = MLP((4, 8, 3), "relu", "softmax", "cross_entropy", dtype=dtype)
    X, y, _ = random_examples(model, 40)
    data = Dataset(1e3 * X, y, task="classification")
    run = train(model, data, SGD(1e200), batch_size=8, epochs=5, divergence_factor=float("inf"))
    assert run.status == "diverged"
    assert run.diverged_step is not None
    assert run.diverged_step < 5


# -- without the compiler --------------------------------------------------------------------------------------


def test_kernels_are_plain_python_with_the_compiler_off() -> None:
    """So that coverage and a debugger see every line of them."""
    out = in_a_fresh_process(
        """
        import numpy as np
        from nn import MLP, SGD, Adam, Dataset, RMSprop, compiled, kernels, reference, train
        from nn.model import ACTIVATIONS, OUTPUTS

        assert not hasattr(kernels.train_steps, "signatures")
        rng = np.random.default_rng(0)
        X, v = rng.normal(size=(6, 3)), rng.normal(size=40)
        for activation in ACTIVATIONS:
            for output, loss in OUTPUTS:
                model = MLP((3, 4, 3, 2), activation, output, loss, l2=0.1, dtype="float64")
                y = rng.integers(0, 2, 6) if output == "softmax" else rng.uniform(0, 1, (6, 2))
                theta, net, data = model.init(0), model.network, compiled.examples(model, X, y)
                value, gradient = compiled.loss_gradient(model, theta, data)
                expected, slopes = reference.loss_gradient(net, theta, X, y)
                np.testing.assert_allclose(value, expected, rtol=1e-12)
                np.testing.assert_allclose(gradient, slopes, atol=1e-13)
                product = compiled.hessian_vector_product(model, theta, v[: model.size], data)
                np.testing.assert_allclose(
                    product, reference.hessian_vector_product(net, theta, v[: model.size], X, y), atol=1e-12
                )
                norms = compiled.example_gradient_norms(model, theta, data)
                np.testing.assert_allclose(norms, reference.example_gradient_norms(net, theta, X, y), atol=1e-12)
        data = Dataset(X, np.arange(6) % 2, task="classification")
        for optimizer in (SGD(0.1, 0.9, nesterov=True), Adam(0.01, clip_norm=0.1), RMSprop(0.01, momentum=0.9)):
            for options in ({}, {"replacement": True}):
                model = MLP((3, 4, 2), dropout=0.2)
                run = train(model, data, optimizer, batch_size=4, epochs=3, **options)
                assert run.status == "completed" and np.isfinite(run.history.train_loss).all()
        run.predict(X)
        print("ran")
        """,
        NUMBA_DISABLE_JIT="1",
    )
    assert out.split() == ["ran"]
