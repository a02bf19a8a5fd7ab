from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nn import load
from tests.tuning.cli.command import refused, run
from tests.tuning.fakes import files
from tuning.cli.main import main
from tuning.space import PARAMETERS

ROOT = Path(__file__).parents[3]
SWEEP = ["sweep", "iris", "--learning-rate", "0.01:1:log", "--hidden-units", "4,8", "--points", "3", "--epochs", "3"]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_sweep_prints_table_verdict_and_file_and_show_prints_them_again(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, *SWEEP, "--storage", "runs/iris.db")
    assert (status, err) == (0, "")
    best = next(line for line in out.splitlines() if line.startswith("Best: "))
    assert "validation accuracy" in best
    assert "validation loss" in best
    assert "nn-tuning show runs/iris.db" in out
    assert files(Path()) == ["runs/iris.db"]
    status, shown, err = run(capsys, "show", "runs/iris.db")
    assert (status, err) == (0, "")
    assert best in shown


def test_a_second_sweep_says_that_nothing_was_trained(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, *SWEEP, "--storage", "iris.db")
    status, out, _ = run(capsys, *SWEEP, "--storage", "iris.db")
    assert status == 0
    assert out.startswith(
        "iris: 150 rows; target (classification, 3 classes: setosa, versicolor, virginica); features "
    )
    assert out.splitlines()[1] == "All 6 trials were in iris.db already: nothing was trained."


def test_show_speaks_json_and_csv(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, *SWEEP, "--storage", "iris.db")
    rows = json.loads(run(capsys, "show", "iris.db", "--format", "json")[1])["settings"]
    lines = list(csv.DictReader(io.StringIO(run(capsys, "show", "iris.db", "--format", "csv")[1])))
    assert len(rows) == len(lines) == 6
    assert [float(line["mean_validation_loss"]) for line in lines] == [row["mean_validation_loss"] for row in rows]
    assert len(json.loads(run(capsys, "show", "iris.db", "--format", "json", "--top", "2")[1])["settings"]) == 2


def test_resume_and_test_take_the_file_alone(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, *SWEEP, "--storage", "iris.db")
    assert run(capsys, "resume", "iris.db")[0] == 0
    status, out, _ = run(capsys, "test", "iris.db")
    assert status == 0
    assert out.startswith("test loss ")
    assert "\nby a network trained on the 120 rows of training and validation for 3 epochs, with " in out
    assert "seen before" not in out
    again = run(capsys, "test", "iris.db", "--save", "best.npz")[1]
    assert again.startswith(f"{out}seen before on 20")
    assert again.endswith("\nsaved: best.npz, trained on all 150 rows for 3 epochs\n")
    best = load("best.npz")
    assert best.epochs == 3
    assert "seen again once" in run(capsys, "show", "iris.db")[1]


def test_a_sweep_file_is_the_same_as_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    Path("s.toml").write_text(
        'data = "iris"\npoints = 3\nepochs = 7\n[space]\nlearning_rate = "0.01:1:log"\nhidden_units = [4, 8]\n'
    )
    out = run(capsys, "sweep", "--config", "s.toml", "--epochs", "3")[1]
    assert out == run(capsys, *SWEEP)[1]


def test_the_sweep_file_of_the_repository_is_valid() -> None:
    from tuning.cli.config import SweepFile
    from tuning.space import Space

    values = SweepFile.read(ROOT / "scripts" / "digits.toml").values
    assert Space(values["space"]).grid_size(values["points"]) == 7 * 4 * 3
    assert (values["epochs"], values["storage"]) == (20, "runs/digits.db")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('data = "iris"\nepochs = = 3\n', "line 2"),
        (
            'data = "iris"\n\nepoch = 3\n',
            "s.toml, line 3: a key of a sweep file must be one of .* did you mean 'epochs'",
        ),
        ('data = "iris"\nepochs = 0\n[space]\nlearning_rate = 0.1\n', "s.toml, line 2: epochs must be"),
        (
            'data = "iris"\n[space]\nlearning_rate = "1:0.1:log"\n',
            "s.toml, line 3: learning_rate: low must be below high",
        ),
        ('data = "iris"\n[space]\nbatch_size = [8, 500]\n', "s.toml, line 3: batch_size must be"),
        ('data = "iris"\n[space]\nlearning_rte = 1.0\n', "s.toml, line 3: .* did you mean 'learning_rate'"),
        ('data = "iris"\nspace = 3\n', "s.toml, line 2: space must be a table"),
        ("space = {learning_rate = 0.1}\n", "a sweep must have data"),
    ],
)
def test_errors_in_a_sweep_file_name_the_line(text: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    import re

    Path("s.toml").write_text(text)
    status, _, err = run(capsys, "sweep", "--config", "s.toml", "--storage", "runs/a.db")
    assert status == 2
    assert re.search(line, err), err
    assert files(Path()) == ["s.toml"]


def test_an_error_is_one_line_whatever_it_quotes(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a\nb.toml").write_text("epochs = = 3")
    status, _, err = run(capsys, "sweep", "--config", "a\nb.toml")
    assert (status, err.count("\n")) == (2, 1)


def test_train_prints_its_epochs_and_saves_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(
        capsys, "train", "iris", "--hidden-units", "8x4", "--epochs", "3", "--test", "--save", "m.npz"
    )
    assert (status, err) == (0, "")
    assert [line.split("  ")[0] for line in out.splitlines()[1:4]] == ["epoch 1", "epoch 2", "epoch 3"]
    assert "test accuracy" in out
    assert "the test part was looked at" in out
    assert load("m.npz").model.layer_sizes == (4, 8, 4, 3)
    assert "test accuracy" not in run(capsys, "train", "iris", "--epochs", "1")[1]


def test_every_help_has_an_example_that_works_as_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    os.makedirs("runs")
    for command in ("train", "sweep", "resume", "show", "report", "test", "lr-range"):
        assert main([command, "--help"]) == 0
        out = capsys.readouterr().out
        line = next(line for line in out.splitlines() if line.startswith("  nn-tuning "))
        short = ["--epochs", "1"] if command in ("train", "sweep") else []
        assert main([*line.split()[1:], *short]) == 0, line
        capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["swep"], "did you mean 'sweep'"),
        (["sweep", "iris", "--learnin-rate", "1"], "did you mean '--learning-rate'"),
        (["sweep", "irsi", "--learning-rate", "1"], "did you mean 'iris'"),
        (["sweep", "iris", "--method", "randm", "--learning-rate", "1"], "did you mean 'random'"),
        (["sweep"], "a sweep must have data"),
        (["sweep", "iris", "--learning-rate"], "--learning-rate must have a value, but has none"),
        (["sweep", "iris", "--points", "x"], "--points must be a whole number, but got 'x'"),
        (["train"], "nn-tuning train must have data; see: nn-tuning train --help"),
        (["sweep", "iris", "extra", "--learning-rate", "1"], "must have no more arguments, but got 'extra'"),
        (["sweep", "iris", "--learning-rate", "1", "--epochs", "x"], "must be a whole number, but got 'x'"),
        (["sweep", "iris", "--learning-rate", "1", "--storage", "/dev/null/a.db"], "storage must be"),
        (["sweep", "--config", "none.toml"], "--config must be a file that can be read"),
        (["show", "none.db"], "must exist"),
        (["show", "none.db", "--format", "jsn"], "did you mean 'json'"),
        (["train", "iris", "--learning-rate", "0.1,0.2"], "must be one value to train with"),
        (["train", "iris", "--learning-rate", "nan"], "finite"),
        (["train", "iris", "--batch-size", "0"], "--batch-size must be between 1 and the 90"),
        (["train", "iris", "--save", "none/m.npz"], "--save must be"),
        (["train", "iris", "--save", "m.txt"], "ends in .npz"),
        (["train", "iris", "--seed", "-1"], "--seed must be"),
    ],
)
def test_an_error_is_one_line_with_status_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    err = refused(capsys, *arguments)
    assert err.startswith("nn-tuning: error: ")
    assert words in err
    assert files(Path()) == []


other_options = ["epochs", "folds", "repeats", "points", "n-trials", "metric", "target", "timeout", "seed", "n-jobs"]
options = st.sampled_from([f"--{name.replace('_', '-')}" for name in [*PARAMETERS, *other_options, "top", "bogus"]])
numbers = ["0", "-1", "nan", "inf", "1e999", "1:0", "0:0:log", "a:b", "5:1:int", "x", "1x0", ",", "1,1", "9" * 20]
junk = st.one_of(st.text(max_size=8).filter(lambda text: "\0" not in text), st.sampled_from(numbers))


@settings(max_examples=250, deadline=None)
@given(
    st.sampled_from(["sweep", "sweep", "sweep", "train", "show", "resume", "test", "tran"]),
    st.one_of(st.just("iris"), st.just("iris"), junk),
    st.lists(st.tuples(options, junk), max_size=3),
)
def test_junk_arguments_are_meant_or_give_one_line_and_no_file(
    command: str, data: str, pairs: list[tuple[str, str]]
) -> None:
    arguments = [command, data, *(f"{option}={value}" for option, value in pairs)]
    if command == "sweep":
        arguments += ["--n-trials=1", "--timeout=5", "--storage=runs/a.db"]
    with tempfile.TemporaryDirectory() as folder:
        before, out, err = os.getcwd(), sys.stdout, sys.stderr
        os.chdir(folder)
        sys.stdout, sys.stderr = io.StringIO(), io.StringIO()
        try:
            status = main(arguments)
            printed = sys.stderr.getvalue()
        finally:
            sys.stdout, sys.stderr = out, err
            os.chdir(before)
        assert status in (0, 2)
        if status == 2:
            assert printed.startswith("nn-tuning: error: ")
            assert printed.count("\n") == 1
            assert files(Path(folder)) == []


# The command, which is sent what Ctrl-C sends once its trial 5 begins.
INTERRUPTED = """
import os, signal, sys
from tuning.cli.main import main
from tuning.objective import Objective

train = Objective.__call__

def interrupted(self, spec):
    if spec.number == 5:
        os.kill(os.getpid(), signal.SIGINT)
    return train(self, spec)

Objective.__call__ = interrupted
sys.exit(main())
"""


def test_ctrl_c_ends_with_130_and_says_how_to_go_on(tmp_path: Path) -> None:
    words = "sweep digits --learning-rate 1e-3:1:log --points 3000 --storage"
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, *words.split(), str(tmp_path / "a.db")],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    assert done.returncode == 130
    assert done.stderr.count("\n") == 1
    assert "of 3,000 trials are saved; continue with: nn-tuning resume" in done.stderr


def test_help_and_version_do_not_wait_for_the_compiler(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert main([]) == 0
    assert main(["--version"]) == 0
    assert "nn-tuning sweep digits" in capsys.readouterr().out
