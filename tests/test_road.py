"""The road of a file on the command line: train, sweep, show, test, save, predict; small files of the kinds in life."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

import nn
from tests.tuning.cli.command import refused
from tuning import Study, sweep
from tuning.cli.main import main

ROWS = 48
RNG = np.random.default_rng(5)
LENGTH = RNG.normal(5, 2, ROWS).round(2)
WIDTH = RNG.normal(3, 1, ROWS).round(3)
TOWN = ["Köln", "Bonn", "Jena"]


class Kind(NamedTuple):
    """A file: its columns, the last of which is the target, and how it is written and read."""

    columns: dict[str, list[Any]]
    says: str  # in the first line
    name: str = "data.csv"
    separator: str = ","
    decimal: str = "."
    missing: str = ""
    end: str = "\n"
    encoding: str = "utf-8"
    header: bool = True
    options: tuple[str, ...] = ()

    def text(self) -> str:
        """The file's text."""
        file = io.StringIO()
        writer = csv.writer(file, delimiter=self.separator, lineterminator=self.end)
        rows = zip(*self.columns.values(), strict=True)
        writer.writerows([list(self.columns)] * self.header + [[self.cell(value) for value in row] for row in rows])
        return file.getvalue()

    def cell(self, value: Any) -> str:
        """A value as it is written."""
        if value is None:
            return self.missing
        return repr(value).replace(".", self.decimal) if isinstance(value, float) else str(value)

    def write(self, name: str | None = None) -> None:
        """Write the file into the present folder."""
        content, path = self.text().encode(self.encoding), Path(name or self.name)
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def numbers(*names: str) -> dict[str, list[Any]]:
    """Columns of numbers."""
    return dict(zip(names or ("length", "width"), ([*map(float, LENGTH)], [*map(float, WIDTH)]), strict=True))


def towns() -> list[str]:
    """A column of three towns."""
    return [TOWN[i % 3] for i in range(ROWS)]


def classes(*labels: Any) -> list[Any]:
    """A target that follows the numbers."""
    return [labels[int(np.clip(value // 2, 0, len(labels) - 1))] for value in LENGTH]


def prices() -> list[float]:
    """A target of numbers."""
    return [*map(float, (10 * LENGTH + WIDTH).round(2))]


KINDS = {
    "plain": Kind(numbers() | {"kind": classes("cat", "dog")}, "features length, width"),
    "decimal commas": Kind(
        numbers() | {"town": towns(), "price": prices()},
        "target price (regression); features length, width, town (3 categories)",
        separator=";",
        decimal=",",
    ),
    "tabs after a byte order mark": Kind(
        numbers() | {"kind": classes("a", "b")}, "features length, width", "data.tsv", "\t", encoding="utf-8-sig"
    ),
    "UTF-16 with CRLF": Kind(
        {"town": towns()} | numbers() | {"kind": classes("ä", "ö")},
        "town (3 categories)",
        end="\r\n",
        encoding="utf-16",
    ),
    "Latin-1, packed": Kind(
        {"town": towns()} | numbers() | {"kind": classes("früh", "spät")},
        "classes: früh, spät",
        "data.csv.gz",
        encoding="latin-1",
    ),
    "row names of R": Kind(
        {"": [f"car {i}" for i in range(ROWS)]} | numbers() | {"kind": classes("x", "y")}, "features length, width"
    ),
    "an identifier, a constant and dates": Kind(
        {"id": [*range(1, ROWS + 1)], "country": ["DE"] * ROWS}
        | {"sold": [f"2024-{1 + i % 12:02}-{1 + i % 28:02}" for i in range(ROWS)]}
        | numbers()
        | {"price": [*map(int, LENGTH * 1000)]},
        "left out: id (a number for each row), country (constant)",
    ),
    "missing cells": Kind(
        {
            "length": [None if i % 5 == 0 else float(LENGTH[i]) for i in range(ROWS)],
            "town": [None if i % 7 == 0 else TOWN[i % 3] for i in range(ROWS)],
            "kind": [None if i == 3 else label for i, label in enumerate(classes("m", "f"))],
        },
        "1 row without kind left out",
        missing="?",
    ),
    "a marker of one's own": Kind(
        {"length": [None if i % 4 == 0 else float(LENGTH[i]) for i in range(ROWS)]}
        | {"width": [*map(float, WIDTH)], "price": prices()},
        "(regression)",
        missing="-99",
        options=("--missing=-99",),
    ),
    "classes that look like numbers": Kind(
        numbers() | {"code": classes("01", "02", "10")}, "(classification, 3 classes: 01, 02, 10)"
    ),
    "quoted cells": Kind(
        {"note": [['say "a"', "b, c", "two\nlines"][i % 3] for i in range(ROWS)]}
        | numbers()
        | {"kind": classes('the "first"', "a, b")},
        "note (3 categories)",
    ),
    "no header": Kind(
        {f"column_{i}": column for i, column in enumerate([*numbers().values(), classes(0, 1)])},
        "(classification, 2 classes: 0, 1)",
        "data.txt",
        "|",
        header=False,
    ),
    "several targets": Kind(
        numbers() | {"up": prices(), "down": [-price / 2 for price in prices()]},
        "target up, down (regression)",
        options=("--target-column=up,down",),
    ),
    "groups": Kind(
        {"person": [f"p{i // 4}" for i in range(ROWS)]} | numbers() | {"kind": classes("a", "b")},
        "features length, width",
        options=("--split-by=person",),
    ),
}
SETTINGS = ("--learning-rate=0.05:0.2:log", "--points=2", "--hidden-units=4", "--epochs=4")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    """Run a command that must succeed; return what it printed on both streams."""
    status = main(list(arguments))
    out, err = capsys.readouterr()
    assert status == 0, err
    return out, err


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_from_a_file_to_predictions_that_are_those_of_python(kind: Kind, capsys: pytest.CaptureFixture[str]) -> None:
    kind.write()
    targets = [*kind.columns][-2:] if len(kind.options) and "," in kind.options[0] else [*kind.columns][-1:]
    first = run(capsys, "train", kind.name, "--epochs=2", "--hidden-units=4", *kind.options)[0].splitlines()[0]
    assert kind.says in first
    assert first.startswith(f"{kind.name}: ")
    out, err = run(capsys, "sweep", kind.name, *SETTINGS, *kind.options, "--storage=s.db", "--folds=2")
    assert (out.splitlines()[0], err) == (first, "")
    assert "2 folds" in run(capsys, "show", "s.db")[0]
    out = run(capsys, "test", "s.db", "--save=best.npz")[0]
    assert "\nby the mean of 2 networks trained on the " in out
    assert "\nsaved: best.npz, the mean of 2 networks trained on all " in out

    # The new file is written in a plain way, without the target, and with its columns the other way round.
    features = {name: column for name, column in kind.columns.items() if name not in (*targets, "")}
    Kind(dict(reversed(features.items())), "", missing=kind.missing).write("new.csv")
    shares = "(class" in first
    err = run(capsys, "predict", "best.npz", "new.csv", "--output=out.csv", *["--probabilities"] * shares)[1]
    assert err == ""
    assert run(capsys, "predict", "s.db", "new.csv")[0].splitlines()[0] == ",".join(targets)
    with open("out.csv", newline="") as file:
        titles, *rows = csv.reader(file)
    model = nn.load("best.npz")
    frame = pd.DataFrame(features).drop(columns="person", errors="ignore")
    expected = model.predict(frame)
    assert len(rows) == ROWS
    assert titles[: len(targets)] == targets
    told = np.array([row[: len(targets)] for row in rows]).astype(expected.dtype)
    np.testing.assert_array_equal(told.reshape(expected.shape), expected)
    if shares:
        np.testing.assert_array_equal(np.array(rows)[:, 1:].astype(float), model.predict_proba(frame))
        assert titles[1:] == [f"{targets[0]}={name}" for name in model.class_names or ()]


def test_a_new_file_may_have_more_less_known_and_missing_cells(capsys: pytest.CaptureFixture[str]) -> None:
    kind = KINDS["decimal commas"]
    kind.write()
    run(capsys, "train", "data.csv", "--epochs=2", "--hidden-units=4", "--save=m.npz")
    Path("new.csv").write_text("price,town,colour,width,length\nunknown,Ulm,red,3,5\n7,,red,,\n")
    out, err = run(capsys, "predict", "m.npz", "new.csv")
    assert err.splitlines() == [
        "nn-tuning: columns that training did not have are ignored: 'colour'",
        "nn-tuning: column 'town' has categories that training did not have, in 1 row, taken as 'Jena', the most "
        "frequent: 'Ulm'",
    ]
    assert out.splitlines()[0] == "price"
    assert len([float(line) for line in out.splitlines()[1:]]) == 2


def test_each_refusal_on_the_road_is_a_line_with_a_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    kind = KINDS["decimal commas"]
    kind.write()
    sweep_it = ("sweep", "data.csv", *SETTINGS, "--storage=s.db")
    assert "--target-column must be" in refused(capsys, *sweep_it, "--target-column=prize")
    assert "--task must be one of" in refused(capsys, *sweep_it, "--task=regresion")
    assert "--split-by must be none with --split-in-order" in refused(
        capsys, *sweep_it, "--split-by=town", "--split-in-order=true"
    )
    run(capsys, *sweep_it)
    run(capsys, "test", "s.db", "--save=m.npz")
    Path("new.csv").write_text("width,colour\n3,red\n")
    assert "new.csv must have a column 'length' as in training, but has 'width', 'colour'" in refused(
        capsys, "predict", "m.npz", "new.csv"
    )
    predict = ("predict", "m.npz", "data.csv")
    assert "m.npz predicts numbers" in refused(capsys, *predict, "--probabilities")
    assert "--output must be a file that ends in .csv" in refused(capsys, *predict, "--output=o.x")
    assert "--data must be given with a study" in refused(capsys, *predict, "--data=data.csv")
    assert "nothing at 'none.npz'" in refused(capsys, "predict", "none.npz", "data.csv")
    Path("data.csv").rename("moved.csv")
    for command in (["resume", "s.db"], ["predict", "s.db", "new.csv"]):
        assert "are not there; pass --data NEW_PATH" in refused(capsys, *command)
    assert "All 2 trials were in s.db already" in run(capsys, "resume", "s.db", "--data=moved.csv")[0]
    run(capsys, "predict", "s.db", "moved.csv")  # the study has learned where its data are
    Path("moved.csv").write_text(Path("moved.csv").read_text().replace("5,", "6,", 1))
    assert "fingerprint" in refused(capsys, "resume", "s.db")


def test_studies_from_python_go_on_from_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    KINDS["plain"].write()
    data = nn.load_dataset("data.csv", target_column="kind")
    space = {"learning_rate": [0.1], "hidden_units": 4}
    sweep(data, space, epochs=2, storage="remembers.db").close()
    assert "saved: a.npz, trained on all 48 rows for 2 epochs" in run(capsys, "test", "remembers.db", "--save=a.npz")[0]
    sweep(data.split(), space, epochs=2, storage="split.db").close()
    assert "--data must be given for a study that was made from arrays; pass --data" in refused(
        capsys, "resume", "split.db"
    )
    assert "All 1 trials" in run(capsys, "resume", "split.db", "--data=data.csv", "--target-column=kind")[0]
    assert "validation accuracy" in run(capsys, "show", "split.db")[0]


def test_parts_may_have_files_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    kind = KINDS["classes that look like numbers"]
    lines = kind.text().splitlines(keepends=True)
    for name, own in (("train.csv", lines[1:30]), ("held.csv", lines[30:40]), ("test.csv", lines[40:])):
        Path(name).write_text("".join([lines[0], *own]))
    given = ["--validation-file=held.csv", "--test-file=test.csv"]
    out = run(capsys, "sweep", "train.csv", *SETTINGS, *given, "--storage=s.db")[0]
    assert out.startswith("train.csv: 48 rows; ")
    study = Study.open("s.db")
    assert study.sizes == {"train": 29, "validation": 10, "test": 9}
    assert "trained on the 39 rows" in run(capsys, "test", "s.db")[0]
    whole = sweep(
        "train.csv", study.definition.space, points=2, epochs=4, validation_file="held.csv", test_file="test.csv"
    )
    assert whole.definition.data == study.definition.data
    assert "--folds must be none with --validation-file" in refused(
        capsys, "sweep", "train.csv", *SETTINGS, *given, "--folds=3"
    )


def test_rows_in_order_of_time_are_trained_on_before_they_are_scored(capsys: pytest.CaptureFixture[str]) -> None:
    KINDS["decimal commas"].write()
    run(capsys, "sweep", "--split-in-order", "data.csv", *SETTINGS, "--folds=3", "--storage=s.db")
    run(capsys, "test", "s.db")
    assert Study.open("s.db").about["reading"] == {"split_in_order": True}
