"""The rows for training, validation and test: how many they are, how classes are stratified, and folds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn.checks import integer, real

Rows = NDArray[np.int64]


def split_sizes(n: int, validation: float, test: float) -> tuple[int, int, int]:
    """Return the numbers of n rows that are for training, validation and test; cumulative sums are rounded.

    >>> split_sizes(1797, 0.2, 0.2)
    (1078, 360, 359)
    """
    validation = real("validation", validation, 0.0, below=1.0)
    test = real("test", test, 0.0, below=1.0)
    if validation + test >= 1:
        raise ValueError(f"validation + test must be below 1, but got {validation:g} + {test:g}")
    n_train, n_seen = round(n * (1 - validation - test)), round(n * (1 - test))
    sizes = (n_train, n_seen - n_train, n - n_seen)
    for name, share, size in zip(("validation", "test"), (validation, test), sizes[1:], strict=True):
        if share > 0 and size < 1:
            raise ValueError(f"{name} must be 0 or make at least one of the {n:,} rows, but got {share:g}")
    if n_train < 2:
        raise ValueError(f"a split must leave at least 2 training rows, but leaves {n_train} of {n:,}; hold out less")
    return sizes


def split_rows(
    n: int, validation: float, test: float, seed: Any, codes: Rows | None = None, n_classes: int = 0
) -> dict[str, Rows]:
    """Return the ascending row numbers of each part; with class `codes` (n,) each has the classes' shares.

    The sizes are those of `split_sizes`, stratified or not. A class is always in training, and in the other
    parts where its share is a row or more. Which rows are test does not depend on `validation`.
    """
    n_train, n_validation, n_test = split_sizes(n, validation, test)
    order = np.random.default_rng(integer("seed", seed, 0)).permutation(n)
    if codes is None:
        parts = [order[n_test + n_validation :], order[n_test : n_test + n_validation], order[:n_test]]
    else:
        counts = np.bincount(codes, minlength=n_classes)
        to_validation, to_test = _class_shares(counts, n_train, n_validation, n_test)
        by_class = order[np.argsort(codes[order], kind="stable")]
        place = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)
        test_here = place < np.repeat(to_test, counts)
        seen_here = place < np.repeat(to_test + to_validation, counts)
        parts = [by_class[~seen_here], by_class[seen_here & ~test_here], by_class[test_here]]
    names = ("train", "validation", "test")
    return {name: np.sort(part).astype(np.int64) for name, part in zip(names, parts, strict=True)}


def fold_numbers(n: int, k: int, seed: Any, codes: Rows | None = None) -> Rows:
    """Return the fold (n,) of every row, 0 to k - 1: sizes differ by at most one, within each class too."""
    order = np.random.default_rng(integer("seed", seed, 0)).permutation(n)
    if codes is not None:
        order = order[np.argsort(codes[order], kind="stable")]
    result = np.empty(n, dtype=np.int64)
    result[order] = np.arange(n) % k
    return result


def group_rows(groups: Rows, validation: float, test: float, seed: Any) -> dict[str, Rows]:
    """Return the ascending row numbers of each part, with each of the groups (n,) whole in one of them.

    The shares are met as nearly as the groups' sizes allow. Which groups are test does not depend on `validation`.
    """
    sizes = split_sizes(len(groups), validation, test)
    counts = np.bincount(groups)
    needed = sum(size > 0 for size in sizes)
    if len(counts) < needed:
        raise ValueError(f"by must have a group for each of the {needed} parts, but has {len(counts)}")
    order = np.random.default_rng(integer("seed", seed, 0)).permutation(len(counts))
    part_of = np.zeros(len(counts), dtype=np.int64)
    for part, wanted in ((2, sizes[2]), (1, sizes[1])):
        free = [group for group in order if part_of[group] == 0]
        spare = len(free) - (1 if part == 1 else 1 + (sizes[1] > 0))
        total = taken = 0
        for group in free:
            nearer = 2 * (wanted - total) >= counts[group]
            if wanted > 0 and taken < spare and nearer:
                part_of[group] = part
                total, taken = total + int(counts[group]), taken + 1
        if wanted > 0 and not taken:
            part_of[min(free, key=lambda group: int(counts[group]))] = part
    names = ("train", "validation", "test")
    rows = {name: np.flatnonzero(part_of[groups] == part) for part, name in enumerate(names)}
    if len(rows["train"]) < 2:
        raise ValueError(f"a split must leave at least 2 training rows, but by leaves {len(rows['train'])}")
    return rows


def ordered_rows(n: int, validation: float, test: float) -> dict[str, Rows]:
    """Return the row numbers of each part in the given order: first training, then validation, test last."""
    train, held, _ = split_sizes(n, validation, test)
    return {"train": np.arange(train), "validation": np.arange(train, train + held), "test": np.arange(train + held, n)}


def group_fold_numbers(groups: Rows, k: int, seed: Any) -> Rows:
    """Return the fold (n,) of every row, 0 to k - 1, with each of the groups (n,) whole in one; sizes are even."""
    present, codes = np.unique(groups, return_inverse=True)
    if k > len(present):
        raise ValueError(f"folds must be at most the {len(present):,} groups, but got {k:,}")
    counts = np.bincount(codes)
    order = np.random.default_rng(integer("seed", seed, 0)).permutation(len(present))
    fold_of, sizes = np.empty(len(present), dtype=np.int64), np.zeros(k, dtype=np.int64)
    for group in order[np.argsort(-counts[order], kind="stable")]:
        fold_of[group] = np.argmin(sizes)
        sizes[fold_of[group]] += counts[group]
    return fold_of[codes]


def _class_shares(counts: Rows, n_train: int, n_validation: int, n_test: int) -> tuple[Rows, Rows]:
    """Return the number of rows of each class for validation, and for test; the others are for training."""
    n = int(counts.sum())
    present = counts > 0
    if n_train < present.sum():
        raise ValueError(
            f"a stratified split must have a training row for each of the {present.sum():,} classes, "
            f"but has {n_train:,}; hold out less, or pass stratify=False"
        )
    # The test part is settled first and alone, so that it stays the same whatever is held out for validation.
    spare = np.maximum(counts - 1, 0)
    to_test = _allocate(counts * n_test, n, n_test, np.zeros_like(counts), spare)
    left = counts - to_test
    spare = np.maximum(left - 1, 0)
    share = counts * n_validation
    low = np.clip(left + (-counts * n_train) // n, 0, spare)
    high = np.clip(left - counts * n_train // n, low, spare)
    to_validation = _allocate(share, n, n_validation, low, high)
    short = n_validation - int(to_validation.sum())
    if short > 0:
        to_validation = _allocate(share, n, n_validation, to_validation, spare)
    elif short < 0:
        to_validation = _allocate(share, n, n_validation, np.zeros_like(counts), to_validation)
    return to_validation, to_test


def _allocate(share: Rows, n: int, total: int, low: Rows, high: Rows) -> Rows:
    """Round `share / n` so that it sums to `total`, by largest remainders, within [low, high].

    A class that would get nothing goes first. The sum falls short of, or above, `total` where the bounds
    leave no room.
    """
    result = np.clip(share // n, low, high)
    while (missing := total - int(result.sum())) != 0:
        step = 1 if missing > 0 else -1
        free = result < high if step > 0 else result > low
        if not free.any():
            break
        want = step * (share - result * n) + (step > 0) * 2 * n * (result == 0)
        best = np.argsort(np.where(free, -want, np.inf), kind="stable")[: min(abs(missing), int(free.sum()))]
        result[best] += step
    return result
