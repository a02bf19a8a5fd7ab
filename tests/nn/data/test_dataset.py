"""Datasets: what is accepted, what is refused and how, and what kind of task is understood."""

from __future__ import annotations

import hashlib
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nn import _arrays
from nn.data import Dataset, bundled, load_dataset

X4 = np.arange(8.0).reshape(4, 2)
NAN_X = np.where(np.arange(8).reshape(4, 2) >= 5, np.nan, X4)


def test_callers_arrays_are_copied() -> None:
    X, y = X4.copy(), np.array([0, 1, 0, 1])
    data = Dataset(X, y)
    before = data.fingerprint
    X[0, 0] = 99
    y[0] = 1
    assert data.X[0, 0] == 0
    assert data.y[0] == 0
    assert data.targets[0] == 0
    assert Dataset(data.X, data.y).fingerprint == before


def test_kernels_get_contiguous_writable_float_arrays() -> None:
    frozen = np.asfortranarray(X4.astype(np.float32))
    frozen.setflags(write=False)
    data = Dataset(frozen[::-1], ["a", "b", "a", "b"])
    for part in (data, data.subset([2, 0]), data.split(0.25, 0, stratify=False).train):
        assert part.X.flags.c_contiguous
        assert part.X.flags.writeable
        assert part.X.dtype == np.float32
        assert part.targets.flags.c_contiguous
        assert part.targets.dtype == np.int64


@pytest.mark.parametrize(
    ("dtype", "kept"),
    [("f4", "f4"), (">f4", "f4"), ("f8", "f8"), (">f8", "f8"), ("f2", "f8"), ("i1", "f8"), ("u8", "f8"), ("?", "f8")],
)
def test_float32_and_float64_are_kept_and_all_else_becomes_float64(dtype: str, kept: str) -> None:
    data = Dataset((X4 > 3).astype(dtype), [0, 1, 0, 1])
    assert data.X.dtype == np.dtype(kept)
    assert np.array_equal(data.X, X4 > 3)


@pytest.mark.parametrize(
    ("y", "task"),
    [
        (["no", "yes", "no", "yes"], "classification"),
        (np.array(["no", "yes", "no", "yes"], dtype=object), "classification"),
        ([True, False, True, False], "classification"),
        ([3, 7, 3, 7], "classification"),
        ([[0, 1], [1, 1], [1, 0], [0, 0]], "multilabel"),
        (np.array([[0, 1], [1, 1], [1, 0], [0, 0]], dtype=bool), "multilabel"),
        ([0.5, 1.5, 2.0, 3.0], "regression"),
        ([[1.0], [2.0], [3.0], [4.0]], "regression"),
    ],
)
def test_task_follows_from_the_targets(y: Any, task: str) -> None:
    data = Dataset(X4, y)
    assert data.task == task
    assert data.targets.dtype == (np.int64 if task == "classification" else np.float64)
    assert data.targets.ndim == (1 if task == "classification" else 2)
    assert (data.classes is not None) == (task == "classification")


def test_targets_are_positions_in_the_sorted_classes() -> None:
    data = Dataset(X4, ["pear", "apple", "pear", "fig"])
    assert data.classes is not None
    assert data.classes.tolist() == ["apple", "fig", "pear"]
    assert data.n_outputs == 3
    assert data.targets.tolist() == [2, 0, 2, 1]
    assert data.class_names == ("apple", "fig", "pear")
    assert data.codes_of(["fig", "apple"]).tolist() == [1, 0]
    with pytest.raises(ValueError, match=r"labels among the 3 classes .* but got 'plum'"):
        data.codes_of(["plum"])
    with pytest.raises(TypeError):
        data.codes_of([1])


@pytest.mark.parametrize(
    "y", [np.arange(300) % 101, np.arange(60) % 31, np.arange(60.0) % 20, np.arange(60).reshape(30, 2)]
)
def test_task_must_be_named_where_it_can_not_be_told(y: np.ndarray) -> None:
    X = np.zeros((len(y), 1))
    with pytest.raises(ValueError, match="task must be named"):
        Dataset(X, y)
    assert Dataset(X, y, "regression").targets.shape == (len(y), y.size // len(y))
    if y.ndim == 1:
        assert Dataset(X, y, "classification").n_outputs == len(np.unique(y))


BAD: list[tuple[Any, Any, dict[str, Any], str]] = [
    (X4[:, 0], [0, 1, 0, 1], {}, r"two dimensions.*but got shape \(4,\); .*X\[:, None\]"),
    (X4[None], [0], {}, "two dimensions"),
    (X4[:1], [0], {}, r"at least 2 rows and 1 feature, but got shape \(1, 2\)"),
    (X4[:0], [], {}, "at least 2 rows"),
    (X4[:, :0], [0, 1, 0, 1], {}, "1 feature"),
    (X4 + 1j, [0, 1, 0, 1], {}, "real numbers, but got dtype complex"),
    (X4.astype(object), [0, 1, 0, 1], {}, "real numbers, but got dtype object"),
    ([["a", "b"]] * 4, [0, 1, 0, 1], {}, "real numbers"),
    ([[1, 2], [3]], [0, 1], {}, "equal lengths"),
    (None, [0, 1], {}, "X must"),
    (np.ma.masked_greater(X4, 6), [0, 1, 0, 1], {}, "no masked values, but 1 are"),
    (NAN_X, [0, 1, 0, 1], {}, "3 of its 8 values are NaN or infinite, first at row 2, column 1"),
    (np.full((4, 1), np.inf, np.float32), [0, 1, 0, 1], {}, "4 of its 4 values"),
    (X4, [0, 1, 0], {}, "same length, but got 4 rows in X and 3 in y"),
    (X4, [0.5, np.nan, 1.5, 2], {}, "y must be finite, but 1 of its 4 values is .* first at row 1;"),
    (X4, [1, 1, 1, 1], {}, "at least 2 classes, but all 4 labels are 1"),
    (X4, ["a"] * 4, {}, "at least 2 classes"),
    (X4, ["a", None, "b", "a"], {}, "y must be all strings.*NoneType"),
    (X4, [1j, 2, 3, 4], {}, "y must be of numbers"),
    (X4, np.array(["2020-01-01"] * 4, "M8[D]"), {}, "y must be of numbers"),
    (X4, 3, {}, "y must have one value"),
    (X4, np.zeros((4, 2, 2)), {}, "y must have one value"),
    (X4, ["a", "b", "a", "b"], {"task": "regression"}, "task='classification'"),
    (X4, [0.5, 1, 1, 0], {"task": "classification"}, "fractions"),
    (X4, [[0, 2]] * 4, {"task": "multilabel"}, "0 or 1 in multilabel, but got 2"),
    (X4, [0, 1, 0, 1], {"task": "multilabel"}, "one column for each label"),
    (X4, [[0, 1]] * 4, {"task": "classification"}, "one label for each example"),
    (X4, [0, 1, 0, 1], {"task": "clasification"}, "did you mean 'classification'"),
    (X4, [0, 1, 0, 1], {"feature_names": ["a"]}, "feature_names must have 2 names, but got 1"),
    (X4, [0, 1, 0, 1], {"feature_names": "ab"}, "feature_names must be a list"),
    (X4, [0, 1, 0, 1], {"class_names": ["a", "b", "c"]}, "class_names must have 2 names"),
    (X4, [0.5, 1, 2, 3], {"class_names": ["a"]}, "class_names must be None"),
]


@pytest.mark.parametrize(("X", "y", "options", "message"), BAD)
def test_bad_input_gets_one_line_with_rule_and_value(X: Any, y: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        Dataset(X, y, **options)
    assert "\n" not in str(caught.value)


def test_nan_is_counted_over_all_pieces_of_a_large_array(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_arrays, "CHUNK_BYTES", 100)
    X = np.zeros((90, 3))
    X[[40, 41, 80], [1, 2, 0]] = np.nan
    with pytest.raises(ValueError, match="3 of its 270 values are NaN or infinite, first at row 40, column 1"):
        Dataset(X, np.arange(90) % 2)


def test_names_come_from_a_table_with_columns() -> None:
    class Table:
        columns = ("width", "height")

        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
            return X4

    assert Dataset(Table(), [0, 1, 0, 1]).feature_names == ("width", "height")
    assert Dataset(X4, [0, 1, 0, 1]).feature_names is None


def test_subset_keeps_classes_and_order() -> None:
    data = Dataset(X4, ["a", "b", "c", "c"], name="small")
    part = data.subset([3, 0])
    assert part.y.tolist() == ["c", "a"]
    assert part.targets.tolist() == [2, 0]
    assert part.n_outputs == 3
    assert np.array_equal(part.X, X4[[3, 0]])
    assert np.array_equal(data.subset([True, False, False, True]).X, X4[[0, 3]])
    for rows in ([], [4], [-1], [0.5], [[0]], [True, False], [False] * 4, "a"):
        with pytest.raises(ValueError, match="rows"):
            data.subset(rows)


def test_dataset_is_frozen_and_survives_pickling() -> None:
    data = Dataset(X4, [0.5, 1.5, 2.5, 4], name="small")
    with pytest.raises(AttributeError):
        data.name = "other"  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(data)).fingerprint == data.fingerprint


def test_fingerprint_tells_contents_apart_and_nothing_else() -> None:
    base = Dataset(X4, ["a", "b", "a", "b"])
    changed = X4.copy()
    changed[3, 1] += 1e-9
    others = [
        Dataset(changed, ["a", "b", "a", "b"]),
        Dataset(X4, ["a", "b", "b", "b"]),
        Dataset(X4, ["a", "c", "a", "c"]),
        Dataset(X4.astype(np.float32), ["a", "b", "a", "b"]),
        Dataset(X4, ["a", "b", "a", "b"], feature_names=["u", "v"]),
        Dataset(X4, [0.5, 1, 0.5, 1]),
    ]
    assert len({data.fingerprint for data in [base, *others]}) == len(others) + 1
    assert Dataset(X4, [1, 2, 1, 2]).fingerprint != Dataset(X4, ["1", "2", "1", "2"]).fingerprint
    assert Dataset(X4.copy(), np.array(["a", "b", "a", "b"]), name="other").fingerprint == base.fingerprint


def test_repr_is_short_and_says_what_it_is() -> None:
    data = load_dataset("diabetes")
    assert repr(data) == "Dataset('diabetes', regression: 442 rows, 10 features, 1 target, float64)"
    assert repr(data.split().train).endswith("float64, scaled)")


SHAPES = {
    "digits": (1797, 64, 10),
    "iris": (150, 4, 3),
    "wine": (178, 13, 3),
    "breast_cancer": (569, 30, 2),
    "diabetes": (442, 10, 1),
}


@pytest.mark.parametrize("name", SHAPES)
def test_bundled_files_are_the_published_ones(name: str) -> None:
    path = bundled.folders()[1] / f"{name}.npz"
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    assert found == bundled.CHECKSUMS[name]
    assert f"| `{name}.npz` | {path.stat().st_size:,} | `{found}` |" in (path.parent / "README.md").read_text()
    data = load_dataset(name)
    assert (*data.X.shape, data.n_outputs) == SHAPES[name]
    assert data.X.dtype == np.float64
    assert data.feature_names is not None


def test_task_of_a_bundled_set_can_be_named() -> None:
    data = load_dataset("digits", task="regression")
    assert data.task == "regression"
    assert data.targets.shape == (1797, 1)


def test_damaged_or_missing_bundled_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundled, "folders", lambda: (tmp_path / "a", tmp_path))
    with pytest.raises(ValueError, match=r"iris\.npz must be in .* but is missing"):
        load_dataset("iris")
    content = bytearray((Path(bundled.__file__).parents[2] / "datasets" / "iris.npz").read_bytes())
    content[-40] ^= 1
    (tmp_path / "iris.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"iris.npz must have SHA-256 .* damaged"):
        load_dataset("iris")


def test_unknown_dataset_suggests_the_nearest_and_says_that_a_path_works() -> None:
    with pytest.raises(ValueError, match=r"did you mean 'digits'.*path"):
        load_dataset("digts")
    with pytest.raises(ValueError, match=r"nothing at 'nowhere/x.csv'"):
        load_dataset("nowhere/x.csv")
    for name in ("", "\0", "x" * 5000, "y" * 300 + "/z.csv"):
        with pytest.raises(ValueError, match="must"):
            load_dataset(name)
    with pytest.raises(ValueError, match="'digits' must be loaded without options, but got 'n'"):
        load_dataset("digits", n=3)
    with pytest.raises(ValueError, match="target_column must be None for 'digits'"):
        load_dataset("digits", target="y")
    with pytest.raises(TypeError, match=re.escape("Dataset(X, y)")):
        load_dataset(X4)  # type: ignore[arg-type]


class Odd(SimpleNamespace):
    """An object that fails when it is looked at as an array."""

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise KeyError("odd")


JUNK = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.complex_numbers(),
        st.text(max_size=3),
        st.binary(max_size=3),
        st.just(Odd()),
        hnp.arrays(hnp.scalar_dtypes(), hnp.array_shapes(max_dims=3, max_side=4)),
    ),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=8,
)


def outcome(build: Callable[[], Dataset]) -> tuple[Dataset | None, str]:
    """Return what `build` returns, or the message of its ValueError or TypeError; any other error comes through."""
    try:
        return build(), ""
    except (ValueError, TypeError) as error:
        return None, str(error)


@settings(max_examples=150, deadline=None)
@given(JUNK, JUNK, st.sampled_from([None, "classification", "regression", "multilabel"]))
def test_junk_becomes_a_sound_dataset_or_one_clear_line(X: Any, y: Any, task: str | None) -> None:
    data, problem = outcome(lambda: Dataset(X, y, task))
    if data is None:
        assert " must " in problem
        assert "\n" not in problem
        return
    assert data.X.ndim == 2
    assert np.isfinite(data.X).all()
    assert len(data) >= 2
    assert np.isfinite(data.targets).all()
    assert len(data.targets) == len(data.X)


@settings(max_examples=100, deadline=None)
@given(
    hnp.arrays(hnp.scalar_dtypes(), hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=5)),
    st.data(),
)
def test_arrays_of_any_dtype_are_sound_or_refused(X: np.ndarray, draw: st.DataObject) -> None:
    y = draw.draw(hnp.arrays(hnp.scalar_dtypes(), (len(X),)))
    data, problem = outcome(lambda: Dataset(X, y))
    if data is None:
        assert " must " in problem
        assert "\n" not in problem
        return
    assert np.array_equal(data.X, np.asarray(X).astype(data.X.dtype))
    if data.classes is not None:
        assert data.classes[data.targets].tolist() == data.y.tolist()
