"""Measure this project and its peers side by side, in turn, on the same work, and print what was seen beside the goals.

    python scripts/benchmarks/benchmark.py                         every row; about ten minutes
    python scripts/benchmarks/benchmark.py --quick                 every row with less work, under two minutes
    python scripts/benchmarks/benchmark.py --row sweep --row peak  some rows
    python scripts/benchmarks/benchmark.py --json FILE             every figure, round, score and version, for a program
    python scripts/benchmarks/benchmark.py --row growth --plot FILE.png

Needs `pip install "nn-tuning[bench]"`; a peer that is not installed is named in the table, and all else is measured.
Nothing is timed before its final score is seen to equal the peer's within the spread of seeds. Other programs on the
machine disturb the figures less than one might think, since all contestants take turns, but they do.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rows import ROWS
from rows.growth import plot
from rows.measuring import FULL, QUICK, Effort, Goal, NotMeasured, Outcome, Row, measure, surroundings

HEADINGS = ("row", "figure", "goal", "seen", "reached")


def bound_text(goal: Goal) -> str:
    """Return a goal as the table shows it, such as "≥ 40x"."""
    return f"{'≥' if goal.at_least else '≤'} {goal.bound:g}{_unit(goal)}"


def seen_text(goal: Goal, value: float) -> str:
    """Return a figure with three digits, never rounded to the far side of its bound.

    >>> seen_text(Goal("x", "x", 0.7, " s"), 0.7004), seen_text(Goal("x", "x", 40, "x", at_least=True), 131.7)
    ('0.7004 s', '132x')
    """
    for digits in range(3, 8):
        text = f"{value:.{digits}g}"
        if goal.reached(float(text)) == goal.reached(value):
            break
    return f"{float(text):,.{max(0, digits - 1 - _magnitude(value))}f}{_unit(goal)}"


def _magnitude(value: float) -> int:
    return math.floor(math.log10(abs(value))) if value and math.isfinite(value) else 0


def _unit(goal: Goal) -> str:
    return goal.unit if goal.unit in ("", "x") else f" {goal.unit.strip()}"


def table(results: Mapping[Row, Outcome]) -> list[str]:
    """Return the lines of the table: every figure of every row, measured or not."""
    lines = [HEADINGS]
    reasons = []
    for row, outcome in results.items():
        for number, goal in enumerate(row.goals):
            name = row.name if number == 0 else ""
            if goal.key in outcome.figures:
                value = outcome.figures[goal.key]
                reached = "yes" if goal.reached(value) else "no"
                lines.append((name, goal.what, bound_text(goal), seen_text(goal, value), reached))
            else:
                lines.append((name, goal.what, bound_text(goal), "–", "not measured"))
                reasons.append(f"{row.name}, {goal.what}: not measured: {outcome.missing[goal.key]}")
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
    return [*rows, "", *reasons] if reasons else rows


def details(row: Row, outcome: Outcome) -> list[str]:
    """Return the lines printed as soon as a row is measured: its notes, scores and points."""
    lines = [f"{row.name}: {row.title} (took {outcome.took:.1f} s)", *(f"  {note}" for note in outcome.notes)]
    for name, scores in outcome.scores.items():
        mean = sum(scores) / len(scores)
        lines.append(f"  final score of {name}: {mean:.4f}, mean of {len(scores)} seeds")
    if outcome.points:
        lines.append("  axis       value  multiplications  ms per epoch  ns per 1,000")
    lines += [
        f"  {point['axis']:<8} {point['value']:>7,}  {point['multiplications']:>15,.0f}  "
        f"{1e3 * point['seconds_per_epoch']:>12.3f}  {point['ns_per_1000']:>12.1f}"
        for point in outcome.points
    ]
    return lines


def record(about: Mapping[str, Any], results: Mapping[Row, Outcome]) -> dict[str, Any]:
    """Return everything in plain values, for JSON."""
    rows = []
    for row, outcome in results.items():
        figures = [
            {
                "what": goal.what,
                "goal": goal.bound,
                "at_least": goal.at_least,
                "unit": goal.unit,
                "seen": outcome.figures.get(goal.key),
                "reached": goal.reached(outcome.figures[goal.key]) if goal.key in outcome.figures else None,
                "not_measured": outcome.missing.get(goal.key),
            }
            for goal in row.goals
        ]
        parts = {name: getattr(outcome, name) for name in ("seconds", "scores", "notes", "points", "took")}
        rows.append({"row": row.name, "title": row.title, "figures": figures, **parts})
    return {**about, "rows": _plain(rows)}


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it: None where a number is NaN or infinite."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--row", action="append", choices=list(ROWS), metavar="NAME", help="only this row; repeatable")
    parser.add_argument("--list", action="store_true", help="list the rows and end")
    parser.add_argument("--quick", action="store_true", help="less work: under two minutes for all rows")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure and round there")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="save the plot of row growth there, as PNG")
    options = parser.parse_args(given)
    for path in (options.json, options.plot):
        if path is not None and not path.absolute().parent.is_dir():
            parser.error(f"the folder of a file to write must exist, but {path.absolute().parent} does not")
    if options.plot is not None and options.row is not None and "growth" not in options.row:
        parser.error(f"--plot is of row growth, but the rows are {', '.join(options.row)}")
    return options


def main(given: Sequence[str] | None = None, effort: Effort | None = None) -> int:
    """Measure and print; 0 when every figure was measured, reached or not, 1 otherwise."""
    options = arguments(given)
    if options.list:
        for row in ROWS.values():
            print(f"{row.name:<20} {row.title}")
        return 0
    effort = effort or (QUICK if options.quick else FULL)
    names = [name for name in ROWS if options.row is None or name in options.row]
    about = surroundings() | {"quick": options.quick}
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    print(f"{about['date']}, {about['processor']}, {about['cores']} cores, {about['system']}, load {about['load']}")
    print(f"Python {about['python']}, {versions}")
    print("quick: few rounds, so that figures are rough\n" if options.quick else "", flush=True)
    results, started = {}, time.perf_counter()
    for name in names:
        results[ROWS[name]] = measure(ROWS[name], effort)
        print("\n".join(details(ROWS[name], results[ROWS[name]])), "\n", flush=True)
    about |= {"load_at_end": round(os.getloadavg()[0], 2), "seconds": round(time.perf_counter() - started, 1)}
    print("\n".join(table(results)))
    print(f"\nmeasured in {about['seconds']} s, load {about['load_at_end']} at the end")
    if options.json is not None:
        options.json.write_text(json.dumps(record(about, results), indent=1, allow_nan=False) + "\n")
    if options.plot is not None:
        try:
            plot(results[ROWS["growth"]].points, options.plot)
        except NotMeasured as why:
            print(why, file=sys.stderr)
            return 1
    return 1 if any(outcome.missing for outcome in results.values()) else 0


if __name__ == "__main__":
    raise SystemExit(main())
