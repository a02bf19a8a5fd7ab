"""Separation of a table into features and targets, and the task that the targets' writing shows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn.checks import TASKS, one_of
from nn.data.cells import are_strays, number_of
from nn.data.table import CATEGORY, DATE, Column, Table, chosen_names

_MOST_CLASSES = 10  # of whole numbers; where the column is called a class, twice as many
_MANY_TEXTS = 20
_MOST_VALUES = 100
_FEWEST_ROWS = 5
_SMALLEST_SHARE = 0.003
_AS_NUMBERS = "taken as numbers to predict (task=classification for classes)"
_CLASS_WORDS = {"class", "classes", "label", "labels", "type", "category", "species", "kind", "cluster", "group"}


@dataclass(frozen=True, eq=False)
class Separated:
    """Features and targets of a table, in the rows that have a target.

    Attributes:
        features: All columns but the targets.
        targets: Class labels (N,) as whole numbers or strings; numbers to predict, float64 (N,) or (N, K); or 0/1 in
            columns (N, K).
        task: The task that was named or found.
        target_names: The names of the targets' columns.
        dropped: How many rows had no target.
        notes: What was decided that might have been decided otherwise, one line each.
    """

    features: Table
    targets: NDArray[Any]
    task: str
    target_names: tuple[str, ...]
    dropped: int
    notes: tuple[str, ...]


def separate(table: Table, target_column: Any = None, task: str | None = None) -> Separated:
    """Separate the targets, a column's name or number or a list of them (the last by default), from the features.

    Rows in which a target is missing are left out. Where no task is named, texts and two whole numbers are classes, and
    so are a few whole numbers that count from 0 or 1 without gaps and are not spread as counts of things are; other
    numbers are to be predicted.

    Raises:
        ValueError: For a column that is not there, no column or row that is left, and targets that don't fit the task.
    """
    if task is not None:
        one_of("task", task, TASKS)
    names = table.names[-1:] if target_column is None else chosen_names("target_column", target_column, table)
    features = table.without(names)
    if not names:
        raise ValueError(f"target_column must be one column or a list of different ones, but got {target_column!r}")
    if not features.columns:
        raise ValueError(f"there must be a column of features beside the target, but there is only {', '.join(names)}")
    columns = [table[name] for name in names]
    known = ~np.any([column.missing for column in columns], axis=0)
    dropped = int(len(known) - np.count_nonzero(known))
    if not known.any():
        raise ValueError(f"there must be rows with a target, but {', '.join(names)} is missing in all {len(known):,}")
    notes: list[str] = []
    if dropped:
        notes.append(f"{dropped:,} {'row' if dropped == 1 else 'rows'} without {', '.join(names)} left out")
        rows = np.flatnonzero(known)
        features, columns = features.subset(rows), [column.subset(rows) for column in columns]
    if len(columns) == 1:
        if task is None:
            task, note = _task_of(columns[0], features)
            notes += [note] if note else []
        targets = _targets(columns[0], task, features)
    else:
        targets = np.column_stack([_numbers(column, task or "several targets", features) for column in columns])
        if task is None:
            task, note = _task_of_columns(targets)
            notes += [note] if note else []
    notes += [f"{c.name} is predicted in days since 1970-01-01" for c in columns if c.kind == DATE]
    return Separated(features, targets, task, names, dropped, tuple(notes))


def _targets(column: Column, task: str, table: Table) -> NDArray[Any]:
    if task == "multilabel":
        raise ValueError(f"target_column must be a list of columns of 0 and 1 for multilabel, but got {column.name!r}")
    if task == "regression":
        return _numbers(column, task, table)
    if column.kind == CATEGORY:
        labels = np.array(column.levels)[column.values]
        if len(labels) > 2 and len(np.unique(labels)) == len(labels):
            raise ValueError(
                f"target_column must have classes that recur, but all {len(labels):,} cells of {column.name!r} differ"
            )
        return labels
    values = column.values
    if np.all(values == np.floor(values)):
        return values.astype(np.int64)
    return np.array([repr(value) for value in values.tolist()])


def _numbers(column: Column, task: str, table: Table) -> NDArray[np.float64]:
    """Return a column as numbers; two levels, such as no and yes, are 0 and 1 where several targets are labels."""
    if column.kind != CATEGORY:
        return column.values
    if task != "regression" and len(column.levels) == 2:
        return column.values.astype(np.float64)
    words = np.isnan([number_of(level) for level in column.levels])[column.values]
    row = int(np.argmax(words))
    text = column.levels[column.values[row]]
    raise ValueError(
        f"target_column must have numbers for {task}, but {_place(table, row)} has {text!r} in column "
        f"{column.name!r}; name it as missing (missing={text})"
    )


def _place(table: Table, row: int) -> str:
    return f"row {row:,}" if table.lines is None else f"line {table.lines[row]:,}"


def _task_of_columns(targets: NDArray[np.float64]) -> tuple[str, str]:
    labels = bool(np.isin(targets, (0, 1)).all())
    if labels and bool((targets.sum(axis=1) == 1).all()):
        raise ValueError(
            "task must be named where every row has a single 1 among its targets, but got none; "
            "pass task=multilabel, or a file with one column of classes"
        )
    return ("multilabel" if labels else "regression"), ""


def _task_of(column: Column, table: Table) -> tuple[str, str]:
    """Return the task that the known cells of a target show, and a note where another one may be meant."""
    name = column.name
    if column.kind == DATE:
        return "regression", ""
    if column.kind == CATEGORY:
        used = len(np.unique(column.values))
        words = np.isnan([number_of(level) for level in column.levels])
        counts = np.bincount(column.values, minlength=len(words))
        if (used > _MANY_TEXTS and words.any() and np.mean(words[column.values]) <= 0.5) or (
            not words.all() and are_strays(list(column.levels), ~words, counts)
        ):
            row = int(np.argmax(words[column.values]))
            stray = column.levels[column.values[row]]
            raise ValueError(
                f"column {name!r} must have numbers or classes, but most of its {used:,} different cells are numbers "
                f"and {_place(table, row)} has {stray!r}; name it as missing (missing={stray}), "
                "or pass task=classification for classes"
            )
        many = used > _MANY_TEXTS and used > len(column) / 10
        return "classification", f"{name} has {used:,} different texts: taken as classes" if many else ""
    distinct, counts = np.unique(column.values, return_counts=True)
    if np.any(distinct != np.floor(distinct)):
        few = len(distinct) <= _MOST_CLASSES and len(column) >= 2 * len(distinct)
        return "regression", f"{name} has {len(distinct)} different numbers: {_AS_NUMBERS}" if few else ""
    if len(distinct) <= 2:
        return "classification", ""
    whole = f"{name} has {len(distinct):,} whole values"
    if _are_codes(name, distinct, counts):
        return (
            "classification",
            f"{whole} ({distinct[0]:.0f} … {distinct[-1]:.0f}): taken as classes (task=regression for numbers)",
        )
    few = len(distinct) <= _MOST_VALUES and len(column) >= 2 * len(distinct)  # or nobody would think of classes
    return "regression", f"{whole}: {_AS_NUMBERS}" if few else ""


def _are_codes(name: str, distinct: NDArray[Any], counts: NDArray[Any]) -> bool:
    """Return whether three or more whole numbers are codes of classes.

    Codes count from 0 or 1 without gaps, or are −1, 0 and 1, and none of them is very rare. Numbers of things count
    so too, where they are small: but then they are spread around a peak, and the highest is far rarer than the most
    frequent one; of many, the highest may stand for all that are larger.
    """
    words = re.findall("[a-z]+", re.sub("([a-z])([A-Z])", r"\1 \2", name).lower())
    if words and words[-1] in _CLASS_WORDS:
        return len(distinct) <= 2 * _MOST_CLASSES
    first = distinct[0] in (0, 1) or (distinct[0] == -1 and len(distinct) == 3)
    if len(distinct) > _MOST_CLASSES or not first or distinct[-1] - distinct[0] != len(distinct) - 1:
        return False
    fewest = _FEWEST_ROWS if len(distinct) > 3 else 2
    if counts.min() < max(fewest, _SMALLEST_SHARE * counts.sum()):
        return False
    rises = np.diff(counts[:-1] if len(counts) > 5 else counts) > 0
    one_peak = not np.any(rises[1:] & ~rises[:-1])
    return not (distinct[0] == 0 and len(distinct) > 3 and one_peak and counts[-1] * 4 < counts.max())
