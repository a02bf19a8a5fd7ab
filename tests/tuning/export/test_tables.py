from __future__ import annotations

import builtins
import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import pandas
import pytest
from pyarrow import parquet

from tests.tuning.fakes import METRICS, a_study
from tuning.export.tables import COLUMNS, Column
from tuning.report.material import Material
from tuning.store import COMPLETED, DIVERGED, FAILED, TrialResult, TrialSpec


def objective(spec: TrialSpec) -> TrialResult:
    """Known scores; one setting diverges with a NaN, one fails."""
    rate, size = spec.params["learning_rate"], spec.params["batch_size"]
    if rate == 1 and size == 16:
        return TrialResult(DIVERGED, {"validation_accuracy": math.nan}, {}, 0, 0.2, diverged_step=1)
    if rate == 1:
        return TrialResult(FAILED, duration=0.2, error="ValueError: no")
    accuracy = float(rate) + 0.01 * spec.repeat - 0.001 * (spec.fold or 0)  # type: ignore[arg-type]
    return TrialResult(COMPLETED, dict(zip(METRICS, (0.5, 0.4, accuracy), strict=True)), {}, 3, 0.1 + 0.1 * spec.repeat)


def the_study(**changes: Any) -> Any:
    return a_study(
        objective, **{"space": {"learning_rate": "0.1,0.2,1.0", "batch_size": "16,32"}, "repeats": 2, **changes}
    ).run()


def test_the_frame_has_scikit_learns_columns() -> None:
    frame = the_study(folds=2).to_pandas()
    row = frame.iloc[0]
    assert row["param_learning_rate"] == 0.2
    assert row["rank_validation_accuracy"] == 1
    splits = [row[f"split{i}_validation_accuracy"] for i in range(4)]
    assert splits == pytest.approx([0.2, 0.199, 0.21, 0.209])
    assert row["mean_validation_accuracy"] == pytest.approx(sum(splits) / 4)
    assert row["std_validation_accuracy"] == pytest.approx(
        frame.filter(like="_validation_accuracy").filter(like="split").iloc[0].std()
    )
    assert row["mean_fit_time"] == pytest.approx(0.15)
    assert {"param_batch_size", "std_fit_time", "low_validation_accuracy", "tied", "verdict", "state"} <= set(
        frame.columns
    )
    assert len(frame) == 6


def test_the_frame_keeps_whole_numbers_and_yes_or_no_where_a_value_is_missing(tmp_path: Path) -> None:
    space = {
        "optimizer": {"sgd": {"batch_size": [16, 32], "momentum": [0.5, 0.9]}, "adam": {}},
        "learning_rate": "0.1,1",
    }

    def one_diverges(spec: TrialSpec) -> TrialResult:
        failed = spec.params["learning_rate"] == 1
        return TrialResult(DIVERGED) if failed else TrialResult(COMPLETED, dict.fromkeys(METRICS, 0.5), {}, 3)

    study = a_study(one_diverges, space=space).run()
    frame = study.to_pandas()
    kinds = {
        "rank_validation_accuracy": "Int64", "param_batch_size": "Int64", "param_momentum": "float64",
        "trials": "int64", "mean_train_loss": "float64",
    }  # fmt: skip
    assert {name: str(frame[name].dtype) for name in kinds} == kinds
    assert frame["rank_validation_accuracy"].tolist()[:5] == [1, 2, 3, 4, 5]
    assert frame["rank_validation_accuracy"].isna().sum() == 5
    frame.to_parquet(tmp_path / "a.parquet")
    pandas.testing.assert_frame_equal(pandas.read_parquet(tmp_path / "a.parquet"), frame)


def test_a_file_appears_whole_or_not_at_all_and_never_in_the_place_of_a_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = a_study(objective, storage=tmp_path / "a.db", space={"learning_rate": "0.1,1", "batch_size": "16"}).run()
    before = (tmp_path / "a.db").read_bytes()
    (tmp_path / "folder").mkdir()
    for write in (study.to_csv, study.to_json, study.to_parquet):
        with pytest.raises(ValueError, match="must not take the place of a study"):
            write(tmp_path / "a.db")
        with pytest.raises(ValueError, match=r"must be a file, but .* is a folder"):
            write(tmp_path / "folder")
        with pytest.raises(ValueError, match=r"can be written, but .* can't: "):
            write(tmp_path / "a.db" / "b")
        write(tmp_path / "new" / "b")
    kept = (tmp_path / "new" / "b").read_bytes()

    def full(self: Path, *_: Any, **__: Any) -> int:
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(ValueError, match="can't: No space left on device"):
        study.to_csv(tmp_path / "new" / "b")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["b"]
    assert (tmp_path / "new" / "b").read_bytes() == kept
    assert (tmp_path / "a.db").read_bytes() == before


@pytest.mark.parametrize(
    ("library", "extra", "call"),
    [
        ("pandas", "pandas", lambda study: study.to_pandas()),
        ("pyarrow", "parquet", lambda study: study.to_parquet("a")),
    ],
)
def test_without_a_library_one_line_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, library: str, extra: str, call: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    real = builtins.__import__

    def without(name: str, *rest: Any, **options: Any) -> Any:
        if name == library:
            raise ModuleNotFoundError(f"No module named {library!r}", name=library)
        return real(name, *rest, **options)

    study = the_study()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match=rf'pip install "nn-tuning\[{extra}\]"'):
        call(study)
    assert not list(tmp_path.iterdir())


def test_parquet_has_the_table_with_its_types_and_layers_as_text(tmp_path: Path) -> None:
    space = {"learning_rate": "0.1,0.2,1", "batch_size": "16,32", "hidden_units": "8,64x32"}
    study = the_study(space=space)
    study.to_parquet(tmp_path / "a.parquet")
    found, rows = pandas.read_parquet(tmp_path / "a.parquet"), study.table()
    stored = parquet.read_table(tmp_path / "a.parquet")
    assert list(found.columns) == list(rows[0])
    assert sorted(set(found["param_hidden_units"])) == ["64x32", "8"]
    for name in found.columns:
        if name != "param_hidden_units":
            expected = [None if isinstance(row[name], float) and math.isnan(row[name]) else row[name] for row in rows]
            assert [None if pandas.isna(value) else value for value in found[name]] == expected
            assert stored.column(name).null_count == expected.count(None)
    assert (found["param_learning_rate"].dtype, found["param_batch_size"].dtype) == ("float64", "int64")
    study.to_parquet(tmp_path / "a.parquet", top=2)
    assert len(pandas.read_parquet(tmp_path / "a.parquet")) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


def test_parquet_of_a_study_without_trials_is_empty(tmp_path: Path) -> None:
    a_study(objective).to_parquet(tmp_path / "a.parquet")
    assert pandas.read_parquet(tmp_path / "a.parquet").empty


def test_json_is_valid_and_csv_has_empty_fields_for_what_is_not_finite(tmp_path: Path) -> None:
    study = the_study()

    def refuse(name: str) -> None:
        raise AssertionError(name)

    found = json.loads(study.to_json(tmp_path / "a.json"), parse_constant=refuse)
    assert found == json.loads((tmp_path / "a.json").read_text())
    assert [row["rank"] for row in found["settings"]] == [1, 2, 3, 4, None, None]
    assert found["settings"][4]["mean_validation_accuracy"] is None
    assert found["test"] is None
    lines = list(csv.DictReader(io.StringIO(study.to_csv(tmp_path / "a.csv"))))
    assert (tmp_path / "a.csv").read_text() == study.to_csv()
    assert [line["state"] for line in lines] == [*["completed"] * 4, "diverged", "failed"]
    assert lines[4]["mean_validation_accuracy"] == lines[4]["low_validation_accuracy"] == ""
    assert lines[0]["tied"] == "true"


def test_the_text_is_aligned_best_first_with_interval_ties_and_verdict() -> None:
    lines = str(the_study(repeats=3).table()).splitlines()
    titles = lines[0].split("  ")
    assert "95% interval" in lines[0]
    assert [title for title in titles if title][-1].strip() == "state"
    assert len(lines) == 7
    assert [line.split()[0] for line in lines[1:]] == ["1", "2", "3", "4", "-", "-"]
    end = lines[0].index("verdict") + len("verdict")
    assert all(line[:end].rstrip() == line[:end] for line in lines[1:])
    assert "0.1863 to 0.2359" in lines[1]


def test_a_table_is_aligned_and_marks_what_has_no_value() -> None:
    def objective(spec: TrialSpec) -> TrialResult:
        ended = spec.params["learning_rate"] == 1e-4
        return TrialResult(DIVERGED) if ended else TrialResult(COMPLETED, {"validation_accuracy": 0.25}, {}, 3)

    space = {"learning_rate": "0.0001,0.1", "hidden_units": "8x4"}
    study = a_study(objective, space=space, metrics=("validation_accuracy",))
    assert str(study.table()) == "no trials yet"
    assert str(study.run().table()).splitlines() == [
        "rank  learning_rate  hidden_units  validation_accuracy   verdict      state",
        "   1            0.1           8x4               0.2500   unclear  completed",
        "   -         0.0001           8x4                    -  diverged   diverged",
    ]


def test_a_column_is_one_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text, CSV, JSON, frame, Parquet and report have a column that stands in the table of columns and nowhere else."""
    decades = Column("decades", lambda row: math.log10(row.summary.params["learning_rate"]), title="decades", order=1)
    monkeypatch.setattr("tuning.export.tables.COLUMNS", (*COLUMNS, decades))
    study = the_study()
    values = [math.log10(summary.params["learning_rate"]) for summary in study.summaries()]
    lines = [line.split() for line in str(study.table()).splitlines()]
    assert [line[lines[0].index("decades")] for line in lines[1:]] == [f"{value:.4g}" for value in values]
    assert [float(row["decades"]) for row in csv.DictReader(io.StringIO(study.to_csv()))] == values
    assert [row["decades"] for row in json.loads(study.to_json())["settings"]] == values
    assert study.to_pandas()["decades"].tolist() == values
    study.to_parquet(tmp_path / "a.parquet")
    assert pandas.read_parquet(tmp_path / "a.parquet")["decades"].tolist() == values
    table = Material(study).table()
    place = [column["title"] for column in table["columns"]].index("decades")
    assert [row[place] for row in table["rows"]] == values


def test_top_rows_are_the_first_of_all() -> None:
    study = the_study(repeats=6)
    assert list(study.table(2)) == list(study.table())[:2]
    assert study.table(1)[0]["low_validation_accuracy"] == study.analysis().interval.low
