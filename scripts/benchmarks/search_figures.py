"""Measure what halving and refine save on the digits, beside full grids.

    python scripts/benchmarks/search_figures.py
    python scripts/benchmarks/search_figures.py --quick    with fewer points, epochs and repeats

Repeats share their seeds, so that the bests of a search and of its grid are compared in pairs.
"""

from __future__ import annotations

import argparse
import math
from typing import Any

import numpy as np
import scipy.stats

from tuning import Study, sweep


def scores(study: Study, params: Any) -> Any:
    """Return the validation accuracies of a setting, one for each repeat; repeats share their seeds."""
    return np.array([t.metrics["validation_accuracy"] for t in study.trials if t.params == params])


def compared(name: str, cost: str, search: Study, grid: Study) -> None:
    """Print both winners, their paired difference, and both costs."""
    gap = scores(grid, grid.best.params) - scores(search, search.best.params)
    interval = scipy.stats.t.ppf(0.975, len(gap) - 1) * gap.std(ddof=1) / math.sqrt(len(gap))
    count = (lambda study: sum(t.epochs for t in study.trials)) if cost == "epochs" else lambda study: len(study.trials)
    ours, theirs = count(search), count(grid)
    print(f"{name}: {ours:,} of {theirs:,} {cost} ({ours / theirs:.1%})")
    for label, study in ((name, search), ("grid", grid)):
        print(f"  {label:<8} {study.best.params}  {study.best.metrics['validation_accuracy']:.4f}")
    print(f"  the grid's best is better by {gap.mean():.4f} ± {interval:.4f}")


def main() -> int:
    """Read the arguments and print the figures."""
    parser = argparse.ArgumentParser(description="Measure what halving and refine save on the digits.")
    parser.add_argument("--quick", action="store_true", help="fewer points, epochs and repeats")
    quick = parser.parse_args().quick
    units = [16, 32, 64]
    space = {"learning_rate": "1e-3:1:log", "batch_size": [16, 32, 64], "hidden_units": units}
    repeats = 3 if quick else 5
    options: dict[str, Any] = {"points": 3 if quick else 9, "epochs": 9 if quick else 27, "repeats": repeats}
    compared("halving", "epochs", sweep("digits", space, "halving", **options), sweep("digits", space, **options))
    options = {"epochs": 5 if quick else 20, "repeats": repeats}
    wide = {"learning_rate": "1e-4:10:log", "hidden_units": units}
    fine = sweep("digits", wide, points=9 if quick else 41, **options)
    wrong = {"learning_rate": "1e-5:1e-3:log", "hidden_units": units}
    refined = sweep("digits", wrong, "refine", points=3, rounds=8, widen=["learning_rate"], **options)
    compared("refine", "trials", refined, fine)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
