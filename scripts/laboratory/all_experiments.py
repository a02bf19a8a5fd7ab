"""Run the experiments of the laboratory and write one page, laboratory.html, with every table and figure.

    python scripts/laboratory/all_experiments.py
    python scripts/laboratory/all_experiments.py --quick catapult warm_up

Names of experiments choose some of them. One that fails is shown as such and does not stop the others; the exit status
is then 1. Five to six minutes on two cores; --quick takes one or two.
"""

from __future__ import annotations

import runpy
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tuning import laboratory
from tuning.laboratory.page import Chapter, page

EXPERIMENTS = (
    "quadratic_stability",
    "edge_of_stability",
    "catapult",
    "critical_batch_size",
    "width_transfer",
    "best_batch_size",
    "range_test",
    "trainability_boundary",
    "nielsen",
    "exact_theory",
    "warm_up",
    "random_search",
    "teaching_figures",
)
FOLDER = Path(__file__).parent


def command_of(name: str, seed: int, quick: bool) -> str:
    """Return the command that runs a script with these options."""
    return f"python scripts/laboratory/{name}.py" + " --quick" * quick + f" --seed {seed}" * (seed != 0)


def perform(name: str, seed: int, quick: bool) -> Chapter:
    """Run an experiment, and return its chapter of the page, also where it fails."""
    command = command_of(name, seed, quick)
    start, about = time.perf_counter(), ""
    try:
        script = runpy.run_path(str(FOLDER / f"{name}.py"))
        about = ((script["experiment"].__doc__ if "experiment" in script else script["__doc__"]) or "").strip()
        findings = laboratory.perform(script["run"], seed, quick)
        pictures = findings.pictures()
    except Exception as error:
        lines = f"{error}".splitlines() or ["no message"]
        return Chapter(name, about, command, time.perf_counter() - start, failure=f"{type(error).__name__}: {lines[0]}")
    return Chapter(name, about, command, time.perf_counter() - start, findings, pictures)


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a script."""
    parser = laboratory.command_line(__doc__, Path("runs"), "folder of laboratory.html")
    parser.add_argument("experiments", nargs="*", metavar="experiment", help=f"any of: {', '.join(EXPERIMENTS)} (all)")
    options = parser.parse_args(argv)
    chosen = [name for name in EXPERIMENTS if name in options.experiments or not options.experiments]
    if unknown := [name for name in options.experiments if name not in EXPERIMENTS]:
        parser.error(f"an experiment must be one of {', '.join(EXPERIMENTS)}, but got {unknown[0]!r}")
    chapters = []
    try:
        for name in chosen:
            chapter = perform(name, options.seed, options.quick)
            chapters.append(chapter)
            print(f"{name}: {chapter.failure or chapter.verdict}, {chapter.seconds:.1f} s", flush=True)
        command = " ".join([command_of("all_experiments", options.seed, options.quick), *options.experiments])
        content = page(chapters, command, options.quick).encode()
        path = laboratory.write_whole(options.output / "laboratory.html", content)
    except KeyboardInterrupt:
        print("interrupted; nothing was saved", file=sys.stderr)
        return 130
    except OSError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    print(f"page: {path}")
    return int(any(chapter.failure for chapter in chapters))


if __name__ == "__main__":
    raise SystemExit(main())
