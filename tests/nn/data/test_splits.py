"""Splits, folds, scaling and memory-mapped rows."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nn import _arrays
from nn.data import Dataset, LazyRows, Scaling, Split, load_dataset
from nn.data.rows import fold_numbers, split_rows, split_sizes

SHARES = st.floats(0, 0.6)
COUNTS = st.lists(st.integers(1, 40), min_size=2, max_size=12)


def all_rows(rows: dict[str, np.ndarray]) -> list[int]:
    return sorted(np.concatenate(list(rows.values())).tolist())


@pytest.mark.parametrize("stratify", [None, False])
def test_digits_are_split_into_1078_360_and_359(stratify: bool | None) -> None:
    split = load_dataset("digits").split(validation=0.2, test=0.2, seed=0, stratify=stratify)
    assert split.validation is not None
    assert split.test is not None
    assert (len(split.train), len(split.validation), len(split.test)) == (1078, 360, 359)
    assert all_rows(split.rows) == list(range(1797))


def test_rows_of_the_parts_are_the_rows_of_the_dataset() -> None:
    data = load_dataset("iris")
    split = data.split(0.3, 0.1, seed=3, scale=False)
    assert split.scaling is None
    assert split.train.scaling is None
    for name in ("train", "validation", "test"):
        part = getattr(split, name)
        assert np.array_equal(part.X, data.X[split.rows[name]])
        assert np.array_equal(part.y, data.y[split.rows[name]])


def test_parts_that_are_not_asked_for_are_none() -> None:
    data = load_dataset("wine")
    assert data.split(0, 0.2).validation is None
    assert data.split(0.2, 0).test is None
    assert len(data.split(0, 0).train) == len(data)


@settings(max_examples=200, deadline=None)
@given(COUNTS, SHARES, SHARES, st.integers(0, 5))
def test_stratified_parts_are_disjoint_cover_all_and_hold_the_shares(
    counts: list[int], validation: float, test: float, seed: int
) -> None:
    codes = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    n, k = len(codes), len(counts)
    try:
        sizes = split_sizes(n, validation, test)
    except ValueError:
        assume(False)
    assume(sizes[0] >= k)
    rows = split_rows(n, validation, test, seed, codes, k)
    assert all_rows(rows) == list(range(n))
    assert tuple(len(rows[name]) for name in ("train", "validation", "test")) == sizes
    held = {name: np.bincount(codes[part], minlength=k) for name, part in rows.items()}
    assert held["train"].min() >= 1
    share = {name: np.array(counts) * size / n for name, size in zip(rows, sizes, strict=True)}
    if share["train"].min() >= 1:  # otherwise training is given a row of the class first
        for name, within in (("train", 1), ("test", 1), ("validation", 2)):
            assert np.abs(held[name] - share[name]).max() < within
    for name, part in rows.items():
        assert np.array_equal(part, split_rows(n, validation, test, seed, codes, k)[name])


@settings(max_examples=60, deadline=None)
@given(COUNTS, st.floats(0, 0.3), st.floats(0, 0.3), st.floats(0.05, 0.3), st.booleans())
def test_test_rows_do_not_depend_on_validation(
    counts: list[int], one: float, other: float, test: float, stratified: bool
) -> None:
    codes = np.repeat(np.arange(len(counts)), counts) if stratified else None
    try:
        a, b = (split_rows(sum(counts), v, test, 7, codes, len(counts))["test"] for v in (one, other))
    except ValueError:
        assume(False)
    assert np.array_equal(a, b)


def test_shares_are_exact_where_they_can_be() -> None:
    data = load_dataset("iris")
    for part in data.split(0.2, 0.2, seed=5).rows.values():
        assert len(set(np.bincount(data.targets[part]).tolist())) == 1


def test_a_class_of_one_goes_to_training_and_one_of_three_everywhere() -> None:
    y = np.array([0] * 20 + [1] * 3 + [2])
    for seed in range(10):
        split = Dataset(np.zeros((24, 1)), y).split(0.2, 0.2, seed=seed)
        assert {name: sorted(set(y[rows])) for name, rows in split.rows.items()} == {
            "train": [0, 1, 2], "validation": [0, 1], "test": [0, 1],
        }  # fmt: skip


def test_seed_decides_the_rows() -> None:
    data = load_dataset("iris")
    first, again, other = (data.split(seed=seed).rows["test"] for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation": 0.5, "test": 0.5}, "below 1, but got 0.5 \\+ 0.5"),
        ({"validation": -0.1}, "validation must be"),
        ({"test": 1.0}, "test must be"),
        ({"test": float("nan")}, "test must be"),
        ({"validation": 0.001}, "at least one of the 150 rows"),
        ({"validation": 0.99, "test": 0.0}, "at least 2 training rows, but leaves 1 or 2|each of the 3 classes"),
        ({"seed": -1}, "seed must be"),
        ({"seed": 0.5}, "seed must be"),
    ],
)
def test_impossible_splits_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_dataset("iris").split(**options)  # type: ignore[arg-type]


def test_only_classes_are_stratified() -> None:
    with pytest.raises(ValueError, match="stratify must be False"):
        load_dataset("diabetes").split(stratify=True)


@settings(max_examples=100, deadline=None)
@given(COUNTS, st.integers(2, 9), st.integers(0, 9))
def test_folds_cover_every_row_once_in_even_shares(counts: list[int], k: int, seed: int) -> None:
    codes = np.repeat(np.arange(len(counts)), counts)
    assume(k <= len(codes))
    number = fold_numbers(len(codes), k, seed, codes)
    table = np.zeros((k, len(counts)), dtype=int)
    np.add.at(table, (number, codes), 1)
    assert np.ptp(table.sum(axis=1)) <= 1
    assert np.ptp(table, axis=0).max() <= 1


def test_folds_leave_the_test_part_alone_and_are_scaled_by_their_own_training_rows() -> None:
    data = load_dataset("diabetes")
    split = data.split(0.25, 0.2, seed=4)
    for folds in (split.folds(5, seed=4), data.folds(5, seed=4, test=0.2)):
        kept = np.concatenate([fold.rows["validation"] for fold in folds])
        assert sorted(kept) == sorted(np.concatenate([split.rows["train"], split.rows["validation"]]))
        for fold in folds:
            assert all_rows(fold.rows) == list(range(len(data)))
            assert np.array_equal(fold.rows["test"], split.rows["test"])
            assert fold.test is not None
            assert fold.scaling is not None
            expected = fold.scaling.transform(data.X[fold.rows["test"]])
            assert np.array_equal(fold.test.X, expected)
            assert np.allclose(fold.train.X.mean(axis=0), 0)
            assert np.allclose(fold.train.y.std(), 1)
    assert all(fold.test is None for fold in data.folds(3))


def test_too_many_folds_are_refused() -> None:
    data = Dataset(np.zeros((4, 1)), [0.5, 1, 2, 3])
    assert len(data.folds(4)) == 4
    for k in (5, 1, 0, 2.5):
        with pytest.raises(ValueError, match="folds must be"):
            data.folds(k)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="folds must be"):
        data.split(0, 0.5).folds(2)


def test_scaling_sees_the_training_part_alone() -> None:
    data = load_dataset("wine")
    split = data.split(seed=2)
    spoilt = np.array(data.X)
    held = np.concatenate([split.rows["validation"], split.rows["test"]])
    spoilt[held] *= 1e6
    again = Dataset(spoilt, data.y).split(seed=2)
    assert np.array_equal(split.train.X, again.train.X)
    train = data.X[split.rows["train"]]
    assert split.scaling is not None
    assert np.allclose(split.scaling.mean, train.mean(axis=0), rtol=1e-13)
    assert np.allclose(split.scaling.std, train.std(axis=0), rtol=1e-12)


def test_regression_targets_are_scaled_and_come_back() -> None:
    rng = np.random.default_rng(0)
    data = Dataset(rng.normal(size=(50, 2)), rng.normal(100, 20, size=(50, 3)))
    split = data.split()
    assert split.validation is not None
    assert split.scaling is not None
    assert np.allclose(split.train.targets.mean(axis=0), 0)
    assert np.allclose(split.train.targets.std(axis=0), 1)
    back = split.scaling.inverse_targets(split.validation.targets)
    assert np.allclose(back, data.y[split.rows["validation"]], rtol=1e-14)
    with pytest.raises(ValueError, match="3 columns"):
        split.scaling.inverse_targets(np.zeros((4, 2)))
    with pytest.raises(ValueError, match="2 features"):
        split.scaling.transform(np.zeros((4, 3)))


@pytest.mark.parametrize("value", [0.1, 1e300, -7.0, 0.0])
def test_constant_features_become_zero(value: float) -> None:
    X = np.column_stack([np.full(9999, value), np.arange(9999)])
    scaling = Scaling.fit(X)
    assert scaling.std[0] == 1
    assert np.all(scaling.transform(X)[:, 0] == 0)


def test_statistics_are_in_float64_and_hold_far_from_zero() -> None:
    X = (1e4 + np.random.default_rng(0).normal(size=(5000, 1))).astype(np.float32)
    scaling = Scaling.fit(X)
    assert np.allclose(scaling.std, X.astype(np.float64).std(axis=0), rtol=1e-12)
    assert scaling.transform(X).dtype == np.float32


def test_statistics_in_pieces_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_arrays, "CHUNK_BYTES", 7 * 8 * 3)
    X = np.random.default_rng(0).normal(size=(100, 3)) + np.arange(100)[:, None]
    scaling = Scaling.fit(X)
    assert np.allclose(scaling.mean, X.mean(axis=0), rtol=1e-13)
    assert np.allclose(scaling.std, X.std(axis=0), rtol=1e-13)


def test_a_spread_that_overflows_is_refused() -> None:
    X = np.array([[1e300], [-1e300], [0.0]])
    with pytest.raises(ValueError, match="feature 0 must have a spread below 1e150"):
        Scaling.fit(X)


def test_scaling_twice_is_one_scaling() -> None:
    data = load_dataset("diabetes")
    once = data.split(0.2, 0.2, seed=1)
    twice = once.train.split(0.3, 0, seed=1)
    rows = once.rows["train"][twice.rows["train"]]
    assert twice.scaling is not None
    assert np.allclose(twice.scaling.transform(data.X[rows]), twice.train.X, atol=1e-12)
    assert np.allclose(twice.scaling.inverse_targets(twice.train.targets)[:, 0], data.y[rows])
    kept = once.train.split(0.3, 0, seed=1, scale=False)
    assert kept.scaling is once.scaling


@pytest.fixture(params=["C", "F"])
def mapped(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Dataset, Dataset]:
    """The same data in memory and memory-mapped, looked at in pieces of a few rows."""
    monkeypatch.setattr(_arrays, "CHUNK_BYTES", 200)
    X = np.asarray(np.random.default_rng(0).normal(3, 5, size=(60, 4)), order=request.param)
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", np.arange(60) % 3)
    path = tmp_path / "X.npy"
    plain = load_dataset(path, target="y.npy")
    assert np.array_equal(plain.X, X)
    return plain, load_dataset(path, target="y.npy", mapped=True)


def test_mapped_rows_give_the_same_bits_as_rows_in_memory(mapped: tuple[Dataset, Dataset]) -> None:
    plain, lazy = mapped
    assert isinstance(lazy.X, LazyRows)
    assert isinstance(plain.X, np.ndarray)
    assert lazy.fingerprint == plain.fingerprint
    rows = np.array([5, 0, 5, 11])
    for a, b in [(plain.split(), lazy.split()), (plain.folds(4)[1], lazy.folds(4)[1])]:
        assert isinstance(b.train.X, LazyRows)
        assert isinstance(a.train.X, np.ndarray)
        assert b.train.X.shape == a.train.X.shape
        assert b.train.X.dtype == a.train.X.dtype
        taken = b.train.X.take(rows)
        assert np.array_equal(taken, a.train.X[rows])
        assert type(taken) is np.ndarray
        assert taken.flags.c_contiguous
        assert taken.flags.writeable
        assert np.array_equal(b.train.X.astype(np.float32).take(slice(3, 9)), a.train.X.astype(np.float32)[3:9])
        assert b.train.fingerprint == a.train.fingerprint


def test_mapped_rows_of_rows_are_the_right_ones(mapped: tuple[Dataset, Dataset]) -> None:
    plain, lazy = (data.subset(np.arange(59, 9, -1)).subset([7, 3, 3]) for data in mapped)
    assert isinstance(lazy.X, LazyRows)
    assert np.array_equal(lazy.X.take(slice(None)), plain.X)


def test_rows_taken_from_a_map_are_copies(mapped: tuple[Dataset, Dataset]) -> None:
    X = mapped[1].X
    assert isinstance(X, LazyRows)
    taken = X.take(slice(0, 3))
    taken[:] = 0
    assert X.take(slice(0, 3)).any()


def test_mapped_rows_are_pickled_by_reference(mapped: tuple[Dataset, Dataset]) -> None:
    train = mapped[1].split().train
    content = pickle.dumps(train.X)
    assert b"X.npy" in content
    assert np.array_equal(pickle.loads(content).take(slice(0, 5)), train.X.take(slice(0, 5)))  # type: ignore[union-attr]


def test_mapped_rows_are_never_loaded_whole_by_accident(mapped: tuple[Dataset, Dataset]) -> None:
    with pytest.raises(TypeError, match="take"):
        np.asarray(mapped[1].X)


def test_splitting_a_mapped_set_reads_it_in_pieces(
    mapped: tuple[Dataset, Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    largest = 0
    read = LazyRows._read

    def watched(self: LazyRows, rows: object) -> np.ndarray:
        nonlocal largest
        result = read(self, rows)
        largest = max(largest, len(result))
        return result

    monkeypatch.setattr(LazyRows, "_read", watched)
    split = mapped[1].split()
    assert isinstance(split, Split)
    assert split.train.fingerprint
    assert 0 < largest <= 10


def test_nan_in_a_mapped_file_is_found_at_the_first_look(tmp_path: Path) -> None:
    X = np.zeros((50, 3), np.float32)
    X[40, 1] = np.nan
    np.save(tmp_path / "X.npy", X)
    data = Dataset(np.load(tmp_path / "X.npy", mmap_mode="r"), np.arange(50) % 2)
    for look in (data.split, lambda: data.X.take([0]), lambda: data.subset([1, 2]).fingerprint):
        with pytest.raises(ValueError, match=r"1 of its 150 values is .* first at row 40, column 1"):
            look()


def test_integer_maps_are_read_as_float64(tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", np.arange(20, dtype=np.uint8).reshape(10, 2))
    data = Dataset(np.load(tmp_path / "X.npy", mmap_mode="r"), np.arange(10) % 2)
    assert data.X.dtype == np.float64
    assert data.X.take([9]).tolist() == [[18.0, 19.0]]  # type: ignore[union-attr]
