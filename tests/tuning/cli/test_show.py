from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest

from tests.tuning.fakes import a_study
from tuning.analysis import RULES
from tuning.cli.main import main
from tuning.store import COMPLETED, PRUNED, TrialResult, TrialSpec

ROOT = Path(__file__).parents[3]
NAMES = ["train_loss", "train_accuracy", "validation_loss", "validation_accuracy"]
EPOCHS = np.arange(1, 21)


def learning(spec: TrialSpec) -> TrialResult:
    """Curves that fall as fast as the learning rate is high; the lowest rate is pruned after 5 epochs."""
    rng = np.random.default_rng(spec.seed % 1000 + hash(spec.params.get("batch_size", 1)) % 97)
    rate = float(spec.params["learning_rate"])  # type: ignore[arg-type]
    epochs = 5 if rate < 0.002 else spec.epochs
    loss = 0.1 + 2 * np.exp(-10 * rate * EPOCHS[:epochs])
    held = loss + 0.02
    curves = dict(zip(NAMES, (loss, 1 - loss / 3, held, 1 - held / 3 + rng.normal(0, 0.01, epochs)), strict=True))
    metrics = {name: float(curve[-1]) for name, curve in curves.items()}
    return TrialResult(PRUNED if epochs < spec.epochs else COMPLETED, metrics, curves, epochs, 0.005)


def saved(path: Path, **changes: object) -> None:
    study = a_study(learning, path, **{"metrics": NAMES, "epochs": 20, "repeats": 5, **changes})
    study.run()
    study.close()


def test_show_prints_interval_ties_importance_optimism_verdicts_and_work_saved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved(tmp_path / "a.db")
    assert main(["show", str(tmp_path / "a.db")]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for words in (
        "95% interval of its validation accuracy: ",
        "(score interval by Student's t over 5 repeats)",
        "Tied with it: ",
        "Optimism of the best score: unknown; pruning chose",
        "Variance explained: learning_rate ",
        "Verdicts on trials: ",
        "Work saved by pruning: 15%, 850 epochs of 1,000.",
        "best learning_rate",
    ):
        assert words in out


def test_show_groups_best_rates_as_it_is_told_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved(
        tmp_path / "a.db", space={"learning_rate": "0.01:1:log", "batch_size": "8,16", "momentum": "0,0.9"}, repeats=2
    )
    assert main(["show", str(tmp_path / "a.db"), "--best-rate-by", "batch_size,momentum"]) == 0
    assert "batch_size  momentum  best learning_rate" in capsys.readouterr().out
    assert main(["show", str(tmp_path / "a.db"), "--best-rate-by", "momentun"]) == 2
    assert "did you mean 'momentum'?" in capsys.readouterr().err
    assert main(["show", str(tmp_path / "a.db"), "--best-rate-by", "momentum", "--format", "csv"]) == 2
    assert "--format table" in capsys.readouterr().err


def test_show_without_pruning_has_an_optimism_and_no_work_saved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved(tmp_path / "a.db", space={"learning_rate": "0.01:1:log"}, method_options={"points": 4})
    saved(tmp_path / "b.db", space={"learning_rate": "0.1"})
    main(["show", str(tmp_path / "a.db")])
    out = capsys.readouterr().out
    assert "Optimism of the best score: 0.0" in out
    assert "Work saved" not in out
    main(["show", str(tmp_path / "b.db")])
    assert "Tied with it: no other setting is ranked." in capsys.readouterr().out


def test_show_says_what_one_repeat_can_not_tell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved(tmp_path / "a.db", repeats=1)
    assert main(["show", str(tmp_path / "a.db")]) == 0
    out = capsys.readouterr().out
    assert out.count("unknown; ") == 3
    assert "give --repeats 5 or --folds 5" in out


def test_show_prints_the_test_scores_once_there_are_some(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "a.db")
    assert main(["sweep", "iris", "--learning-rate", "0.1", "--epochs", "2", "--storage", path]) == 0
    main(["show", path])
    assert "Test part" not in capsys.readouterr().out
    main(["test", path])
    capsys.readouterr()
    main(["show", path])
    assert "Test part, scored once at 20" in capsys.readouterr().out
    main(["show", path, "--format", "json"])
    assert set(json.loads(capsys.readouterr().out)["test"]["scores"]) == {"test_loss", "test_accuracy"}


def test_show_prints_the_rules_with_or_without_a_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "--rules"]) == 0
    assert capsys.readouterr().out == RULES + "\n"
    assert main(["show"]) == 2
    assert "show must have a study file" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["json", "csv", "table"])
def test_an_output_file_has_what_is_printed_without_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    saved(tmp_path / "a.db", space={"learning_rate": "0.1,1"}, repeats=2)
    assert main(["show", str(tmp_path / "a.db"), "--format", form]) == 0
    printed = capsys.readouterr().out
    target = tmp_path / ("a.txt" if form == "table" else f"a.{form}")
    assert main(["show", str(tmp_path / "a.db"), "--output", str(target)]) == 0
    assert capsys.readouterr() == ("", "")
    assert target.read_text() == printed


def test_show_writes_parquet_where_it_is_told_to_and_never_over_a_study(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.db"
    saved(path, space={"learning_rate": "0.1,1"}, repeats=2)
    assert main(["show", str(path), "--output", str(tmp_path / "a.parquet"), "--top", "1"]) == 0
    assert len(pandas.read_parquet(tmp_path / "a.parquet")) == 1
    assert main(["show", str(path), "--format", "parquet"]) == 2
    assert "must have a file to write, as in --output settings.parquet" in capsys.readouterr().err
    before = path.read_bytes()
    for form in ("parquet", "csv", "table"):
        assert main(["show", str(path), "--format", form, "--output", str(path)]) == 2
        assert "output must not take the place of a study" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_report_writes_one_page_beside_the_study_or_where_it_is_told_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved(tmp_path / "a.db", space={"learning_rate": "0.1,1"}, repeats=2)
    for options, target in (([], "a.html"), (["--output", str(tmp_path / "b.html")], "b.html")):
        assert main(["report", str(tmp_path / "a.db"), *options]) == 0
        assert capsys.readouterr() == (f"Report: {tmp_path / target}\n", "")
        assert (tmp_path / target).read_text().lower().startswith("<!doctype html>")


def test_report_without_plotly_is_one_line_that_names_the_extra(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path / "a.db", space={"learning_rate": "0.1"}, repeats=1)
    for name in [name for name in sys.modules if name.partition(".")[0] == "plotly"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "plotly", None)
    assert main(["report", str(tmp_path / "a.db")]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert 'pip install "nn-tuning[report]"' in err
    assert not (tmp_path / "a.html").exists()


COUNTED = """
import json, sqlite3, sys
from tuning.cli.main import main

class Counted(sqlite3.Connection):
    statements = 0

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.set_trace_callback(self.count)

    def count(self, statement):
        Counted.statements += 1

connect, calls = sqlite3.connect, 0
sqlite3.connect = lambda *arguments, **options: connect(*arguments, factory=Counted, **options)

def count(frame, event, argument):
    global calls
    calls += event in ("call", "c_call")

for path in sys.argv[1:]:
    calls = Counted.statements = 0
    sys.setprofile(count)
    status = main(["show", path])
    sys.setprofile(None)
    assert status == 0
    print(json.dumps([Counted.statements, calls]))
print(json.dumps(sorted(name for name in ("numba", "scipy", "pandas", "optuna") if name in sys.modules)))
"""


def test_show_asks_the_file_as_often_for_many_trials_as_for_few_and_imports_no_compiler(tmp_path: Path) -> None:
    space = {"learning_rate": "0.001:1:log", "batch_size": "8,16,32,64,128", "hidden_units": "8,16,32,64"}
    paths = [str(tmp_path / f"{points}.db") for points in (2, 5, 50)]  # the first brings in what is imported
    for path in paths:
        saved(Path(path), space=space, method_options={"points": int(Path(path).stem)})
    done = subprocess.run(
        [sys.executable, "-c", COUNTED, *paths], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    _, few, many, imported = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    assert imported == []
    assert done.stderr == ""
    assert many[0] == few[0] < 20
    assert many[1] < 10 * few[1]  # ten times the trials: no more than ten times the calls
