"""Bad input to Dataset, MLP and train: one clear line, before any work, and nothing is written."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nn import MLP, SGD, Adam, Dataset, EarlyStopping, Run, descent, kernels, load, load_dataset, train
from nn.schedules import Cosine

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3))
Y = np.array([0, 1, 2] * 4)
DATA = Dataset(X, Y)
SPLIT = DATA.split(0.25, 0)
MODEL = MLP((3, 4, 3))
NUMBERS = Dataset(X, X[:, 0])


@pytest.fixture(autouse=True)
def nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    assert list(tmp_path.rglob("*")) == []
    written = capfd.readouterr()
    assert written.out == ""
    assert "Traceback" not in written.err


def with_value(value: float, at: Any, array: Any = X) -> Any:
    changed = np.array(array, dtype=np.float64)
    changed[at] = value
    return changed


def one_line(error: Exception, says: str = "") -> None:
    assert "\n" not in str(error), str(error)
    assert says in str(error)


def refused(call: Any, says: str) -> None:
    with pytest.raises((ValueError, TypeError), match=says) as seen:
        call()
    message = str(seen.value)
    assert "\n" not in message, message
    assert 20 < len(message) < 400, message


# -- Dataset ---------------------------------------------------------------------------------------------------

DATASETS: dict[str, tuple[Any, Any, Any, str]] = {
    "NaN in X": (with_value(math.nan, (3, 1)), Y, None, "X must be finite, but 1 .* row 3, column 1"),
    "infinity in X": (with_value(-math.inf, (0, 0)), Y, None, "X must be finite"),
    "NaN in y": (X, with_value(math.nan, 2, X[:, 0]), "regression", "y must be finite"),
    "infinity in y": (X, with_value(math.inf, (2, 1)), "regression", "y must be finite"),
    "X of one dimension": (X[:, 0], Y, None, r"X must have two dimensions .* pass X\[:, None\]"),
    "X of three dimensions": (X[None], Y, None, "X must have two dimensions"),
    "X without columns": (X[:, :0], Y, None, "X must have at least 2 rows and 1 feature"),
    "no rows": (X[:0], Y[:0], None, "X must have at least 2 rows"),
    "one row": (X[:1], Y[:1], None, "X must have at least 2 rows"),
    "ragged X": ([[1.0], [1.0, 2.0]], [0, 1], None, "X must be an array or nested lists of equal lengths"),
    "text in X": ([["a"], ["b"]], [0, 1], None, "X must be of real numbers"),
    "objects in X": (np.array([[None], [1.0]], dtype=object), [0, 1], None, "X must be of real numbers"),
    "complex X": (X + 1j, Y, None, "X must be of real numbers"),
    "dates in X": (X.astype("datetime64[s]"), Y, None, "X must be of real numbers"),
    "y too short": (X, Y[:-1], None, "X and y must have the same length, but got 12 rows in X and 11 in y"),
    "y of three dimensions": (X, Y[:, None, None], None, "y must have one value, or one row of values"),
    "y a number": (X, 3, None, "y must have one value"),
    "one class": (X, np.zeros(12, int), None, "y must have at least 2 classes"),
    "fractions as classes": (X, X[:, 0], "classification", "y must have whole numbers, bools or strings"),
    "text to predict": (X, Y.astype(str), "regression", "y must be of numbers for regression"),
    "labels outside 0 and 1": (X, Y[:, None], "multilabel", "y must be 0 or 1 in multilabel, but got 2"),
    "task unclear": (X, np.arange(12), None, "task must be named"),
    "unknown task": (X, Y, "regresion", "task must be one of .*; did you mean 'regression'"),
    "complex y": (X, Y + 1j, None, "y must be of numbers"),
    "mixed y": (X, [0, "a", None] * 4, None, "y must be|y must have"),
}


@pytest.mark.parametrize("case", DATASETS)
def test_a_dataset_that_cannot_be_used_is_refused(case: str) -> None:
    features, y, task, says = DATASETS[case]
    refused(lambda: Dataset(features, y, task), says)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((-0.1, 0.2), "validation must be"),
        ((0.2, 1.0), "test must be"),
        ((0.6, 0.4), r"validation \+ test must be below 1"),
        ((math.nan, 0.2), "validation must be"),
        ((0.001, 0.2), "validation must be 0 or make at least one"),
        ((0.2, 0.2, -1), "seed must be"),
        ((0.2, 0.2, 1.5), "seed must be"),
        ((0.45, 0.45), "must have a training row for each|must leave at least 2 training rows"),
    ],
)
def test_a_split_that_cannot_be_made_is_refused(arguments: Any, says: str) -> None:
    refused(lambda: DATA.split(*arguments), says)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("digit", "did you mean 'digits'"),
        ("irys", "did you mean 'iris'"),
        ("no.csv", "the path must exist"),
        (3, "must be a name"),
    ],
)
def test_an_unknown_dataset_is_refused(name: Any, says: str) -> None:
    refused(lambda: load_dataset(name), says)


# -- MLP -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"layer_sizes": (3, 0, 2)}, "layer_sizes must be an integer of at least 1, but got 0"),
        ({"layer_sizes": (3, -1, 2)}, "layer_sizes must be"),
        ({"layer_sizes": (3, 2.5)}, "layer_sizes must be"),
        ({"layer_sizes": (3,)}, "layer_sizes must have at least inputs and outputs"),
        ({"layer_sizes": 3}, "layer_sizes must be a sequence"),
        ({"layer_sizes": "3,2"}, "layer_sizes must be a sequence"),
        ({"layer_sizes": (3, None)}, "layer_sizes must be"),
        ({"activation": "rellu"}, "activation must be one of .*; did you mean 'relu'"),
        ({"activation": None}, "activation must be one of"),
        ({"output": "softmx"}, "output must be one of .*; did you mean 'softmax'"),
        ({"loss": "crossentropy"}, "loss must be one of .*; did you mean 'cross_entropy'"),
        ({"output": "softmax", "loss": "squared_error"}, "output and loss must be one of"),
        ({"init": "xavier"}, "init must be one of"),
        ({"init": "glorrot"}, "did you mean 'glorot'"),
        ({"std": -1}, "std must be"),
        ({"std": (0.1,)}, "std must have one value for each"),
        ({"multipliers": math.nan}, "multipliers must be"),
        ({"multipliers": (1, 1, 1)}, "multipliers must have one value for each"),
        ({"bias": 1}, "bias must be True or False"),
        ({"parametrisation": "mupp"}, "did you mean 'mup'"),
        ({"parametrisation": "mup"}, "needs a base_width"),
        ({"base_width": 0}, "base_width must be"),
        ({"l2": -1e-3}, "l2 must be"),
        ({"dropout": 1.0}, "dropout must be .* < 1, but got 1.0"),
        ({"dropout": math.nan}, "dropout must be"),
        ({"dtype": "float16"}, "dtype must be one of"),
    ],
)
def test_a_model_that_cannot_be_built_is_refused(options: dict[str, Any], says: str) -> None:
    refused(lambda: MLP(**{"layer_sizes": (3, 4, 3), **options}), says)


# -- train -----------------------------------------------------------------------------------------------------

TRAINING: dict[str, tuple[dict[str, Any], str]] = {
    "batch size 0": ({"batch_size": 0}, "^batch_size must be between 1 and the 12 training .*, or full, but got 0$"),
    "batch size too large": ({"batch_size": 13}, "between 1 and the 12 training examples, or full, but got 13$"),
    "batch size of a split": ({"data": SPLIT, "batch_size": 10}, "between 1 and the 9 .*, but got 10$"),
    "batch size negative": ({"batch_size": -4}, "batch_size must be between"),
    "batch size a fraction": ({"batch_size": 2.5}, "batch_size must be between .*but got 2.5$"),
    "batch size a bool": ({"batch_size": True}, "batch_size must be between"),
    "batch size a word": ({"batch_size": "all"}, "batch_size must be .*, or full, but got 'all'$"),
    "full with replacement": ({"batch_size": "full", "replacement": True}, "replacement must be False"),
    "epochs 0": ({"epochs": 0}, "epochs must be an integer of at least 1, but got 0"),
    "epochs negative": ({"epochs": -1}, "epochs must be"),
    "epochs a fraction": ({"epochs": 1.5}, "epochs must be"),
    "seed negative": ({"seed": -1}, "seed must be"),
    "seed too large": ({"seed": 2**63}, "seed must be"),
    "no model": ({"model": (3, 3)}, "model must be an MLP"),
    "no data": ({"data": X}, r"data must be a Split or a Dataset, but got ndarray; use Dataset\(X, y\)"),
    "no optimizer": ({"optimizer": 0.1}, "optimizer must be one such as"),
    "an optimizer's class": ({"optimizer": SGD}, "optimizer must be one such as"),
    "other inputs": ({"model": MLP((4, 3))}, r"X must have the shape \(examples, 4\) of the model"),
    "other outputs": ({"model": MLP((3, 2))}, "as many outputs as the data has classes, 3, but has 2"),
    "one output for three classes": ({"model": MLP((3, 1))}, "as many outputs"),
    "other target columns": ({"data": NUMBERS, "model": MLP((3, 2))}, "as many outputs as the data has target columns"),
    "softmax for numbers": ({"data": NUMBERS, "model": MLP((3, 1), output="softmax")}, "must|takes"),
    "logistic for numbers": ({"data": NUMBERS, "model": MLP((3, 1), output="logistic")}, "must lie between 0 and 1"),
    "theta too short": ({"theta": np.zeros(30)}, "theta must have the shape"),
    "theta with NaN": ({"theta": np.full(31, math.nan)}, "theta must be finite"),
    "theta as text": ({"theta": ["a"] * 31}, "theta must hold real numbers"),
    "theta beyond float32": ({"theta": np.full(31, 1e200)}, "theta as float32 must be finite"),
    "schedule too short": ({"schedule": [0.1, 0.1]}, "schedule must hold the learning rate of each of the 6 steps"),
    "schedule negative": ({"schedule": np.full(6, -0.1)}, "schedule must give finite .* >= 0, but got -0.1"),
    "schedule with NaN": ({"schedule": np.full(6, math.nan)}, "schedule must give finite"),
    "schedule infinite": ({"schedule": lambda step: math.inf}, "schedule must give finite"),
    "schedule a number": ({"schedule": 0.1}, "schedule must hold"),
    "schedule a name": ({"schedule": "cosine"}, "schedule must be one such as"),
    "schedule's class": ({"schedule": Cosine}, "schedule must be one such as"),
    "schedule of text": ({"schedule": ["a"] * 6}, "schedule must hold"),
    "schedule without a result": ({"schedule": lambda step: None}, "schedule must"),
    "shuffle a number": ({"shuffle": 1}, "shuffle must be True or False"),
    "replacement a word": ({"replacement": "yes"}, "replacement must be True or False"),
    "indices of one dimension": ({"indices": [0, 1]}, "indices must be whole numbers"),
    "no indices": ({"indices": np.empty((0, 3), int)}, "indices must be whole numbers"),
    "indices as floats": ({"indices": [[0.0, 1.0]]}, "indices must be whole numbers"),
    "indices as bools": ({"indices": [[True, False]]}, "indices must be whole numbers"),
    "indices too high": ({"indices": [[0, 12]]}, "indices must be rows between 0 and 11 .*but got 12"),
    "indices negative": ({"indices": [[0, -1]]}, "indices must be rows between 0 and 11 .*but got -1"),
    "indices huge": ({"indices": np.array([[2**63]], np.uint64)}, "indices must be rows between"),
    "epochs that do not divide": ({"indices": [[0], [1], [2]], "epochs": 2}, "epochs must divide the 3 steps"),
    "weights too few": ({"sample_weight": np.ones(11)}, "sample_weight must have the shape"),
    "weights negative": ({"sample_weight": with_value(-1, 0, Y)}, "sample_weight must be >= 0"),
    "weights all 0": ({"sample_weight": np.zeros(12)}, "sample_weight must be >= 0 and not 0 throughout"),
    "weights with NaN": ({"sample_weight": with_value(math.nan, 0, Y)}, "sample_weight must be finite"),
    "weights as text": ({"sample_weight": ["a"] * 12}, "sample_weight must"),
    "weights as text, with classes": ({"sample_weight": ["a"] * 12, "class_weight": "balanced"}, "sample_weight must"),
    "class weight unknown": ({"class_weight": {7: 1.0}}, "class_weight must be for labels among .*, but got 7"),
    "class weight negative": ({"class_weight": {0: -1.0}}, "class_weight must be"),
    "class weight a word": ({"class_weight": "balance"}, "did you mean 'balanced'"),
    "class weight a list": ({"class_weight": [1, 2, 3]}, "class_weight must be a dict"),
    "class weights all 0": ({"class_weight": dict.fromkeys(range(3), 0)}, "must be >= 0 and not 0 throughout"),
    "class weight for numbers": (
        {"data": NUMBERS, "model": MLP((3, 1)), "class_weight": "balanced"}, "class_weight must be None for regression",
    ),
    "patience 0": ({"early_stopping": 0}, "early_stopping must be"),
    "patience a bool": ({"early_stopping": True}, "early_stopping must be"),
    "early stopping on nothing held out": ({"early_stopping": 2}, "metric of early_stopping must be one of"),
    "early stopping on an unknown metric": (
        {"early_stopping": EarlyStopping(2, metric="train_los")}, "did you mean 'train_loss'",
    ),
    "target unknown": ({"target": {"train_acuracy": 1}}, "did you mean 'train_accuracy'"),
    "target NaN": ({"target": {"train_loss": math.nan}}, "target train_loss must be"),
    "target a number": ({"target": 0.9}, "target must be a dict"),
    "target of another task": ({"target": {"train_r2": 0.9}}, "target must be one of"),
    "callback a word": ({"callback": "print"}, "callback must be a function"),
    "every_steps 0": ({"every_steps": 0}, "every_steps must be"),
    "divergence factor 1": ({"divergence_factor": 1}, "divergence_factor must be"),
    "divergence factor NaN": ({"divergence_factor": math.nan}, "divergence_factor must be"),
    "too few rate multipliers": ({"optimizer": SGD(0.1, rate_multipliers=(1,))}, "rate_multipliers must have"),
    "data beyond float32": ({"data": Dataset(X * 1e200, Y)}, "X as float32 must be finite"),
}  # fmt: skip


@pytest.mark.parametrize("case", TRAINING)
def test_training_that_cannot_be_done_is_refused_before_it_starts(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def started(*arguments: Any) -> None:
        raise AssertionError("a kernel was reached")

    monkeypatch.setattr(kernels, "train_steps", started)
    monkeypatch.setattr(descent.Descent, "advance", started)
    options, says = TRAINING[case]
    options = {"model": MODEL, "data": DATA, "optimizer": SGD(0.1), "batch_size": 4, "epochs": 2, **options}
    if "indices" in options and "epochs" not in TRAINING[case][0]:
        options["epochs"] = None
    model, data, optimizer = (options.pop(name) for name in ("model", "data", "optimizer"))
    refused(lambda: train(model, data, optimizer, **options), says)


def test_the_table_starts_from_what_works() -> None:
    assert train(MODEL, DATA, SGD(0.1), batch_size=4, epochs=2).status == "completed"


# -- predict and evaluate --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (X[:, :2], r"X must have the shape \(examples, 3\)|X must have the 3 features"),
        (X[0], "X must have"),
        (X[:0], "X must have at least 1 example"),
        (with_value(math.nan, (0, 0)), "X must be finite"),
        (X * 1e200, "finite"),
        ([["a", "b", "c"]], "X must"),
        (X + 1j, "X must"),
        (None, "X must"),
        ("abc", "X must"),
    ],
)
@pytest.mark.parametrize("scaled", [False, True])
def test_predicting_for_what_does_not_fit_is_refused(given: Any, says: str, scaled: bool) -> None:
    run = train(MODEL, SPLIT, batch_size=4, epochs=1)
    for call in (run.predict, run.predict_proba):
        refused(lambda call=call: call(given, scaled=scaled), says)


def test_evaluating_on_what_does_not_fit_is_refused() -> None:
    run = train(MODEL, SPLIT, batch_size=4, epochs=1)
    refused(lambda: run.evaluate(X), "data must be a Dataset")  # type: ignore[arg-type]
    refused(lambda: run.evaluate(SPLIT), "data must be a Dataset")  # type: ignore[arg-type]
    refused(lambda: run.evaluate(None), "data must be a Dataset")  # type: ignore[arg-type]
    refused(lambda: run.evaluate(NUMBERS), "task of the data must be one of classification, but got 'regression'")
    refused(lambda: run.evaluate(Dataset(X, Y + 1)), "y must have labels among the 3 classes")
    refused(lambda: run.evaluate(Dataset(X, Y.astype(str))), "y must have labels like the classes")
    refused(lambda: run.evaluate(Dataset(X[:, :2], Y)), "features")


@pytest.mark.skipif(os.name != "posix", reason="needs a folder that refuses files")
def test_a_run_is_not_written_where_it_cannot_be(tmp_path: Path) -> None:
    run = train(MODEL, DATA, batch_size=4, epochs=1)
    for path in ("none/run.npz", "/dev/null/run.npz", "/"):
        with pytest.raises(OSError, match=r"run.npz|/|directory") as seen:
            run.save(path)
        assert "\n" not in str(seen.value)


# -- whatever else -----------------------------------------------------------------------------------------------

numbers = st.one_of(
    st.integers(-3, 20), st.floats(), st.sampled_from([None, True, "1", "", b"x", [], (), {}, 1j, 2**70])
)
arrays = hnp.arrays(
    st.sampled_from([np.float64, np.float32, np.int64, np.int8, np.bool_, np.uint64]),
    hnp.array_shapes(min_dims=0, max_dims=3, max_side=5),
)
values = st.one_of(numbers, arrays, st.lists(numbers, max_size=4))
options = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("batch_size", "epochs", "seed", "every", "every_steps", "divergence_factor"), numbers),
        **dict.fromkeys(("theta", "schedule", "indices", "sample_weight", "class_weight", "target"), values),
        **dict.fromkeys(("shuffle", "replacement", "early_stopping", "resume", "callback"), values),
    },
)
GENTLE = settings(max_examples=150)


@GENTLE
@given(options)
def test_any_options_train_or_are_refused_in_one_line(chosen: dict[str, Any]) -> None:
    chosen = {"batch_size": 4, "epochs": 2, **chosen}
    if isinstance(chosen["epochs"], int) and chosen["epochs"] > 50:
        chosen["epochs"] = 50
    try:
        run = train(MODEL, DATA, SGD(0.1), **chosen)
    except (ValueError, TypeError) as error:
        one_line(error)
    else:
        assert isinstance(run, Run)
        assert run.status in ("completed", "stopped", "diverged")


@GENTLE
@given(values, values, st.sampled_from([None, "classification", "regression", "multilabel", "classfication", 3]))
def test_any_arrays_make_a_dataset_that_trains_or_are_refused_in_one_line(features: Any, y: Any, task: Any) -> None:
    try:
        data = Dataset(features, y, task)
        run = train(MLP((data.n_features, 2, data.n_outputs)), data, Adam(0.1), batch_size=2, epochs=2)
    except (ValueError, TypeError) as error:
        one_line(error)
    else:
        assert run.status in ("completed", "diverged")


@GENTLE
@given(
    hnp.arrays(np.float64, st.tuples(st.integers(2, 6), st.integers(1, 3))),
    st.integers(0, 2**32),
    st.sampled_from(["float32", "float64"]),
)
def test_any_numbers_train_or_are_refused_in_one_line(features: Any, seed: int, dtype: str) -> None:
    """Whatever overflows is divergence, never a warning or an error half-way."""
    y = np.random.default_rng(seed).normal(size=(len(features), 2)) * 10.0 ** (seed % 60)
    try:
        data = Dataset(features, y)
        split = data.split(0.3, 0, seed=seed) if len(data) > 4 else data
    except ValueError as error:
        one_line(error)
        return
    try:
        run = train(MLP((data.n_features, 3, 2), dtype=dtype), split, SGD(0.5), batch_size=2, epochs=3, seed=seed)
    except ValueError as error:
        one_line(error, "finite")
    else:
        assert run.status in ("completed", "diverged")
        assert run.status == "diverged" or np.isfinite(run.history.train_loss).all()


@settings(max_examples=100)
@given(st.binary(max_size=300))
def test_any_bytes_are_no_run(content: bytes) -> None:
    file = io.BytesIO(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.open", lambda *arguments, **more: file)
        try:
            load("run.npz")
        except ValueError as error:
            message = str(error)
        else:
            message = ""
    assert message.startswith("'run.npz' must be a")
    assert "\n" not in message


def test_a_model_with_other_inputs_is_refused_though_the_data_was_trained_on_before() -> None:
    data = Dataset(np.eye(6), [0, 1, 2, 0, 1, 2])
    train(MLP((6, 3)), data, SGD(0.1), epochs=1)
    refused(lambda: train(MLP((4, 3)), data, SGD(0.1), epochs=1), r"X must have the shape \(examples, 4\)")
