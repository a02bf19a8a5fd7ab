"""Fit the estimators of nn and of scikit-learn side by side, on the five bundled sets.

    python scripts/benchmarks/compare_estimators.py
    python scripts/benchmarks/compare_estimators.py --data iris wine --seeds 3

Both get the same settings and the same seeds, each of which makes its own split, and features (and, in regression,
targets) standardised by its training part. Prints the mean score on the unseen rows with its standard deviation over
the seeds, how far apart the two are on average from seed to seed, and the CPU seconds of a fit on one thread, the mean
over the seeds. Exit status 1 where the means differ by more than the standard deviation of scikit-learn's scores.
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any, NamedTuple

import numpy as np
from sklearn import __version__, neural_network
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from nn import Dataset, estimators, load_dataset
from nn.data import CHECKSUMS

SMALL: dict[str, Any] = {"hidden_layer_sizes": (32,), "batch_size": 32}
SETTINGS: dict[str, dict[str, Any]] = {
    "adam": {},
    "adam, 32 units, batch 32": SMALL,
    "sgd, 32 units, batch 32": {**SMALL, "solver": "sgd", "learning_rate_init": 0.01},
    "adam, early stopping": {"early_stopping": True, "learning_rate_init": 0.01},
    "lbfgs": {"solver": "lbfgs", "alpha": 1.0},
}


class Row(NamedTuple):
    """The results of two packages: scores (seeds,) and CPU seconds of a fit for scikit-learn, then for nn."""

    data: str
    setting: str
    theirs: np.ndarray
    ours: np.ndarray
    seconds: tuple[float, float]

    @property
    def within(self) -> bool:
        """Return whether the means differ by no more than chance, the spread over the seeds."""
        return abs(self.theirs.mean() - self.ours.mean()) <= self.theirs.std(ddof=1)


def fit(package: Any, data: Dataset, settings: dict[str, Any], seed: int) -> tuple[float, float]:
    """Return the score on the unseen quarter, and the CPU seconds of the fit."""
    regression = data.task == "regression"
    X, X_unseen, y, y_unseen = train_test_split(
        data.X, data.y, test_size=0.25, random_state=seed, stratify=None if regression else data.y
    )
    mean, std = X.mean(axis=0), X.std(axis=0)
    std[std == 0] = 1.0
    X, X_unseen = (X - mean) / std, (X_unseen - mean) / std
    if regression:
        y, y_unseen = (y - y.mean()) / y.std(), (y_unseen - y.mean()) / y.std()
    estimator = (package.MLPRegressor if regression else package.MLPClassifier)(random_state=seed, **settings)
    start = time.process_time()
    estimator.fit(X, y)
    return estimator.score(X_unseen, y_unseen), time.process_time() - start


def compare(name: str, setting: str, seeds: int) -> Row:
    """Fit with both packages on a bundled set."""
    data, settings = load_dataset(name), SETTINGS[setting]
    results = []
    for package in (neural_network, estimators):
        fit(package, data, settings | {"max_iter": 1}, 0)  # what is loaded on first use
        results.append(np.array([fit(package, data, settings, seed) for seed in range(seeds)]))
    theirs, ours = results
    return Row(name, setting, theirs[:, 0], ours[:, 0], (theirs[:, 1].mean(), ours[:, 1].mean()))


def main(arguments: list[str] | None = None) -> int:
    """Compare, and print a table."""
    parser = argparse.ArgumentParser(description="Fit the estimators of nn and of scikit-learn side by side.")
    parser.add_argument("--seeds", type=int, default=5, help="splits and starts, at least 2 (5)")
    parser.add_argument("--data", nargs="+", choices=CHECKSUMS, default=list(CHECKSUMS), help="bundled sets (all)")
    values = parser.parse_args(arguments)
    if values.seeds < 2:
        parser.error(f"--seeds must be at least 2, to tell chance from merit, but got {values.seeds}")
    warnings.simplefilter("ignore", ConvergenceWarning)
    print(f"scikit-learn {__version__} and nn, {values.seeds} seeds")
    print(f"{'data':14}{'settings':26}{'scikit-learn':>18}{'nn':>18}{'apart':>10}{'seconds':>10}{'nn':>9}{'faster':>9}")
    rows = []
    with threadpool_limits(1):
        for setting in SETTINGS:
            for name in values.data:
                row = compare(name, setting, values.seeds)
                rows.append(row)
                theirs, ours = (f"{s.mean():.4f} ± {s.std(ddof=1):.4f}" for s in (row.theirs, row.ours))
                apart = abs(row.theirs - row.ours).mean()
                before, after = row.seconds
                print(
                    f"{row.data:14}{row.setting:26}{theirs:>18}{ours:>18}{apart:>10.1e}"
                    f"{before:>10.4f}{after:>9.4f}{before / after:>8.1f}x",
                    flush=True,
                )
    ratios = [before / after for before, after in (row.seconds for row in rows)]
    outside = [f"{row.data} with {row.setting}" for row in rows if not row.within]
    mean = np.exp(np.log(ratios).mean())
    print(f"Faster by {min(ratios):.1f} to {max(ratios):.1f} times, {mean:.1f} in the geometric mean.")
    print(f"Scores apart by more than chance: {', '.join(outside) or 'none'}.")
    return 1 if outside else 0


if __name__ == "__main__":
    raise SystemExit(main())
