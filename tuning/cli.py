"""The `nn-tuning` command.

Errors are one line on standard error. Exit status: 0 for success; 2 for bad input, before any work; 1 where work had to
end, because the disk is full or no worker is left, say (what was counted is saved); 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

from nn._checks import integer, one_of, unknown_name
from tuning.config import KEYS, SweepFile
from tuning.limits import SAME
from tuning.methods import METHODS
from tuning.parameters import PARAMETERS
from tuning.parcels import WorkersError
from tuning.report_text import outcome_lines, show_lines
from tuning.schema import StudyFileError, StudyWriteError
from tuning.space import Choice, as_parameter
from tuning.study import METRICS, Study, StudyInterrupted
from tuning.sweeps import sweep
from tuning.training_command import train_command
from tuning.values import Setting
from tuning.verdicts import RULES

SWEEP_EXAMPLE = (
    "nn-tuning sweep digits --learning-rate 1e-3:1:log --batch-size 16,32,64 --hidden-units 16,32,64 "
    "--storage runs/digits.db"
)
TRAIN_EXAMPLE = "nn-tuning train digits --learning-rate 0.1 --batch-size 32 --hidden-units 32 --epochs 20"
RANGE_EXAMPLE = "nn-tuning lr-range digits --hidden-units 32 --batch-size 32"
FORMATS = ("table", "json", "csv")


class CommandError(ValueError):
    """A command line that can't be understood."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are raised, in one line and with the nearest option's name."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def error(self, message: str) -> NoReturn:
        """Raise, where argparse would print its usage and exit."""
        raise CommandError(message)

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Return the parsed arguments; all must be known."""
        values, rest = self.parse_known_args(arguments)
        for text in rest:
            if text.startswith("--"):
                names = [name for action in self._actions for name in action.option_strings if name.startswith("--")]
                error = unknown_name("an option", text.split("=")[0], names)
                raise CommandError(
                    f"{error}" if "did you mean" in str(error) else f"unknown option {text!r}; see --help"
                )
            raise CommandError(f"unexpected argument {text!r}; see --help")
        return values


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    try:
        status = _run(sys.argv[1:] if arguments is None else list(arguments))
        sys.stdout.flush()
        return status
    except StudyInterrupted as stop:
        line = stop.study.progress_line()
        saved = f"{line}; continue with: nn-tuning resume {stop.study.path}"
        lost = line.replace("are saved", "had finished") + "; give --storage to save them"
        print(f"nn-tuning: stopped: {saved if stop.study.path else lost}", file=sys.stderr)
        return 130
    except KeyboardInterrupt:
        print(
            "nn-tuning: stopped; what was counted is saved, and the same command goes on from there",
            file=sys.stderr,
            flush=True,
        )
        if arguments is None:  # threads that still run would keep the process waiting
            os._exit(130)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except (ValueError, TypeError, OSError, WorkersError) as error:
        print(f"nn-tuning: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1 if isinstance(error, StudyWriteError | WorkersError) else 2


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview())
        return 0
    if arguments[0] == "--version":
        print(f"nn-tuning {_version()}")
        return 0
    name = arguments[0]
    if name not in COMMANDS:
        raise unknown_name("a command", name, COMMANDS)
    make, command, _ = COMMANDS[name]
    operand = {"sweep": "[DATA]", "train": "DATA", "lr-range": "DATA", "show": "[FILE.db]"}.get(name, "FILE.db")
    parser = Parser(prog=f"nn-tuning {name}", usage=f"nn-tuning {name} {operand} [options]", description=_about(name))
    make(parser)
    try:
        values = parser.parse(arguments[1:])
    except SystemExit as leave:  # --help has been printed
        return int(leave.code or 0)
    return command(values)


# -- options ---------------------------------------------------------------------------------------------------


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number, but got {text!r}") from None


def _real(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, but got {text!r}") from None


def _names(text: str) -> bool | list[str]:
    return text == "true" or [name.strip().replace("-", "_") for name in text.split(",")]


def _limit(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda text: {"none": None, SAME: SAME}[text] if text in ("none", SAME) else kind(text)


def _option_of(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _add_parameters(parser: Parser, *, single: bool) -> None:
    group = parser.add_argument_group(
        "hyper-parameters", None if single else "ranges low:high[:log|:int], or values with commas"
    )
    for name, known in PARAMETERS.items():
        example = known.example.split(",")[0] if single else known.example
        shown = "" if single and ":" in example else f", such as {example}"
        group.add_argument(_option_of(name), metavar="VALUE" if single else "SPACE", help=f"{known.about}{shown}")


def _given_parameters(values: argparse.Namespace) -> dict[str, str]:
    return {name: text for name in PARAMETERS if (text := getattr(values, name)) is not None}


def _train_options(parser: Parser) -> None:
    parser.epilog = f"example:\n  {TRAIN_EXAMPLE}"
    parser.add_argument("data", help="digits, iris, wine, breast_cancer, diabetes, moons, … or a path")
    parser.add_argument("--epochs", type=_whole, default=20, help="passes over the training part (20)")
    parser.add_argument("--seed", type=_whole, default=0, help="of initial weights, shuffling and dropout (0)")
    parser.add_argument(
        "--early-stopping", type=_whole, metavar="EPOCHS", help="stop after so many without a better validation loss"
    )
    parser.add_argument("--class-weight", metavar="balanced", help="balanced: every class has the same total weight")
    parser.add_argument("--replacement", action="store_true", help="draw each mini-batch from all examples anew")
    parser.add_argument(
        "--divergence-factor", type=_real, default=1e4, help="the rise of the loss that ends a run (1e4)"
    )
    parser.add_argument(
        "--target-column", metavar="NAME", help="the column of a CSV file that is to be predicted (the last)"
    )
    parser.add_argument("--test", action="store_true", help="score the test part too")
    parser.add_argument("--save", metavar="FILE.npz", type=Path, help="save the trained model")
    parser.add_argument("--quiet", action="store_true", help="no line for each epoch")
    _add_parameters(parser, single=True)


def _sweep_options(parser: Parser) -> None:
    parser.epilog = f"examples:\n  {SWEEP_EXAMPLE}\n  nn-tuning sweep digits --learning-rate 1e-3:1:log --repeats 5"
    parser.add_argument("data", nargs="?", help="digits, iris, wine, breast_cancer, diabetes, moons, … or a path")
    parser.add_argument(
        "--config", type=Path, metavar="FILE.toml", help="a sweep file; options of the command line go first"
    )
    parser.add_argument("--method", help=f"{', '.join(METHODS)} (grid)")
    parser.add_argument("--points", type=_whole, help="grid points along each range (7; refine's first round: 5)")
    parser.add_argument("--rounds", type=_whole, help="refine: the most rounds (10)")
    parser.add_argument(
        "--widen", metavar="NAMES", type=_names, help="refine: ranges that may be left, or true for all"
    )
    parser.add_argument("--eta", type=_whole, help="halving, hyperband: one setting in so many goes on (3)")
    parser.add_argument("--min-epochs", type=_whole, help="halving, hyperband: the least epochs of a setting (1)")
    parser.add_argument("--batch", type=_whole, help="tpe: settings that are asked for at a time (8)")
    parser.add_argument("--n-trials", type=_whole, help="at most so many trainings; halving, hyperband: so many start")
    parser.add_argument("--epochs", type=_whole, help="of each trial, or the most (20)")
    parser.add_argument("--total-epochs", type=_whole, help="stop before all trials together get more")
    parser.add_argument("--repeats", type=_whole, help="seeds for each setting (1)")
    parser.add_argument("--folds", type=_whole, help="cross-validation with so many folds")
    parser.add_argument("--metric", help=f"what decides: {', '.join(METRICS)}")
    parser.add_argument("--target", type=_real, help="stop once the metric reaches this value")
    parser.add_argument("--timeout", type=_real, metavar="SECONDS", help="stop after so many seconds")
    parser.add_argument("--seed", type=_whole, help="all random numbers follow from it (0)")
    parser.add_argument("--n-jobs", type=_whole, help="threads (all cores)")
    parser.add_argument("--dask", metavar="ADDRESS", help="run on a Dask cluster, such as tcp://192.168.0.5:8786")
    parser.add_argument("--storage", metavar="FILE.db", help="the study file; one that is there is continued")
    _add_output(parser)
    _add_parameters(parser, single=False)


def _resume_options(parser: Parser) -> None:
    parser.epilog = f"example, after {SWEEP_EXAMPLE}:\n  nn-tuning resume runs/digits.db"
    parser.add_argument("study", help="the study file")
    parser.add_argument("--timeout", type=_real, metavar="SECONDS", help="stop after so many seconds")
    for name, kind in (("n-trials", _whole), ("total-epochs", _whole), ("target", _real)):
        about = "in the place of the one that it was made with, or none"
        parser.add_argument(f"--{name}", type=_limit(kind), default=SAME, help=about)
    parser.add_argument("--n-jobs", type=_whole, help="threads (all cores)")
    parser.add_argument("--dask", metavar="ADDRESS", help="run on a Dask cluster, such as tcp://192.168.0.5:8786")
    _add_output(parser)


def _show_options(parser: Parser) -> None:
    parser.epilog = f"example, after {SWEEP_EXAMPLE}:\n  nn-tuning show runs/digits.db --top 20"
    parser.add_argument("study", nargs="?", help="the study file")
    parser.add_argument("--rules", action="store_true", help="print the rules of the verdicts")
    parser.add_argument("--format", default="table", help="table, json or csv (table)")
    parser.add_argument("--top", type=_whole, metavar="N", help="settings to show (10 in a table, else all)")


def _range_options(parser: Parser) -> None:
    parser.epilog = f"example:\n  {RANGE_EXAMPLE}"
    parser.add_argument("data", help="digits, iris, wine, breast_cancer, diabetes, moons, … or a path")
    parser.add_argument("--low", type=_real, default=1e-6, metavar="RATE", help="the first learning rate (1e-6)")
    parser.add_argument("--high", type=_real, default=10.0, metavar="RATE", help="the last learning rate (10)")
    parser.add_argument("--steps", type=_whole, default=200, help="mini-batches from the first to the last (200)")
    parser.add_argument("--seeds", type=_whole, default=5, help="how many times, each from a start of its own (5)")
    parser.add_argument("--limit", action="store_true", help="find the largest stable learning rate too")
    parser.add_argument("--format", default="table", help="table, json or csv (table)")
    _add_parameters(parser, single=True)


def _test_options(parser: Parser) -> None:
    parser.epilog = f"example, after {SWEEP_EXAMPLE}:\n  nn-tuning test runs/digits.db"
    parser.add_argument("study", help="the study file")


def _add_output(parser: Parser) -> None:
    parser.add_argument("--top", type=_whole, default=10, metavar="N", help="settings to show at the end (10)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


# -- commands --------------------------------------------------------------------------------------------------


def _train(values: argparse.Namespace) -> int:
    return train_command(values, _setting(values), lambda line: print(line, flush=True))


def _setting(values: argparse.Namespace) -> Setting:
    """Return the one value of each hyper-parameter that was given."""
    setting: Setting = {}
    for name, text in _given_parameters(values).items():
        parameter = as_parameter(name, text)
        if not isinstance(parameter, Choice) or parameter.size != 1:
            raise ValueError(
                f"{name} must be one value to train with, but got {text!r}; search it with: nn-tuning sweep"
            )
        setting[name] = parameter.values[0]
    return setting


def _lr_range(values: argparse.Namespace) -> int:
    form = one_of("format", values.format, FORMATS)
    setting = _setting(values)
    from tuning.range_text import range_of_command

    print(range_of_command(values, setting, form))
    return 0


def _sweep(values: argparse.Namespace) -> int:
    top = integer("top", values.top, 1)
    file = None if values.config is None else SweepFile.read(values.config)
    arguments: dict[str, Any] = {} if file is None else dict(file.values)
    given = {name: value for name in KEYS if (value := getattr(values, name, None)) is not None}
    on_line = _given_parameters(values)
    arguments.update(given)
    if arguments.get("data") is None:
        raise CommandError("a sweep must have data, as in: nn-tuning sweep digits --learning-rate 1e-3:1:log")
    arguments["space"] = {**arguments.get("space", {}), **on_line}
    try:
        with _executor(values.dask) as executor:
            study = sweep(**arguments, executor=executor, progress=False if values.quiet else None)
    except StudyFileError:
        raise
    except (ValueError, TypeError) as error:
        about = str(error).split(" ")[0].rstrip(":")
        if file is None or about in given or about in on_line:
            raise
        raise ValueError(file.locate(error)) from None
    return _finish(study, top)


def _resume(values: argparse.Namespace) -> int:
    top = integer("top", values.top, 1)
    study = Study.open(values.study)
    quiet = False if values.quiet else None
    with _executor(values.dask) as executor:
        limits = {name: getattr(values, name) for name in ("timeout", "n_trials", "total_epochs", "target")}
        study.resume(**limits, executor=executor, n_jobs=values.n_jobs, progress=quiet)
    return _finish(study, top)


@contextlib.contextmanager
def _executor(address: str | None) -> Iterator[Executor | None]:
    """Yield the executor of a Dask cluster, or None for threads."""
    if address is None:
        yield None
        return
    try:
        from tuning.dask import connected
    except ModuleNotFoundError as error:
        raise CommandError(f'--dask needs {error.name}; install it with: pip install "nn-tuning[dask]"') from None
    with connected(address) as executor:
        yield executor


def _finish(study: Study, top: int) -> int:
    print("\n".join(outcome_lines(study, top)))
    return 0


def _show(values: argparse.Namespace) -> int:
    form = one_of("format", values.format, FORMATS)
    top = None if values.top is None else integer("top", values.top, 1)
    if values.rules:
        print(RULES)
    if values.study is None:
        if not values.rules:
            raise CommandError("show must have a study file, as in: nn-tuning show runs/digits.db")
        return 0
    study = Study.open(values.study)
    if form == "table":
        print("\n".join(show_lines(study, top or 10)))
    else:
        print(study.to_json(top=top) if form == "json" else study.to_csv(top=top), end="")
    return 0


def _test(values: argparse.Namespace) -> int:
    scores = Study.open(values.study).test()
    print("  ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in scores.items()))
    return 0


Command = tuple[Callable[[Parser], None], Callable[[argparse.Namespace], int], str]

COMMANDS: dict[str, Command] = {
    "train": (_train_options, _train, "train one network"),
    "sweep": (_sweep_options, _sweep, "search learning rate, batch size, hidden units and more"),
    "resume": (_resume_options, _resume, "run what is left of a study"),
    "show": (_show_options, _show, "show the best settings of a study"),
    "test": (_test_options, _test, "score the best setting on the test part, once"),
    "lr-range": (_range_options, _lr_range, "test which learning rates a network can use"),
}


def _about(name: str) -> str:
    text = COMMANDS[name][2]
    return f"{text[0].upper()}{text[1:]}."


def _overview() -> str:
    lines = [f"  {name:<10}{about}" for name, (_, _, about) in COMMANDS.items()]
    usage = "usage: nn-tuning COMMAND …   (nn-tuning COMMAND --help says more)"
    status = "exit status: 0 done, 2 bad input, 1 work had to end (disk full, workers lost), 130 after Ctrl-C"
    return "\n".join([usage, "", *lines, "", "  --version", "", f"example:\n  {SWEEP_EXAMPLE}", "", status])


def _version() -> str:
    try:
        return metadata.version("nn-tuning")
    except metadata.PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    sys.exit(main())
