"""What people type is understood, or answered with what there is on this line; defaults fit data of any size."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tuning.fakes import files
from tuning.cli.main import main


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(list(arguments)) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert files(Path()) == []
    return err.removeprefix("nn-tuning: error: ").rstrip("\n")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("--lr", "--learning-rate"), ("-lr", "--learning-rate"), ("--eta0", "--learning-rate"),
        ("--bs", "--batch-size"),
        ("--units", "--hidden-units"), ("--hidden-layer-sizes", "--hidden-units"), ("--wd", "--weight-decay"),
        ("--n-epochs", "--epochs"), ("--opt", "--optimizer"), ("--patience", "--early-stopping"), ("--reg", "--l2"),
        ("--random-state", "--seed"), ("--out", "--save"), ("--target", "--target-column"), ("--act", "--activation"),
    ],
)  # fmt: skip
def test_an_option_by_another_name_is_answered_with_the_usual_one(
    typed: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = error_of(capsys, "train", "iris", typed, "1")
    assert said == f"nn-tuning train has no option {typed!r}; did you mean {meant!r}?"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sweep", "iris", "--learning-rate", "1", "--cv", "5"], "has no option '--cv'; did you mean '--folds'?"),
        (["train", "iris", "--cv", "5"], "nn-tuning train has no option '--cv'; see: nn-tuning train --help"),
        (["show", "a.db", "--sort", "loss"], "has no option '--sort'; see: nn-tuning show --help"),
        (["help"], "but got 'help'; see: nn-tuning --help"),
        (["train", "iris", "--hidden-units", "64,32"], "; join the units of several layers by x, as in 64x32"),
        (["train", "iris", "--hidden-units", "32,32"], "32 comes twice; join several hidden layers by x, as in 32x32"),
        (["train", "iris", "--hidden-units", "0"], "of at least 1, but got 0; () has no hidden layer"),
        (["train", "iris", "--bias", "yes"], "--bias must be true or false, but got 'yes'"),
        (["train", "iris", "--nesterov", "true"], "--nesterov true needs a momentum above 0, but got --momentum 0"),
        (["train", "iris", "--replacement", "--batch-size", "full"], "must be false with --batch-size full"),
        (["train", "iris", "--metrics", "f1"], "did you mean 'validation_f1_macro'?"),
        (["train", "iris", "--learning-rate", "0.1 0.2"], "but got '0.1 0.2'; give one value"),
        (["sweep", "iris", "--learning-rate", "0.1 0.2"], "but got '0.1 0.2'; try '1e-3:1:log'"),
        (["sweep", "iris", "--learning-rate", "1", "--n-jobs", "-1"], "but got -1; leave it out for all cores"),
        (["sweep", "iris", "--learning-rate", "1", "--method", "bayes"], "did you mean 'tpe'?"),
        (["sweep", "iris", "--learning-rate", "1", "--method", "refine", "--widen", "lr"], "no parameter is a range"),
        (["sweep", "iris", "--optimizer", "sgd(lr=0:1),adam"], "but got 'lr'; did you mean 'learning_rate'?"),
        (["sweep", "iris", "--hidden-units", "4.5:64"], "--hidden-units: the ends of a range of whole numbers must"),
        (["lr-range", "iris", "--low", "1", "--high", "0.1"], "--low must be below high, but got --low 1, --high 0.1"),
    ],
)  # fmt: skip
def test_an_error_has_a_way_out_that_exists_on_this_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in error_of(capsys, *arguments)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("learning_rate", "s.toml, line 2: learning_rate must stand in the table [space], but got 'learning_rate'"),
        ("lr", "s.toml, line 2: learning_rate must stand in the table [space], but got 'lr' outside of it"),
        ("n_epochs", "did you mean 'epochs'?"),
    ],
)
def test_a_sweep_file_is_answered_in_its_own_names(key: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("s.toml").write_text(f'data = "iris"\n{key} = 1\n')
    status = main(["sweep", "--config", "s.toml"])
    assert status == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("command", ["train --epochs 1", "sweep --epochs 1", "lr-range --steps 10"])
def test_a_default_batch_size_fits_few_rows_and_a_given_one_is_held_to_the_law(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("few.csv").write_text("a,b,y\n" + "".join(f"{i},{i * i % 5},{i % 2}\n" for i in range(1, 9)))
    name, *options = command.split()
    rate = ["--learning-rate", "0.1"] if name == "sweep" else []
    assert main([name, "few.csv", *options, *rate]) == 0
    capsys.readouterr()
    assert main([name, "few.csv", *options, *rate, "--batch-size", "32"]) == 2
    assert "--batch-size must be between 1 and the 5 training examples, or full, but got 32" in capsys.readouterr().err
