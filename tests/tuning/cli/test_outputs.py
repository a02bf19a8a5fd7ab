"""What commands write: files with endings that say what they are, and after Ctrl-C or divergence what is true."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nn import Dataset, load, load_dataset, train
from nn.files import local_path
from tests.tuning.cli.command import refused, run
from tests.tuning.fakes import files
from tuning import Study, sweep
from tuning.cli import train as train_module

SWEEP = ["sweep", "iris", "--learning-rate", "0.1,1", "--epochs", "1", "--storage", "a.db"]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def press_ctrl_c_in_epoch(monkeypatch: pytest.MonkeyPatch, wanted: int, times: int = 1) -> None:
    """Send what Ctrl-C sends when the scores of this epoch are shown."""
    shown, scores_line = [0], train_module.scores_line

    def pressing(metrics: dict[str, float]) -> str:
        shown[0] += 1
        if shown[0] == wanted:
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)
        return scores_line(metrics)

    monkeypatch.setattr(train_module, "scores_line", pressing)


# -- Ctrl-C ----------------------------------------------------------------------------------------------------------


def test_ctrl_c_saves_what_was_trained_and_says_how_much(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    press_ctrl_c_in_epoch(monkeypatch, 3)
    status, out, err = run(capsys, "train", "iris", "--epochs", "9", "--save", "m.npz")
    assert status == 130
    assert "stopped (Ctrl-C) after 3 epochs" in out
    assert err.splitlines()[-1] == "nn-tuning: stopped; m.npz has what was trained in 3 of 9 epochs"
    split = load_dataset("iris").split(0.2, 0.2, 0)
    saved = load("m.npz")
    assert np.array_equal(saved.theta, train(saved.model, split, epochs=3).theta)
    assert train(saved.model, split, epochs=9, resume=saved.state).epochs == 9
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(("options", "times"), [(["--save", "m.npz"], 2), ([], 1)])
def test_ctrl_c_that_saves_nothing_says_so(
    options: list[str], times: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    press_ctrl_c_in_epoch(monkeypatch, 3, times)
    status, _, err = run(capsys, "train", "iris", "--epochs", "9", *options)
    assert status == 130
    assert err.splitlines()[-1] == "nn-tuning: stopped; nothing is saved"
    assert files(Path()) == []


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        (["train", "iris"], "nothing is saved"),
        (["sweep", "iris", "--learning-rate", "1"], "nothing is saved, as no --storage was given"),
        (SWEEP, "what was counted is saved, and the same command goes on from there"),
        (["resume", "a.db"], "what was counted is saved, and the same command goes on from there"),
        (["show", "a.db"], "nothing is written"),
        (["report", "a.db"], "no report is written"),
        (["test", "a.db"], "no score is saved"),
        (["lr-range", "iris"], "nothing is saved"),
    ],
)
def test_after_ctrl_c_each_command_says_what_is_true_of_it(
    arguments: list[str], left: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(Study, "open", interrupted)
    monkeypatch.setattr("tuning.objective.Objective.prepare", interrupted)
    assert run(capsys, *arguments) == (130, "", f"nn-tuning: stopped; {left}\n")


# -- divergence ------------------------------------------------------------------------------------------------------


def test_a_diverged_training_is_not_saved_and_ends_with_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    Path("m.npz").write_bytes(b"an older model")
    status, out, err = run(capsys, "train", "digits", "--learning-rate", "1e6", "--save", "m.npz")
    assert (status, err.count("\n")) == (1, 1)
    assert "nothing was saved to 'm.npz'; lower --learning-rate" in err
    assert "diverged" in out
    assert Path("m.npz").read_bytes() == b"an older model"
    assert run(capsys, "train", "digits", "--learning-rate", "1e6")[0] == 0


# -- endings ---------------------------------------------------------------------------------------------------------


def test_an_output_ends_as_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, *SWEEP)
    table = run(capsys, "show", "a.db")[1]
    assert run(capsys, "show", "a.db", "--output", "a.txt")[0] == 0
    assert Path("a.txt").read_text() == table
    assert run(capsys, "show", "a.db", "--output", "A.CSV")[0] == 0
    assert Path("A.CSV").read_text() == run(capsys, "show", "a.db", "--format", "csv")[1]
    assert run(capsys, "show", "a.db", "--output", "scores", "--format", "csv")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "a.db", "--output", "x.xlsx"], "--output must end in .txt, .json, .csv, .parquet, but got 'x.xlsx'"),
        (["show", "a.db", "--output", "x"], "or give --format csv"),
        (["show", "a.db", "--output", "x.json", "--format", "csv"], "--format must be json for a file that ends in"),
        (["report", "a.db", "--output", "x.pdf"], "--output must end in .html, but got 'x.pdf'"),
        (["train", "iris", "--save", "m.pkl"], "--save must be a file that ends in .npz, but got 'm.pkl'"),
        (["train", "iris", "--plot", "m.gif"], "--plot must be a file that ends in .png or .svg or .pdf"),
        (["train", "iris", "--plot", "none/m.png"], "--plot must be a file in a folder that can be written"),
    ],
)
def test_an_ending_that_is_not_known_is_refused(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    err = refused(capsys, *arguments)
    assert words in err
    assert files(Path()) == []


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_train_draws_its_curves(ending: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    status, out, err = run(capsys, "train", "diabetes", "--epochs", "2", "--quiet", "--plot", f"a.{ending}")
    assert (status, err) == (0, "")
    assert out.splitlines()[-1] == f"figure: a.{ending}"
    head = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending]
    assert Path(f"a.{ending}").read_bytes().startswith(head)


# -- URLs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["sweep", "iris", "--learning-rate", "1", "--storage", "sqlite:///x.db"],
        ["sweep", "--config", "file:///x.db"],
        ["train", "iris", "--save", "file:///x.db"],
        ["train", "iris", "--plot", "file:///x.db"],
        ["show", "sqlite:///x.db"],
        ["show", "x.db", "--output", "file:///x.db"],
        ["report", "sqlite:///x.db"],
        ["report", "x.db", "--output", "file:///x.db"],
        ["resume", "sqlite:///x.db"],
        ["test", "sqlite:///x.db"],
    ],
)
def test_a_url_is_refused_as_a_path_on_the_command_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, err = run(capsys, *arguments)
    assert (status, err.count("\n")) == (2, 1)
    assert "must be a path on this machine, but got the URL" in err
    assert err.endswith("write 'x.db'\n")
    assert files(Path()) == []


def test_a_url_is_refused_as_a_path_in_python() -> None:
    data = Dataset([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1])
    study = sweep("iris", {"learning_rate": 0.1}, epochs=1, progress=False)
    url = "sqlite:///x.db"
    calls = [
        lambda: sweep(data, {"learning_rate": 0.1}, storage=url),
        lambda: Study.open(url),
        lambda: study.to_csv(url),
        lambda: study.to_json(url),
        lambda: load(url),
        lambda: load_dataset(url),
        lambda: train(train_model(), data, epochs=1).save(url),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"must be a path on this machine, but got the URL .*; write"):
            call()
    with pytest.raises(ValueError, match=r"https://a\.org/x\.csv'; download it first"):
        load_dataset("https://a.org/x.csv")
    with pytest.raises(TypeError, match="storage must be a path, but got int"):
        sweep(data, {"learning_rate": 0.1}, storage=3)  # type: ignore[arg-type]
    assert local_path("a", "C:/x.db") == Path("C:/x.db")
    assert files(Path()) == []


def train_model() -> Any:
    from nn import MLP

    return MLP((1, 2))
