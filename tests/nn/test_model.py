"""The layout of theta, how it starts, what μP promises, and what the constructor refuses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nn import MLP, SGD, Adam, Dataset, reference, train
from nn.model import ACTIVATIONS, DTYPES, INITIALISATIONS, OUTPUTS
from nn.optimizers import OPTIMIZERS, Optimizer

Array = NDArray[Any]

# -- layout ----------------------------------------------------------------------------------------------------


def test_theta_holds_for_each_layer_its_weights_row_by_row_then_its_biases() -> None:
    model = MLP((2, 3, 1))
    assert model.size == 2 * 3 + 3 + 3 * 1 + 1
    (W1, b1), (W2, b2) = model.layers(np.arange(13.0))
    np.testing.assert_array_equal(W1, [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(b1, [6, 7, 8])
    np.testing.assert_array_equal(W2, [[9], [10], [11]])
    np.testing.assert_array_equal(b2, [12])


def test_without_biases_theta_holds_weights_alone() -> None:
    model = MLP((2, 3, 1), bias=False)
    assert model.size == 9
    for layer, (W, b) in enumerate(model.layers(np.arange(9.0))):
        assert W.shape == [(2, 3), (3, 1)][layer]
        assert b.shape == (0,)


@given(sizes=st.lists(st.integers(1, 9), min_size=2, max_size=6), bias=st.booleans())
@settings(max_examples=50, deadline=None, derandomize=True)
def test_layers_are_views_that_cover_theta_once(sizes: list[int], bias: bool) -> None:
    model = MLP(sizes, bias=bias)
    theta = np.zeros(model.size)
    for W, b in model.layers(theta):
        W += 1
        b += 1
    np.testing.assert_array_equal(theta, 1)


# -- initialisation --------------------------------------------------------------------------------------------

N_IN, N_OUT = 300, 200
EXPECTED = {
    "he": math.sqrt(2 / N_IN),
    "glorot": math.sqrt(2 / (N_IN + N_OUT)),
    "lecun": math.sqrt(1 / N_IN),
    "torch": math.sqrt(1 / (3 * N_IN)),
    "normal": 0.01,
    "zeros": 0.0,
}
LIMITS = {"glorot": math.sqrt(6 / (N_IN + N_OUT)), "torch": 1 / math.sqrt(N_IN)}


def test_every_initialisation_is_known_here() -> None:
    assert set(EXPECTED) == set(INITIALISATIONS)


@pytest.mark.parametrize("init", EXPECTED)
def test_initial_weights_have_the_stated_mean_deviation_and_shape(init: str) -> None:
    ((W, b),) = (model := MLP((N_IN, N_OUT), init=init, dtype="float64")).layers(model.init(seed=1))
    std, root = EXPECTED[init], math.sqrt(W.size)
    assert abs(W.mean()) <= 5 * std / root
    assert W.std() == pytest.approx(std, rel=5 / root)  # for both shapes, five standard errors or more
    if init in LIMITS:
        assert np.abs(W).max() <= LIMITS[init]
        assert np.abs(W).max() >= 0.999 * LIMITS[init]
    elif std > 0:
        assert 4 * std < np.abs(W).max() < 6 * std  # normal tails
    if init == "torch":
        assert np.abs(b).max() <= 1 / math.sqrt(N_IN)
        assert b.std() == pytest.approx(std, rel=0.2)
    else:
        assert not b.any()


@pytest.mark.parametrize("init", EXPECTED)
def test_both_dtypes_start_at_the_same_numbers_up_to_rounding(init: str) -> None:
    single, double = (MLP((7, 9, 3), init=init, dtype=dtype).init(seed=4) for dtype in DTYPES)
    assert (single.dtype, double.dtype) == (np.float32, np.float64)
    np.testing.assert_array_equal(single, double.astype(np.float32))


def test_initial_parameters_follow_from_the_seed_alone() -> None:
    model = MLP((7, 9, 3))
    np.testing.assert_array_equal(model.init(3), model.init(3))
    assert (model.init(3) != model.init(4))[: 7 * 9].all()


def test_own_deviations_replace_those_of_the_scheme_layer_by_layer() -> None:
    model = MLP((200, 300, 200), std=(None, 0.5), dtype="float64")
    (W1, _), (W2, _) = model.layers(model.init(0))
    assert W1.std() == pytest.approx(math.sqrt(2 / 200), rel=0.02)
    assert W2.std() == pytest.approx(0.5, rel=0.02)
    (W1, _), (W2, _) = (same := MLP((200, 300, 200), std=0.1, dtype="float64")).layers(same.init(0))
    assert (W1.std(), W2.std()) == (pytest.approx(0.1, rel=0.02), pytest.approx(0.1, rel=0.02))
    assert not MLP((5, 4, 3), std=(None, 0.0)).layers(MLP((5, 4, 3), std=(None, 0.0)).init(0))[1][0].any()


def test_multipliers_scale_the_products_of_their_layers_and_not_the_biases() -> None:
    model = MLP((2, 2, 1), "identity", "identity", "squared_error", multipliers=(3.0, 0.5), dtype="float64")
    theta = np.arange(1.0, 10.0)
    (W1, b1), (W2, b2) = model.layers(theta)
    X = np.array([[1.0, -2.0]])
    expected = 0.5 * ((3.0 * (X @ W1) + b1) @ W2) + b2
    assert model.loss(theta, X, [0.25]) == pytest.approx(0.5 * float((expected[0, 0] - 0.25) ** 2), rel=1e-14)


# -- μP --------------------------------------------------------------------------------------------------------


def mup(*hidden: int, base_width: int = 64, **options: Any) -> MLP:
    return MLP(
        (8, *hidden, 4), "tanh", "softmax", "cross_entropy", parametrisation="mup", base_width=base_width, **options
    )


EXAMPLES = [SGD(0.1, 0.9), *(kind(0.1) for kind in OPTIMIZERS.values())]


@pytest.mark.parametrize("init", INITIALISATIONS)
def test_mup_changes_nothing_at_the_base_width(init: str) -> None:
    model = mup(64, 64, init=init, multipliers=(0.5, 2.0, 3.0))
    plain = model.replace(parametrisation="standard", base_width=None)
    np.testing.assert_array_equal(model.init(0), plain.init(0))
    np.testing.assert_array_equal(model.network.multipliers, plain.network.multipliers)
    for optimizer in EXAMPLES:
        np.testing.assert_array_equal(model.rate_multipliers(optimizer), plain.rate_multipliers(optimizer))


def test_mup_scales_as_table_eight_says() -> None:
    """Four times the base width; up to the exact equivalence of scaling a multiplier, a deviation and a rate."""
    wide, base = mup(256, 256, dtype="float64"), mup(64, 64, dtype="float64")
    stds = [[W.std() for W, _ in model.layers(model.init(0))] for model in (wide, base)]
    np.testing.assert_allclose(np.divide(*stds), [1.0, 0.5, 1.0], rtol=0.15)
    np.testing.assert_allclose(wide.network.multipliers, [1, 1, 1 / 4])
    np.testing.assert_allclose(wide.rate_multipliers(SGD(0.1)), [[4, 4], [1, 4], [4, 1]])
    np.testing.assert_allclose(wide.rate_multipliers(Adam(0.1)), [[1, 1], [1 / 4, 1], [1, 1]])


def test_own_layer_rates_multiply_those_of_mup() -> None:
    optimizer = SGD(0.1, rate_multipliers=(0.5, 1.0, 0.0))
    np.testing.assert_allclose(mup(256, 256).rate_multipliers(optimizer), [[2, 2], [1, 4], [0, 0]])
    with pytest.raises(ValueError, match="rate_multipliers must have one value for each of the 2 layers, but got 3"):
        mup(64).rate_multipliers(optimizer)


WIDTHS = (64, 128, 256, 512, 1024)


def growth(optimizer: Optimizer, **options: Any) -> Array:
    """Slopes of log(mean change of a hidden layer's activations in one step) on log(width), for both hidden layers."""
    changes = np.zeros((len(WIDTHS), 2))
    for row, width in enumerate(WIDTHS):
        for seed in range(3):
            rng = np.random.default_rng(seed)
            X = rng.normal(size=(16, 8)).astype(np.float32)
            model = MLP((8, width, width, 4), "tanh", "softmax", "cross_entropy", **options)
            theta = model.init(seed)
            data = Dataset(X, np.arange(16) % 4, task="classification")
            after = train(model, data, optimizer, batch_size="full", epochs=1, theta=theta).theta
            before, now = (reference.forward(model.network, t, X)[0][1:3] for t in (theta, after))
            changes[row] += [np.abs(a - b).mean() for a, b in zip(before, now, strict=True)]
    return np.polyfit(np.log(WIDTHS), np.log(changes), 1)[0]


@pytest.mark.parametrize("optimizer", [SGD(0.1), Adam(0.001)])
def test_a_step_moves_activations_alike_at_all_widths_under_mup_alone(optimizer: Optimizer) -> None:
    """The coordinate check of Yang et al. 2022, appendix D."""
    assert np.abs(growth(optimizer, parametrisation="mup", base_width=64)).max() <= 0.1
    assert np.abs(growth(optimizer)).max() > 0.35


# -- descriptions ----------------------------------------------------------------------------------------------

models = st.builds(
    lambda sizes, activation, pair, init, bias, l2, dropout, dtype, base, std, multiplier: MLP(
        sizes,
        activation,
        *pair,
        init=init,
        bias=bias,
        l2=l2,
        dropout=dropout,
        dtype=dtype,
        parametrisation="standard" if base is None else "mup",
        base_width=base,
        std=std,
        multipliers=multiplier,
    ),
    st.lists(st.integers(1, 50), min_size=2, max_size=5),
    st.sampled_from(list(ACTIVATIONS)),
    st.sampled_from([*OUTPUTS, (None, None), ("softmax", None), (None, "squared_error")]),
    st.sampled_from(list(INITIALISATIONS)),
    st.booleans(),
    st.floats(0, 10),
    st.floats(0, 0.99),
    st.sampled_from(DTYPES),
    st.none() | st.integers(1, 50),
    st.none() | st.floats(0, 2),
    st.floats(-2, 2),
)


@given(model=models)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_a_model_comes_back_from_its_repr_and_its_arguments(model: MLP) -> None:
    again = eval(repr(model), {"MLP": MLP})
    assert again == model == MLP(**model.arguments) == model.replace()
    assert hash(again) == hash(model)
    assert repr(again) == repr(model)


def test_models_differ_where_an_argument_does() -> None:
    model = MLP((4, 8, 3))
    changes: list[dict[str, Any]] = [
        {"layer_sizes": (4, 9, 3)},
        {"activation": "tanh"},
        {"output": "softmax"},
        {"loss": "cross_entropy"},
        {"init": "torch"},
        {"std": 0.1},
        {"multipliers": 2.0},
        {"bias": False},
        {"parametrisation": "mup", "base_width": 8},
        {"l2": 0.1},
        {"dropout": 0.1},
        {"dtype": "float64"},
    ]
    different = {model, *(model.replace(**change) for change in changes)}
    assert len(different) == len(changes) + 1


def test_a_model_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        MLP((4, 3)).activation = "tanh"  # type: ignore[misc]


def test_numbers_of_numpy_and_lists_are_taken() -> None:
    model = MLP(np.array([4, 8, 3]), dtype=np.dtype("float64"), multipliers=np.ones(2), l2=np.float32(0.5))  # type: ignore[arg-type]
    assert model == MLP([4, 8, 3], dtype="float64", l2=0.5)
    assert all(type(n) is int for n in model.layer_sizes)


@pytest.mark.parametrize(
    ("outputs", "task", "given_names", "expected"),
    [
        (3, "classification", {}, ("softmax", "cross_entropy")),
        (1, "classification", {}, ("logistic", "cross_entropy")),
        (3, "multilabel", {}, ("logistic", "cross_entropy")),
        (1, "regression", {}, ("identity", "squared_error")),
        (3, "classification", {"output": "identity"}, ("identity", "squared_error")),
        (3, "classification", {"output": "logistic"}, ("logistic", "cross_entropy")),
        (3, "classification", {"loss": "squared_error"}, ("identity", "squared_error")),
        (3, "classification", {"loss": "cross_entropy"}, ("softmax", "cross_entropy")),
        (1, "classification", {"loss": "cross_entropy"}, ("logistic", "cross_entropy")),
        (1, "regression", {"output": "logistic", "loss": "squared_error"}, ("logistic", "squared_error")),
    ],
)
def test_output_and_loss_follow_the_task_where_they_are_left_out(
    outputs: int, task: str, given_names: dict[str, str], expected: tuple[str, str]
) -> None:
    model = MLP((4, outputs), l2=0.3, **given_names).for_task(task)  # type: ignore[arg-type]
    assert (model.output, model.loss_name) == expected
    assert model.l2 == 0.3
    assert model.for_task(task) == model


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer_sizes": (4,)}, "at least inputs and outputs"),
        ({"layer_sizes": ()}, "at least inputs and outputs"),
        ({"layer_sizes": 4}, "must be a sequence"),
        ({"layer_sizes": "64"}, "must be a sequence"),
        ({"layer_sizes": (4, 0, 3)}, "layer_sizes must be an integer of at least 1, but got 0"),
        ({"layer_sizes": (4, 2.5, 3)}, "layer_sizes must be an integer of at least 1, but got 2.5"),
        ({"layer_sizes": (4, True, 3)}, "layer_sizes must be an integer"),
        ({"layer_sizes": (4, None, 3)}, "layer_sizes must be an integer"),
        ({"activation": "rellu"}, "did you mean 'relu'"),
        ({"activation": None}, "activation must be one of"),
        ({"output": "sofmax"}, "did you mean 'softmax'"),
        ({"loss": "crossentropy"}, "did you mean 'cross_entropy'"),
        ({"output": "softmax", "loss": "squared_error"}, "softmax with squared_error"),
        ({"output": "identity", "loss": "cross_entropy"}, "identity with cross_entropy"),
        ({"init": "glorrot"}, "did you mean 'glorot'"),
        ({"std": -0.1}, "std must be a finite number >= 0, but got -0.1"),
        ({"std": (0.1,)}, "std must have one value for each of the 2 layers, but got 1"),
        ({"std": "big"}, "std must be"),
        ({"multipliers": (1.0, 1.0, 1.0)}, "multipliers must have one value for each of the 2 layers, but got 3"),
        ({"multipliers": math.nan}, "multipliers must be a finite number, but got nan"),
        ({"multipliers": None}, "multipliers must be"),
        ({"multipliers": "wide"}, "multipliers must be"),
        ({"bias": 1}, "bias must be True or False"),
        ({"parametrisation": "mupp"}, "did you mean 'mup'"),
        ({"parametrisation": "mup"}, "needs a base_width"),
        ({"base_width": 0}, "base_width must be an integer of at least 1"),
        ({"l2": -1}, "l2 must be a finite number >= 0"),
        ({"l2": math.inf}, "l2 must be a finite number >= 0"),
        ({"dropout": 1.0}, "dropout must be a finite number >= 0 and < 1, but got 1.0"),
        ({"dropout": -0.1}, "dropout must be"),
        ({"dtype": "float16"}, "dtype must be one of float32, float64, but got 'float16'"),
        ({"dtype": "flaot32"}, "did you mean 'float32'"),
        ({"dtype": int}, "dtype must be one of float32, float64"),
        ({"dtype": "no such thing"}, "dtype must be one of"),
        ({"dtype": object()}, "dtype must be one of"),
        ({"dtype": None}, "dtype must be one of"),
    ],
)
def test_the_constructor_refuses_with_rule_and_value(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message) as error:
        MLP(**{"layer_sizes": (4, 8, 3), **options})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("seed", [-1, 1.5, None, "0"])
def test_a_bad_seed_is_refused(seed: Any) -> None:
    with pytest.raises(ValueError, match="seed must be an integer"):
        MLP((4, 3)).init(seed)


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(ValueError, match="did you mean 'regression'"):
        MLP((4, 3)).for_task("regresion")


junk = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 9), st.floats(), st.text(max_size=3), st.just([]), st.just({})
)


@given(name=st.sampled_from(sorted(MLP((1, 1)).arguments)), value=junk | st.lists(junk, max_size=3))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_any_argument_makes_a_model_or_an_error_of_one_line(name: str, value: Any) -> None:
    try:
        model = MLP(**{"layer_sizes": (4, 8, 3), name: value})
    except (ValueError, TypeError) as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert model.init(0).shape == (model.size,)
        assert hash(model) == hash(MLP(**model.arguments))


def test_other_names_of_activations_are_taken_and_kept_under_the_own_ones() -> None:
    assert MLP((2, 3, 2), "sigmoid") == MLP((2, 3, 2), "logistic")
    assert MLP((2, 3, 2), "linear").activation == "identity"
    assert MLP((2, 3, 1), output="sigmoid").output == "logistic"
    for name, near in (("Sigmoid", "logistic"), ("swish", "gelu"), ("ReLU", "relu")):
        with pytest.raises(ValueError, match=f"did you mean '{near}'"):
            MLP((2, 3, 2), name)
