"""What the best setting takes for what: in Python, on the command line and in the report, by one function."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nn import load_dataset
from tuning import Study, report, sweep
from tuning.cli.main import main
from tuning.export import Confusion

OPTIONS: dict[str, Any] = {"epochs": 3, "progress": False}
SPACE = {"learning_rate": [0.01, 0.1], "hidden_units": 8}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("confusion") / "a.db"
    sweep("iris", SPACE, storage=path, **OPTIONS)
    return path


def test_it_is_that_of_the_best_run_on_the_validation_part(path: Path) -> None:
    study = Study.open(path)
    split, found = load_dataset("iris").split(seed=0), study.confusion()
    assert split.validation is not None
    guess = study.best_run().predict(split.validation)
    known = [[np.sum((split.validation.y == i) & (guess == j)) for j in range(3)] for i in range(3)]
    assert found.counts.tolist() == known
    assert found.names == ("setosa", "versicolor", "virginica")
    assert np.trace(found.counts) / 30 == pytest.approx(study.best.metrics["validation_accuracy"])
    assert repr(found) == f"Confusion(3 classes, {np.trace(found.counts)} of 30 right)"


def test_the_command_and_the_report_show_its_numbers(path: Path, tmp_path: Path, capsys: Any) -> None:
    known = Study.open(path).confusion()
    assert main(["show", str(path), "--confusion"]) == 0
    lines = capsys.readouterr().out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("Confusion matrix on the validation part"))
    assert known.outcome in lines[start]
    assert lines[start + 1].split()[-3:] == list(known.names)
    shown = [[int(count) for count in line.split()[1:]] for line in lines[start + 2 : start + 5]]
    assert shown == known.counts.tolist()
    assert main(["show", str(path)]) == 0
    assert "Confusion" not in capsys.readouterr().out  # it takes a training
    page = report.write(Study.open(path), tmp_path / "a.html").read_text()
    section = page[page.index('<section id="confusion"') :].partition("</section>")[0]
    counts = [int(text) for text in re.findall(r'<span class="count"[^>]*>(\d+)<', section)]
    assert counts == known.counts.ravel().tolist()


@pytest.mark.parametrize("data", ["diabetes", "moved"])
def test_the_report_has_no_empty_section(data: str, tmp_path: Path) -> None:
    if data == "moved":
        iris = load_dataset("iris")
        np.savez(tmp_path / "data.npz", X=iris.X, y=iris.y)
        sweep(str(tmp_path / "data.npz"), SPACE, storage=tmp_path / "a.db", **OPTIONS)
        (tmp_path / "data.npz").unlink()
        study = Study.open(tmp_path / "a.db")
    else:
        study = sweep(data, SPACE, **OPTIONS)
    assert "Confusion matrix" not in report.write(study, tmp_path / "a.html").read_text()
    with pytest.raises(ValueError, match=r"one class for each example, but the task is regr|pass data=NEW_PATH"):
        study.confusion()


def test_data_that_were_moved_can_be_given(tmp_path: Path, capsys: Any) -> None:
    iris = load_dataset("iris")
    np.savez(tmp_path / "data.npz", X=iris.X, y=iris.y)
    path, there = tmp_path / "a.db", tmp_path / "there.npz"
    sweep(str(tmp_path / "data.npz"), SPACE, storage=path, **OPTIONS)
    (tmp_path / "data.npz").rename(there)
    assert main(["show", str(path), "--confusion"]) == 2
    assert main(["show", str(path), "--confusion", "--data", str(there)]) == 0
    assert "Confusion matrix" in capsys.readouterr().out
    assert main(["show", str(path), "--data", str(there)]) == 2
    assert main(["show", str(path), "--confusion", "--format", "json"]) == 2
    assert "--confusion must be given with --format table, but got 'json'" in capsys.readouterr().err


def test_of_many_classes_the_commonest_mistakes_are_told() -> None:
    counts = np.diag(np.full(30, 10))
    counts[3, 7], counts[7, 3], counts[29, 0] = 4, 2, 3
    found = Confusion(tuple(f"c{i}" for i in range(30)), counts)
    assert [line.split() for line in str(found).splitlines()[1:]] == [
        ["c3", "c7", "4", "14"], ["c29", "c0", "3", "13"], ["c7", "c3", "2", "12"],
    ]  # fmt: skip
    assert found.lines()[0].startswith("Commonest mistakes on the validation part, 300 of 309 right")


def test_a_training_that_took_long_is_not_repeated_for_a_report(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuning.report.material.MOST_SECONDS", -1)
    monkeypatch.setattr(Study, "confusion", None)
    page = report.write(Study.open(path), path.with_suffix(".html")).read_text()
    assert "nn-tuning show --confusion" in page
