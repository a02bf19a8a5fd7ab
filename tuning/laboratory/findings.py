"""Parts that all experiments share: exponents, claims, the table, the figures, the command line."""

from __future__ import annotations

import argparse
import functools
import math
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nn.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]
"""What experiments measure; the shape stands beside each."""

HEADINGS = ("claim", "paper", "here", "tolerance", "within?")


def log_slope(x: ArrayLike, y: ArrayLike) -> float:
    """Return the exponent of a power law, the least-squares slope of ln y against ln x.

    It is NaN where there are fewer than two points, or not all are known.

    >>> round(log_slope([1, 2, 4], [5, 20, 80]), 9), log_slope([1, 2, 4], [5, float("nan"), 80])
    (2.0, nan)
    """
    logs_x, logs_y = np.log(x), np.log(y)
    if len(logs_x) < 2 or not np.isfinite(logs_y).all():
        return float("nan")
    return float(np.polyfit(logs_x, logs_y, 1)[0])


@dataclass(frozen=True)
class Claim:
    """One published statement beside what came out here, which must lie in [low, high] to agree with it.

    >>> Claim("largest stable rate x λ, heavy ball with β = 0.9", "3.8", 3.80004, 3.7999, 3.8001).holds
    True
    """

    what: str
    paper: str
    here: float
    low: float = -math.inf
    high: float = math.inf

    @property
    def holds(self) -> bool:
        """True where the measured value lies within the tolerance; NaN does not."""
        return self.low <= self.here <= self.high

    @property
    def tolerance(self) -> str:
        """The interval in words."""
        if math.isinf(self.low):
            return f"≤ {self.high:.6g}"
        if math.isinf(self.high):
            return f"≥ {self.low:.6g}"
        return f"{self.low:.6g} to {self.high:.6g}"

    def cells(self) -> tuple[str, ...]:
        """Return the row of the table."""
        return (self.what, self.paper, f"{self.here:.5g}", self.tolerance, "yes" if self.holds else "NO")


@dataclass(frozen=True)
class Findings:
    """The result of an experiment: its claims, figures by file name without its ending, and remarks in words.

    `files` are finished pictures, such as an animation, by file name with its ending.
    """

    title: str
    claims: Sequence[Claim]
    figures: dict[str, Figure] = field(default_factory=dict)
    notes: Sequence[str] = ()
    files: dict[str, bytes] = field(default_factory=dict)

    def text(self) -> str:
        """Return the title, the table and the notes."""
        lines = [HEADINGS, *(claim.cells() for claim in self.claims)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        rows = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
        failed = sum(not claim.holds for claim in self.claims)
        verdict = f"{failed} of {len(self.claims)} outside tolerance" if failed else "all within tolerance"
        table = [*rows, "", verdict] if self.claims else []
        return "\n".join([self.title, "", *table, *self.notes])

    def pictures(self) -> dict[str, bytes]:
        """Return every picture by file name, figures as PNG files; the figures are closed by that."""
        from tuning.plots import style

        return {f"{name}.png": style.png(figure) for name, figure in self.figures.items()} | self.files


def run_of(
    experiment: Any,
    title: str,
    draw: Callable[[Any], Figure],
    notes: Callable[[Any], Sequence[str]],
    smaller: Mapping[str, Any],
) -> Callable[[int, bool], Findings]:
    """Return the function that performs an experiment: it measures, holds that against the paper, and draws.

    `experiment` is a module with `measure` and `claims`, whose name becomes that of the figure; `draw` and `notes` make
    the figure and the remarks of the measurement; `smaller` are arguments of `measure` for the quick version.
    """
    name = experiment.__name__.rpartition(".")[2]

    def run(seed: int, quick: bool) -> Findings:
        measured = experiment.measure(seed=seed, **(smaller if quick else {}))
        return Findings(title, experiment.claims(measured), {name: draw(measured)}, notes(measured))

    return run


@dataclass(frozen=True)
class Argument:
    """An optional input of an experiment: the only argument of its script becomes that of `run` by this name.

    `read` turns the text into the input, and raises ValueError or OSError with one line where it can't.
    """

    name: str
    read: Callable[[str], Any]
    help: str

    def __call__(self, text: str) -> Any:
        """Return the input that the text names, or let the command line say why there is none."""
        try:
            return self.read(text)
        except (OSError, TypeError, ValueError) as error:
            raise argparse.ArgumentTypeError(str(error)) from error


def main(
    description: str | None,
    run: Callable[..., Findings],
    argv: Sequence[str] | None = None,
    argument: Argument | None = None,
) -> int:
    """Run an experiment as a script: print the table, save the figures, and return the exit status.

    `run(seed, quick)` does the work, and is given the `argument` too. The status is 0 also where nothing reproduces.
    """
    parser = command_line(description, Path("runs/figures"), "folder of figures")
    if argument:
        parser.add_argument(argument.name, nargs="?", metavar=argument.name.upper(), type=argument, help=argument.help)
    options = parser.parse_args(argv)
    if argument:
        run = functools.partial(run, **{argument.name: getattr(options, argument.name)})
    start = time.perf_counter()
    try:
        findings = perform(run, options.seed, options.quick)
        print(findings.text())
        for name, content in findings.pictures().items():
            print(f"figure: {write_whole(options.output / name, content)}")
    except KeyboardInterrupt:
        print("interrupted; nothing was saved", file=sys.stderr)
        return 130
    except (ImportError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    print(f"took {time.perf_counter() - start:.1f} s")
    return 0


def command_line(description: str | None, output: Path, folder: str) -> argparse.ArgumentParser:
    """Return the parser of the options that all scripts have; `folder` says what `output` is."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=_seed, default=0, help="whole number ≥ 0 that all is drawn from (0)")
    parser.add_argument("--quick", action="store_true", help="a smaller version, in a few seconds")
    parser.add_argument("--output", type=_folder, default=output, help=f"{folder} ({output})")
    return parser


def perform(run: Callable[[int, bool], Findings], seed: int, quick: bool) -> Findings:
    """Run an experiment, whose figures are drawn in this package's look; ImportError at once without matplotlib."""
    from tuning.plots import style

    with style.look():
        return run(seed, quick)


def write_whole(path: Path, content: bytes) -> Path:
    """Write a file whole or not at all, whatever comes between, and return its path; missing folders are made."""
    with replacing(path, make_folder=True) as partial:
        partial.write_bytes(content)
    return path


def _seed(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to 2**32 - 1, but got {text!r}")
    return int(text)


def _folder(text: str) -> Path:
    folder = Path(text)
    nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not nearest.is_dir():
        raise argparse.ArgumentTypeError(f"must be a folder, but {nearest} is a file")
    if not os.access(nearest, os.W_OK):
        raise argparse.ArgumentTypeError(f"must be a folder that can be written, but {nearest} can't")
    return folder
