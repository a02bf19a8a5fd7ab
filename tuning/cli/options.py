"""The options of each subcommand of `nn-tuning`, and the parser that reads them."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NoReturn

from nn.checks import usual_name
from nn.data import READING, option_of_text, reading_options
from nn.files import local_path
from nn.metrics import metric_of, names_of
from nn.optimizers import OPTIMIZERS
from tuning.methods import METHODS, OPTIONS, option_help, option_kind
from tuning.run import SAME
from tuning.space import DEFAULTS, PARAMETERS

SWEEP_EXAMPLE = (
    "nn-tuning sweep digits --learning-rate 1e-3:1:log --batch-size 16,32,64 --hidden-units 16,32,64 "
    "--storage runs/digits.db"
)
FORMATS = ("table", "json", "csv")
_ASKED = ", ".join(name for name in names_of() if not metric_of(name).always)
SHOW_FORMATS = (*FORMATS, "parquet")
_ALONE = "true"  # the value of a flag that stands alone
WRITING = ("separator", "decimal", "encoding", "missing", "header")
"""The options of reading that say how the cells of a file are written."""
SHOW_ENDINGS = {".txt": "table", ".json": "json", ".csv": "csv", ".parquet": "parquet"}


class CommandError(ValueError):
    """A command line that can't be understood."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are raised, in one line and with the nearest option's name."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def add_argument(self, *names: Any, **options: Any) -> argparse.Action:
        """Add an argument; a number is shown as such unless it has another name."""
        if options.get("type") in _SHOWN:
            options.setdefault("metavar", _SHOWN[options["type"]])
        return super().add_argument(*names, **options)

    def error(self, message: str) -> NoReturn:
        """Raise, where argparse would print its usage and exit."""
        needed = re.fullmatch("the following arguments are required: (.*)", message)
        if needed is not None:
            raise CommandError(f"{self.prog} must have {needed[1]}; see: {self.prog} --help")
        message = message.replace("expected one argument", "must have a value, but has none")
        raise CommandError(re.sub(r"^argument (--[\w-]+):", r"\1", message))

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Return the parsed arguments; all must be known. The word after a flag is its value only if it can be."""
        flags = {name for name, action in self._option_string_actions.items() if action.const == _ALONE}
        joined = [
            f"{word}={_ALONE}" if word in flags and after not in (_ALONE, "false") else word
            for word, after in zip_longest(arguments, arguments[1:])
        ]
        values, rest = self.parse_known_args(joined)
        if not rest:
            return values
        if not rest[0].startswith("-"):
            raise CommandError(f"{self.prog} must have no more arguments, but got {rest[0]!r}; see: {self.prog} --help")
        name = rest[0].partition("=")[0]
        known = {option[2:].replace("-", "_"): option for option in self._option_string_actions if option[:2] == "--"}
        word = name.lstrip("-").replace("-", "_")
        near = usual_name(word, known) or next(iter(difflib.get_close_matches(word, known, 1, 0.65)), None)
        hint = f"did you mean {known[near]!r}?" if near else f"see: {self.prog} --help"
        raise CommandError(f"{self.prog} has no option {name!r}; {hint}")


def _reader(kind: Callable[[str], Any], name: str) -> Callable[[str], Any]:
    """Return a function that reads a number, and says what it must be where it is none."""

    def read(text: str) -> Any:
        try:
            return kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be {name}, but got {text!r}") from None

    return read


_whole, _real = _reader(int, "a whole number"), _reader(float, "a number")


def _path(text: str) -> Path:
    try:
        return local_path("", text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).strip()) from None


def _names(text: str) -> bool | list[str]:
    return text == "true" or [name.strip().replace("-", "_") for name in text.split(",")]


_READERS: dict[type, Callable[[str], Any]] = {int: _whole, float: _real, str: _names}
_SHOWN: dict[Any, str] = {_whole: "N", _real: "X", _names: "NAMES"}


def _limit(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda text: {"none": None, SAME: SAME}[text] if text in ("none", SAME) else kind(text)


def _option_of(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _add_parameters(parser: Parser, *, single: bool, hidden: str = "") -> None:
    group = parser.add_argument_group(
        "hyper-parameters",
        None if single else "ranges low:high[:log][:int], or values with commas; chosen where none is given",
    )
    for name, known in PARAMETERS.items():
        example = known.example.split(",")[0] if single else known.example
        default = f" ({_default_of(name)})" if single and name in DEFAULTS else ""
        shown = default or ("" if single and ":" in example else f", such as {example}")
        about = argparse.SUPPRESS if name == hidden else f"{known.about}{shown}"
        group.add_argument(_option_of(name), metavar="VALUE" if single else "SPACE", help=about)


def _default_of(name: str) -> str:
    """Return the default of a parameter as help shows it; each optimizer may have a learning rate of its own."""
    if name == "batch_size":
        return f"{DEFAULTS[name]}, or all where there are fewer"
    if name != "learning_rate":
        return str(DEFAULTS[name])
    rates = {known: kind.__dataclass_fields__[name].default for known, kind in OPTIMIZERS.items()}
    others = [f"of {known} {rate}" for known, rate in rates.items() if rate != DEFAULTS[name]]
    return "; ".join([str(DEFAULTS[name]), ", ".join(others)])


def given_parameters(values: argparse.Namespace) -> dict[str, str]:
    """Return the hyper-parameters of a command line, as texts."""
    return {name: text for name in PARAMETERS if (text := getattr(values, name)) is not None}


def train(parser: Parser) -> None:
    """Add the options of `nn-tuning train`."""
    _add_data(parser)
    add = parser.add_argument
    add("--epochs", type=_whole, default=20, help="passes over the training part (20)")
    add("--seed", type=_whole, default=0, help="of initial weights, shuffling and dropout (0)")
    _add_training(parser)
    add("--metrics", metavar="NAMES", type=lambda text: text.split(","), default=(), help=f"to follow: {_ASKED}")
    add("--replacement", action="store_true", help="draw each mini-batch from all examples anew")
    add("--divergence-factor", type=_real, default=1e4, help="the rise of the loss that ends a run (1e4)")
    add("--test", action="store_true", help="score the test part too")
    add("--save", metavar="FILE.npz", type=_path, help="save the model; after Ctrl-C, as far as it was trained")
    add("--plot", metavar="FILE", type=_path, help="draw its curves: a file that ends in .png, .svg or .pdf")
    add("--quiet", action="store_true", help="no line for each epoch")
    _add_parameters(parser, single=True)


def sweep(parser: Parser) -> None:
    """Add the options of `nn-tuning sweep`."""
    _add_data(parser, nargs="?")
    add = parser.add_argument
    add("--config", type=_path, metavar="FILE.toml", help="a sweep file; options of the command line go first")
    add("--method", help=f"{', '.join(METHODS)} (grid)")
    for name in OPTIONS:
        add(_option_of(name), type=_READERS[option_kind(name)], help=option_help(name))
    add("--n-trials", type=_whole, help="at most so many trainings; halving, hyperband: so many start")
    add("--epochs", type=_whole, help="of each trial, or the most (20)")
    add("--total-epochs", type=_whole, help="stop before all trials together get more")
    add("--repeats", type=_whole, help="seeds for each setting (1)")
    add("--folds", type=_whole, help="cross-validation with so many folds")
    add("--metric", help=f"what decides: {', '.join(names_of())}")
    _add_training(parser)
    add("--ensemble", type=_whole, metavar="N", help="average the networks of so many best settings in the end (1)")
    add("--minutes", type=_real, help="with nothing to search given: time to plan for, on two cores (0.04)")
    add("--curves", help="layers: keep norms and idle units of each layer in the curves of trials")
    add("--target", type=_real, help="stop once the metric reaches this value")
    add("--seed", type=_whole, help="all random numbers follow from it (0)")
    add("--storage", metavar="FILE.db", type=_path, help="the study file; one that is there is continued")
    _add_running(parser)
    _add_parameters(parser, single=False)


def resume(parser: Parser) -> None:
    """Add the options of `nn-tuning resume`."""
    study(parser)
    _add_data_option(parser)
    for name, kind in (("n-trials", _whole), ("total-epochs", _whole), ("target", _real)):
        about = "in the place of the one that it was made with, or none"
        parser.add_argument(f"--{name}", type=_limit(kind), default=SAME, help=about)
    _add_running(parser)


def show(parser: Parser) -> None:
    """Add the options of `nn-tuning show`."""
    parser.add_argument("study", nargs="?", help="the study file")
    parser.add_argument("--rules", action="store_true", help="print the rules of the verdicts")
    parser.add_argument("--format", help="table, json, csv or parquet (as the output file ends, or table)")
    parser.add_argument("--output", metavar="FILE", type=_path, help="write to a file: .txt, .json, .csv or .parquet")
    parser.add_argument("--top", type=_whole, metavar="N", help="settings to show (10 in a table, else all)")
    parser.add_argument(
        "--best-rate-by",
        dest="by",
        type=lambda text: text.split(","),
        metavar="NAMES",
        help="group best rates by batch_size,momentum",
    )
    about = "train the best setting once more, and show what it takes for what"
    parser.add_argument("--confusion", action="store_true", help=about)
    _add_data_option(parser)


def lr_range(parser: Parser) -> None:
    """Add the options of `nn-tuning lr-range`."""
    _add_data(parser)
    parser.add_argument("--low", type=_real, default=1e-6, metavar="RATE", help="the first learning rate (1e-6)")
    parser.add_argument("--high", type=_real, default=10.0, metavar="RATE", help="the last learning rate (10)")
    parser.add_argument("--steps", type=_whole, default=200, help="mini-batches from the first to the last (200)")
    parser.add_argument("--seeds", type=_whole, default=5, help="how many times, each from a start of its own (5)")
    parser.add_argument("--limit", action="store_true", help="find the largest stable learning rate too")
    parser.add_argument("--format", default="table", help="table, json or csv (table)")
    _add_parameters(parser, single=True, hidden="learning_rate")  # it is what is tested: one that is given is refused


def report(parser: Parser) -> None:
    """Add the options of `nn-tuning report`."""
    study(parser)
    parser.add_argument("--output", metavar="FILE.html", type=_path, help="where to write it (beside the study file)")


def test(parser: Parser) -> None:
    """Add the options of `nn-tuning test`."""
    study(parser)
    parser.add_argument("--save", metavar="FILE.npz", type=_path, help="fit all rows in the same way, and save that")
    _add_data_option(parser)


def _add_data_option(parser: Parser, reading: bool = True) -> None:
    parser.add_argument(
        "--data", metavar="PATH", help="where a study's data are, if they were moved or are from Python"
    )
    if reading:
        _add_reading(parser)


def predict(parser: Parser) -> None:
    """Add the options of `nn-tuning predict`."""
    parser.add_argument(
        "model", metavar="MODEL.npz|FILE.db", help="a saved model, or a study, whose best one is fitted"
    )
    parser.add_argument("new", metavar="NEW", help="a file with the columns of the training file, in any order")
    parser.add_argument("--output", metavar="FILE.csv", type=_path, help="where to write (standard output)")
    parser.add_argument("--probabilities", action="store_true", help="add a column for each class")
    _add_data_option(parser, reading=False)
    _add_reading(parser, WRITING)


def study(parser: Parser) -> None:
    """Add the study file."""
    parser.add_argument("study", help="the study file")


def _add_data(parser: Parser, **options: Any) -> None:
    parser.add_argument("data", help="digits, iris, wine, breast_cancer, diabetes, moons, … or a path", **options)
    _add_reading(parser)


def _add_reading(parser: Parser, names: Iterable[str] = READING) -> None:
    group = parser.add_argument_group("reading", "of a file; what is not given is found from it")
    for name in names:
        option = READING[name]
        alone: dict[str, Any] = {"nargs": "?", "const": _ALONE} if option.is_flag else {}
        group.add_argument(_option_of(name), metavar=option.metavar, help=option.about, **alone)


def given_reading(values: argparse.Namespace) -> dict[str, Any]:
    """Return the options of reading that a command line has, by name, checked."""
    texts = {name: getattr(values, name, None) for name in READING}
    return reading_options({name: option_of_text(name, text) for name, text in texts.items() if text is not None})


def _add_training(parser: Parser) -> None:
    add = parser.add_argument
    add("--early-stopping", type=_whole, metavar="EPOCHS", help="stop after so many without a better validation loss")
    add("--class-weight", metavar="balanced", help="balanced: every class has the same total weight")


def _add_running(parser: Parser) -> None:
    parser.add_argument("--timeout", type=_real, metavar="SECONDS", help="stop after so many seconds")
    parser.add_argument("--trial-timeout", type=_real, metavar="SECONDS", help="end a trial that takes longer")
    parser.add_argument("--n-jobs", type=_whole, help="threads (all cores)")
    parser.add_argument("--dask", metavar="ADDRESS", help="run on a Dask cluster, such as tcp://192.168.0.5:8786")
    parser.add_argument("--top", type=_whole, default=10, metavar="N", help="settings to show at the end (10)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
