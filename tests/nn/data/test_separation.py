"""Targets of a table: the task is what a careful person would say, and nothing is decided without a word."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nn.data import Column, Table, separate


def column(name: str, cells: Any) -> Column:
    if isinstance(cells[0], str):
        levels, codes = np.unique([cell for cell in cells if cell], return_inverse=True)
        values = np.full(len(cells), -1, dtype=np.int32)
        values[[bool(cell) for cell in cells]] = codes
        return Column(name, "category", values, tuple(levels.tolist()))
    return Column(name, "number", np.asarray(cells, dtype=np.float64))


def table(**columns: Any) -> Table:
    made = tuple(column(name, cells) for name, cells in columns.items())
    return Table(made, np.arange(2, len(made[0]) + 2))


random = np.random.default_rng(0)
N = 300
ZIPS = random.integers(10_000, 99_999, N)
CASES: dict[str, tuple[Any, str, bool]] = {
    # what is predicted: its cells, the task that a careful person would name, whether that person would say so
    "ages": (random.integers(18, 77, N), "regression", True),
    "ages of pupils": (random.integers(11, 17, N), "regression", True),
    "ratings of 1 to 5": (random.choice(5, N, p=[0.1, 0.1, 0.2, 0.35, 0.25]) + 1, "classification", True),
    "points of 0 to 100": (random.integers(0, 101, N), "regression", True),
    "years": (random.integers(1990, 2021, N), "regression", True),
    "a few years": (random.integers(2006, 2010, N), "regression", True),
    "counts": (random.poisson(2.5, N), "regression", True),
    "rare counts": (random.poisson(0.7, N), "regression", True),
    "many counts": (random.poisson(1.5, 20_000), "regression", True),
    "counts up to 8 and more": (np.minimum(random.geometric(0.4, 3000) - 1, 8), "regression", True),
    "worse, same or better": (random.integers(-1, 2, N), "classification", True),
    "children": (np.minimum(random.poisson(1.2, 2000), 4), "regression", True),
    "zip codes": (ZIPS, "regression", False),
    "zip codes with leading zeros": ([f"0{z % 9:04d}" for z in ZIPS], "classification", False),
    "school grades 1 to 6": (random.choice(6, N, p=[0.1, 0.3, 0.3, 0.2, 0.07, 0.03]) + 1, "classification", True),
    "doses": (random.choice([0.5, 1.0, 2.0], N), "regression", True),
    "whole doses": (random.choice([0, 5, 10, 50], N), "regression", True),
    "yes or no in numbers": (random.integers(0, 2, N), "classification", False),
    "1 or 2": (random.integers(1, 3, N), "classification", False),
    "three classes": (random.integers(0, 3, N), "classification", True),
    "digits": (random.integers(0, 10, N), "classification", True),
    "uneven classes": (random.choice(4, 5000, p=[0.9, 0.05, 0.01, 0.04]), "classification", True),
    "class": (random.choice([3, 4, 5, 6, 7, 8], N), "classification", True),
    "prices": (random.lognormal(3, 1, N).round(2), "regression", False),
    "whole prices": (random.lognormal(9, 1, N).round(-2), "regression", False),
    "whole prices that recur": (random.choice([1_000, 1_500, 2_000, 3_500], N), "regression", True),
    "words": (random.choice(["red", "green", "blue"], N).tolist(), "classification", False),
}


@pytest.mark.parametrize("name", CASES)
def test_the_task_is_what_a_careful_person_would_say(name: str) -> None:
    cells, task, said = CASES[name]
    found = separate(table(x=np.arange(len(cells)), **{name: cells}))
    assert found.task == task
    other = "task=classification" if task == "regression" else "task=regression"
    assert any(other in note and name in note for note in found.notes) == said


def test_rows_without_a_target_are_left_out_and_counted() -> None:
    found = separate(table(x=[1, 2, 3, 4], y=[0.5, np.nan, 2.5, np.nan]), "y")
    assert found.dropped == 2
    assert found.features["x"].values.tolist() == [1, 3]
    assert found.features.lines is not None
    assert found.features.lines.tolist() == [2, 4]
    assert found.targets.tolist() == [0.5, 2.5]
    assert found.notes == ("2 rows without y left out",)
    words = separate(table(x=[1, 2, 3], y=["a", "", "b"]), "y")
    assert words.targets.tolist() == ["a", "b"]


def test_the_named_task_decides() -> None:
    small = table(x=[1, 2, 3, 4], y=[0, 1, 0, 1], z=[0.5, 1.5, 0.5, 1.5])
    assert separate(small, "y", "regression").targets.dtype == np.float64
    assert separate(small, "y").targets.dtype == np.int64
    assert separate(small, "z", "classification").targets.tolist() == ["0.5", "1.5", "0.5", "1.5"]


def test_several_targets_are_labels_or_numbers() -> None:
    small = table(x=[1, 2, 3], u=[0, 1, 1], v=["no", "no", "yes"], w=[1.5, 2, 3])
    labels = separate(small, ["u", "v"], "multilabel")
    assert labels.targets.tolist() == [[0, 0], [1, 0], [1, 1]]
    assert (labels.task, labels.target_names) == ("multilabel", ("u", "v"))
    assert separate(small, ["u", "v"]).task == "multilabel"
    assert separate(small, ["u", "w"]).task == "regression"
    with pytest.raises(ValueError, match="task must be named where every row has a single 1"):
        separate(table(x=[1, 2], u=[0, 1], v=[1, 0]), ["u", "v"])


MOSTLY = [str(i / 4) for i in range(60)] + ["abc"] * 20


@pytest.mark.parametrize(
    ("cells", "target", "task", "message"),
    [
        ([0.0, 1.0], "yy", None, "did you mean 'y'"),
        ([0.0, 1.0], [], None, "one column or a list"),
        ([0.0, 1.0], ["y", 1], None, "different ones"),
        ([0.0, 1.0], ["y", "x"], None, "a column of features beside the target"),
        ([0.0, 1.0], "y", "ranking", "task must be one of"),
        ([0.0, 1.0], "y", "multilabel", "list of columns"),
        ([np.nan, np.nan], "y", None, "missing in all 2"),
        (
            ["1", "b"],
            "y",
            "regression",
            r"numbers for regression, but line 3 has 'b' .*\(missing=b\)",
        ),
        (["a", "b", "c"], "y", None, "classes that recur, but all 3 cells"),
        (
            ["1", "2", "3", "2"] * 10 + ["x"],
            "y",
            None,
            r"line 42 has 'x'; name it as missing \(missing=x\), or pass task",
        ),
        (MOSTLY, "y", None, "most of its 61 different cells are numbers and line 62 has 'abc'"),
    ],
)
def test_unsuitable_targets_are_refused(cells: Any, target: Any, task: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        separate(table(x=np.arange(len(cells)), y=cells), target, task)
