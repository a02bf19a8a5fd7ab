"""Rows about whole searches over the digits: the grid, its threads, and successive halving."""

from __future__ import annotations

import os
import statistics
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from nn import load_dataset
from rows import peers
from rows.measuring import OURS, Effort, NotMeasured, Outcome, cores, in_turn, ratio, row, times, unequal
from tuning import LogUniform, Study, sweep

POINTS, BATCH_SIZES, HIDDEN_UNITS = 7, [16, 32, 64, 128], [16, 32, 64]
SPACE = {
    "learning_rate": LogUniform(1e-3, 1.0),
    "batch_size": BATCH_SIZES,
    "hidden_units": HIDDEN_UNITS,
    "init": "glorot",  # as scikit-learn's
}
SETTINGS = POINTS * len(BATCH_SIZES) * len(HIDDEN_UNITS)
GRID, HALVING_GRID = "GridSearchCV", "HalvingGridSearchCV"
ETA, MOST_EPOCHS = 3, 27
SPLIT = load_dataset("digits").split(validation=0.2, test=0.2, seed=0)


def our_sweep(epochs: int, seed: int = 0, method: str = "grid", **options: Any) -> Study:
    """Return this project's study of the space."""
    return sweep(SPLIT, SPACE, method, points=POINTS, epochs=epochs, seed=seed, progress=False, **options)


def their_search(epochs: int, seed: int, halving: bool) -> Callable[[], float]:
    """Return a call of scikit-learn's search over the same settings and rows, which returns the best score.

    As many processes as cores, one BLAS thread in each, one fold whose validation rows are the split's, no refit.
    """
    selection = peers.library("sklearn.model_selection", "scikit-learn")
    network = peers.library("sklearn.neural_network", "scikit-learn")
    joblib = peers.library("joblib", "joblib")
    assert SPLIT.validation is not None
    X = np.concatenate([SPLIT.train.X, SPLIT.validation.X]).astype(np.float32)
    y: NDArray[Any] = np.concatenate([SPLIT.train.targets, SPLIT.validation.targets])
    fold = np.repeat([-1, 0], [len(SPLIT.train), len(SPLIT.validation)])
    grid = {
        "learning_rate_init": np.logspace(-3, 0, POINTS),
        "batch_size": BATCH_SIZES,
        "hidden_layer_sizes": [(units,) for units in HIDDEN_UNITS],
    }
    estimator = network.MLPClassifier(random_state=seed, **peers.sklearn_options(epochs))
    options = {"cv": selection.PredefinedSplit(fold), "n_jobs": cores(), "refit": False}
    if halving:
        peers.library("sklearn.experimental.enable_halving_search_cv", "scikit-learn")
        # The last rung has `epochs` epochs, the first one; nothing is stopped before its rung ends.
        search = selection.HalvingGridSearchCV(
            estimator, grid, factor=ETA, resource="max_iter", min_resources=1, max_resources=epochs,
            random_state=seed, **options,
        )  # fmt: skip
    else:
        search = selection.GridSearchCV(estimator, grid, **options)

    def call() -> float:
        with joblib.parallel_config("loky", inner_max_num_threads=1), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            search.fit(X, y)
        if not halving:
            return float(np.nanmax(search.cv_results_["mean_test_score"]))
        last = search.cv_results_["iter"] == search.n_iterations_ - 1
        return float(np.nanmax(search.cv_results_["mean_test_score"][last]))

    return call


def contest(
    peer: str, ours: Callable[[int], Study], theirs: Callable[[int], Callable[[], float]], effort: Effort
) -> Outcome:
    """Check that both find equal bests, then time them in turn."""
    # Processes of scikit-learn's start with the first search: none of their warnings is news.
    with mock.patch.dict(os.environ, PYTHONWARNINGS="ignore"):
        outcome, seeds = Outcome(), range(effort.slow_seeds)
        call = theirs(0)
        outcome.scores[peer] = [theirs(seed)() for seed in seeds]
        outcome.scores[OURS] = [ours(seed).best.metrics["validation_accuracy"] for seed in range(effort.seeds)]
        assert SPLIT.validation is not None
        if why_not := unequal(outcome.scores[OURS], outcome.scores[peer], 1 / len(SPLIT.validation)):
            raise NotMeasured(why_not)
        # Ours goes on for longer than one call: a burst of load from elsewhere must weigh the same for both.
        outcome.seconds = in_turn({OURS: lambda: ours(0), peer: call}, effort.slow_rounds, 10 * effort.least)
    for name, seconds in outcome.seconds.items():
        took = f"{statistics.median(seconds):.3f} s ({min(seconds):.3f} to {max(seconds):.3f} s)"
        outcome.notes.append(f"{name}: {took}, best score {outcome.scores[name][0]:.4f}")
    return outcome


@row(
    "sweep",
    "sweep digits 7 rates x 4 batch sizes x 3 widths x 20 epochs, float32",
    times("sweep", "against GridSearchCV(MLPClassifier)", 40),
)
def sweep_row(effort: Effort) -> Outcome:
    """Compare with GridSearchCV."""
    ours, theirs = partial(our_sweep, effort.epochs), partial(their_search, effort.epochs, halving=False)
    outcome = contest(GRID, ours, theirs, effort)
    outcome.figures["sweep"] = ratio(outcome.seconds, GRID)
    return outcome


@row("threads", "2 threads against 1, on the sweep", times("threads", "2 threads against 1", 1.9))
def threads_row(effort: Effort) -> Outcome:
    """Time the same sweep on one thread and on two; results must be the same to the last bit."""
    if cores() < 2:
        raise NotMeasured("it takes at least 2 cores")
    one, two = (list(our_sweep(effort.epochs, n_jobs=n).trials) for n in (1, 2))
    for a, b in zip(one, two, strict=True):
        if not a.exactly_equals(b):
            raise NotMeasured("results must be the same for 1 and 2 threads, but are not")
    calls = {f"{n} thread{'s' * (n > 1)}": partial(our_sweep, effort.epochs, n_jobs=n) for n in (1, 2)}
    outcome = Outcome(seconds=in_turn(calls, effort.rounds, effort.least))
    outcome.figures["threads"] = ratio(outcome.seconds, "1 thread", "2 threads")
    for name, seconds in outcome.seconds.items():
        outcome.notes.append(f"{name}: {statistics.median(seconds):.3f} s")
    return outcome


@row("halving", "halving on the same space", times("halving", "against HalvingGridSearchCV", 60))
def halving_row(effort: Effort) -> Outcome:
    """Compare with HalvingGridSearchCV."""
    ours = partial(our_sweep, MOST_EPOCHS, method="halving", eta=ETA, min_epochs=1)
    outcome = contest(HALVING_GRID, ours, partial(their_search, MOST_EPOCHS, halving=True), effort)
    outcome.figures["halving"] = ratio(outcome.seconds, HALVING_GRID)
    return outcome
