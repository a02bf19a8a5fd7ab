"""What every study's script has in common: claims, the table, the figure, the command line."""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEADINGS = ("claim", "paper", "here", "tolerance", "within?")


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
        """Whether the measured value lies within the tolerance; NaN does not."""
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
    """What a script shows: the claims, figures by file name without its ending, and remarks in words.

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
        widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
        rows = ["  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)) for line in lines]
        failed = sum(not claim.holds for claim in self.claims)
        verdict = "all within tolerance" if not failed else f"{failed} of {len(self.claims)} outside tolerance"
        table = [row.rstrip() for row in rows] + ["", verdict] if self.claims else []
        return "\n".join([self.title, "", *table, *self.notes])


def main(
    description: str, run: Callable[[int, bool], Findings], argv: Sequence[str] | None = None, **defaults: Any
) -> int:
    """Run a study as a script: print the table, save the figures; the exit status is 0 whether it reproduces or not.

    `run(seed, quick)` does the work. `defaults` may set `seed`.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    seed = defaults.get("seed", 0)
    parser.add_argument("--seed", type=_seed, default=seed, help=f"whole number ≥ 0 that all is drawn from ({seed})")
    parser.add_argument("--quick", action="store_true", help="a smaller version, in a few seconds")
    parser.add_argument("--output", type=Path, default=Path("runs/figures"), help="folder of figures (runs/figures)")
    options = parser.parse_args(argv)
    if options.output.exists() and not options.output.is_dir():
        parser.error(f"--output must be a folder, but {options.output} is a file")
    start = time.perf_counter()
    try:
        findings = run(options.seed, options.quick)
        print(findings.text())
        for path in write(findings, options.output):
            print(f"figure: {path}")
    except KeyboardInterrupt:
        print("interrupted; nothing was saved", file=sys.stderr)
        return 130
    except (ImportError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    print(f"took {time.perf_counter() - start:.1f} s")
    return 0


def write(findings: Findings, folder: Path) -> list[Path]:
    """Write the figures as PNG files, and the files as they are; return where."""
    from tuning.plots import style

    paths = [style.save(figure, folder / f"{name}.png") for name, figure in findings.figures.items()]
    for name, content in findings.files.items():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        paths.append(folder / name)
    return paths


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to 2**32 - 1, but got {text!r}")
    return int(text)
