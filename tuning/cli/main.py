"""The `nn-tuning` command.

Errors are one line on standard error, in which arguments have the names of the command's options. Exit status: 0 for
success; 2 for bad input, before any work; 1 where work had to end, because the disk is full or no worker is left, say
(what was counted is saved), or where a training that was to be saved has diverged (nothing is saved); 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from nn.checks import integer, one_line, one_of, unknown_name
from tuning.analysis import RULES
from tuning.cli import options
from tuning.cli.config import KEYS, SweepFile, SweepFileError
from tuning.cli.models import predict_command, test_command
from tuning.cli.options import (
    FORMATS,
    SHOW_ENDINGS,
    SHOW_FORMATS,
    SWEEP_EXAMPLE,
    CommandError,
    Parser,
    given_parameters,
    given_reading,
)
from tuning.cli.train import NothingSaved, train_command
from tuning.cli.wording import on_command_line, options_of, say
from tuning.export import outcome_lines, show_lines, whole
from tuning.run import WorkersError
from tuning.space import Choice, Setting, as_parameter, way_out
from tuning.store import StudyFileError, StudyWriteError, environment
from tuning.study import Study, StudyInterrupted
from tuning.sweeps import sweep


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    command = COMMANDS.get(given[0]) if given else None
    try:
        status = _run(given)
        sys.stdout.flush()
        return status
    except StudyInterrupted as stop:
        line = stop.study.progress_line()
        saved = f"{line}; continue with: nn-tuning resume {stop.study.path}"
        lost = line.replace("are saved", "had finished") + "; give --storage to save them"
        print(f"nn-tuning: stopped: {saved if stop.study.path else lost}", file=sys.stderr)
        return 130
    except KeyboardInterrupt as stop:
        left = str(stop) or (command.stopped if command else "nothing was done")
        print(f"nn-tuning: stopped; {left}", file=sys.stderr)
        if arguments is None:  # threads that still run would keep the process waiting
            os._exit(130)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except (ValueError, TypeError, OSError, ImportError, WorkersError, NothingSaved) as error:
        print(f"nn-tuning: error: {_worded(command, error)}", file=sys.stderr)
        return 1 if isinstance(error, StudyWriteError | WorkersError | NothingSaved) else 2


def _worded(command: Command | None, error: Exception) -> str:
    """Return an error in one line, in the words of the command that it ended."""
    text = one_line(str(error))
    if command is None or isinstance(error, SweepFileError):
        return text
    parser = Parser()
    command.options(parser)
    return on_command_line(text, options_of(parser))


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview())
        return 0
    if arguments[0] == "--version":
        print(f"nn-tuning {environment()['nn-tuning'] or '(not installed)'}")
        return 0
    name = arguments[0]
    if name not in COMMANDS:
        wrong = str(unknown_name("a command", name, COMMANDS))
        raise CommandError(wrong if "did you mean" in wrong else f"{wrong}; see: nn-tuning --help")
    command = COMMANDS[name]
    usage, about = f"nn-tuning {name} {command.operand} [options]", f"{command.about[0].upper()}{command.about[1:]}."
    before = f", after {SWEEP_EXAMPLE}" if "FILE.db" in command.operand else ""
    epilog = f"example{before}:\n  {command.example}"
    parser = Parser(prog=f"nn-tuning {name}", usage=usage, description=about, epilog=epilog)
    command.options(parser)
    try:
        values = parser.parse(arguments[1:])
    except SystemExit as leave:  # --help has been printed
        return int(leave.code or 0)
    command.run(values)
    return 0


# -- commands --------------------------------------------------------------------------------------------------


def _train(values: argparse.Namespace) -> None:
    train_command(values, _setting(values))


def _setting(values: argparse.Namespace) -> Setting:
    """Return the one value of each hyper-parameter that was given."""
    setting: Setting = {}
    for name, text in given_parameters(values).items():
        try:
            parameter = as_parameter(name, text)
        except ValueError as error:  # what could be searched is no way out here
            hint = "" if name == "hidden_units" else way_out(name)
            raise ValueError(f"{str(error).removesuffix(hint)}; give one value" if hint else str(error)) from None
        if not isinstance(parameter, Choice) or parameter.size != 1:
            twice = name == "hidden_units" and re.fullmatch(r"\d+(,\d+)+", text)
            hint = f"join the units of several layers by x, as in {text.replace(',', 'x')}; or " if twice else ""
            raise ValueError(
                f"{name} must be one value to train with, but got {text!r}; {hint}search it with: nn-tuning sweep"
            )
        setting[name] = parameter.values[0]
    return setting


def _lr_range(values: argparse.Namespace) -> None:
    form = one_of("format", values.format, FORMATS)
    setting = _setting(values)
    from tuning.cli.lr_range import lr_range

    print(lr_range(values, setting, form))


def _sweep(values: argparse.Namespace) -> None:
    top = integer("top", values.top, 1)
    file = None if values.config is None else SweepFile.read(values.config)
    given = {name: value for name in KEYS if (value := getattr(values, name, None)) is not None}
    on_line = given_parameters(values)
    arguments: dict[str, Any] = {**(file.values if file else {}), **given, **given_reading(values)}
    if arguments.get("data") is None:
        raise CommandError("a sweep must have data, as in: nn-tuning sweep digits --learning-rate 1e-3:1:log")
    arguments["space"] = {**arguments.get("space", {}), **on_line} or None
    try:
        with _executor(values.dask) as executor:
            study = sweep(**arguments, executor=executor, progress=False if values.quiet else None, say=say)
    except StudyFileError:
        raise
    except KeyboardInterrupt as stop:
        if isinstance(stop, StudyInterrupted) or arguments.get("storage") is not None:
            raise
        raise KeyboardInterrupt("nothing is saved, as no --storage was given") from None
    except (ValueError, TypeError) as error:
        about = str(error).split(" ")[0].rstrip(":")
        if file is None or about in given or about in on_line:
            raise
        raise file.located(error) from None
    print("\n".join(_advising(outcome_lines(study, top))))


def _resume(values: argparse.Namespace) -> None:
    top = integer("top", values.top, 1)
    study, reading = Study.open(values.study), given_reading(values)
    names = ("timeout", "trial_timeout", "n_trials", "total_epochs", "target", "n_jobs")
    options = {name: getattr(values, name) for name in names}
    with _executor(values.dask) as executor:
        study.resume(values.data, **options, executor=executor, progress=False if values.quiet else None, **reading)
    print("\n".join(_advising(outcome_lines(study, top))))


def _advising(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines about a study; what they advise to give is an option of another sweep."""
    parser = Parser()
    options.sweep(parser)
    for line in lines:
        yield on_command_line(line, options_of(parser)) if "; give " in line else line


def _executor(address: str | None) -> AbstractContextManager[Executor | None]:
    """Return the connection to a Dask cluster, which gives its executor, or one that gives None for threads."""
    if address is None:
        return nullcontext()
    try:
        from tuning.run.dask import connected
    except ModuleNotFoundError as error:
        raise CommandError(f'--dask needs {error.name}; install it with: pip install "nn-tuning[dask]"') from None
    return connected(address)


def _show(values: argparse.Namespace) -> None:
    form = _format(values.format, values.output)
    top = None if values.top is None else integer("top", values.top, 1)
    if values.rules:
        print(RULES)
    if values.study is None:
        if not values.rules:
            raise CommandError("show must have a study file, as in: nn-tuning show runs/digits.db")
        return
    if form == "parquet" and values.output is None:
        raise CommandError("--format parquet must have a file to write, as in --output settings.parquet")
    by = values.by
    if by is not None and form != "table":
        raise CommandError(f"--best-rate-by must be given with --format table, but got {form!r}")
    if values.confusion and form != "table":
        raise CommandError(f"--confusion must be given with --format table, but got {form!r}")
    study, reading = Study.open(values.study), given_reading(values)
    if (reading or values.data is not None) and not values.confusion:
        raise CommandError("data and how to read it must be given with --confusion, which alone needs them")
    if form == "parquet":
        study.to_parquet(values.output, top=top)
        return
    if form == "table":
        lines = [*_advising(show_lines(study, top or 10, by))]
        lines += ["", *study.confusion(values.data, **reading).lines()] if values.confusion else []
        text = "\n".join(lines) + "\n"
    else:
        text = study.to_json(top=top) if form == "json" else study.to_csv(top=top)
    if values.output is None:
        print(text, end="")
    else:
        with whole(values.output) as file:
            file.write_text(text, encoding="utf-8")


def _format(given: str | None, output: Path | None) -> str:
    """Return the format that was asked for, or that the ending of the output file names."""
    if given is not None:
        one_of("format", given, SHOW_FORMATS)
    if output is None:
        return given or "table"
    ending = output.suffix.lower()
    found = SHOW_ENDINGS.get(ending)
    if found is None and given is None:
        raise ValueError(f"output must end in {', '.join(SHOW_ENDINGS)}, but got {str(output)!r}; or give --format csv")
    if found is not None and given not in (None, found):
        raise ValueError(f"format must be {found} for a file that ends in {ending}, but got {given}; leave one out")
    return given or found or "table"


def _report(values: argparse.Namespace) -> None:
    if values.output is not None and values.output.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"output must end in .html, but got {str(values.output)!r}")
    from tuning.report import write

    print(f"Report: {write(Study.open(values.study), values.output or Path(values.study).with_suffix('.html'))}")


class Command(NamedTuple):
    """One of the commands: its purpose, what follows its name, its options, the function that runs it, an example.

    `stopped` says what is true after Ctrl-C.
    """

    about: str
    operand: str
    options: Callable[[Parser], None]
    run: Callable[[argparse.Namespace], None]
    example: str
    stopped: str


_COUNTED = "what was counted is saved, and the same command goes on from there"
# fmt: off
COMMANDS = {
    "train": Command("train one network", "DATA", options.train, _train,
        "nn-tuning train digits --learning-rate 0.1 --batch-size 32 --hidden-units 32 --epochs 20",
        "nothing is saved"),
    "sweep": Command("search learning rate, batch size, hidden units and more", "[DATA]", options.sweep, _sweep,
        f"{SWEEP_EXAMPLE}\n  nn-tuning sweep digits --learning-rate 1e-3:1:log --repeats 5\n"
        "  nn-tuning sweep my.csv --target-column price      what is searched is chosen by rows and columns",
        _COUNTED),
    "resume": Command("run what is left of a study", "FILE.db", options.resume, _resume,
        "nn-tuning resume runs/digits.db", _COUNTED),
    "show": Command("show the best settings of a study", "[FILE.db]", options.show, _show,
        "nn-tuning show runs/digits.db --top 20", "nothing is written"),
    "report": Command("write a study as one HTML file, with figures and tables", "FILE.db", options.report, _report,
        "nn-tuning report runs/digits.db --output digits.html", "no report is written"),
    "test": Command("score the best setting on the test part, once; save it", "FILE.db", options.test, test_command,
        "nn-tuning test runs/digits.db", "no score is saved"),
    "predict": Command("predict the rows of a new file by a saved model or a study", "MODEL.npz|FILE.db NEW",
        options.predict, predict_command, "nn-tuning predict best.npz new.csv --output predictions.csv",
        "no prediction is saved"),
    "lr-range": Command("test which learning rates a network can use", "DATA", options.lr_range, _lr_range,
        "nn-tuning lr-range digits --hidden-units 32 --batch-size 32", "nothing is saved"),
}
# fmt: on


def _overview() -> str:
    lines = [f"  {name:<10}{command.about}" for name, command in COMMANDS.items()]
    usage = "usage: nn-tuning COMMAND …   (nn-tuning COMMAND --help says more)"
    status = (
        "exit status: 0 done, 2 bad input, 130 after Ctrl-C,\n"
        "  1 work had to end (disk full, workers lost), or train --save has diverged: nothing is saved"
    )
    return "\n".join([usage, "", *lines, "", "  --version", "", f"example:\n  {SWEEP_EXAMPLE}", "", status])
