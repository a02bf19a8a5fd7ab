"""Rows about one training on one thread: against the peers, and against what the core can do."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise

import numpy as np

from nn import MLP, SGD, Dataset, train
from rows import peers
from rows.measuring import OURS, Effort, Goal, NotMeasured, Outcome, in_turn, ratio, row, times, unequal
from rows.peers import Fit, Work

SKLEARN, EAGER, COMPILED, JAX = "scikit-learn", "PyTorch eager", "PyTorch compiled", "JAX jit"
VMAPPED = "JAX vmapped over 7 rates"


def contest(work: Work, makers: Mapping[str, Callable[[Work], Fit]], effort: Effort) -> Outcome:
    """Train with everyone who is there, check that scores are equal, then time them in turn.

    Who is missing or scores otherwise is named in `missing`, by contestant.
    """
    outcome, fits = Outcome(), {OURS: peers.ours(work)}
    for name, make in makers.items():
        try:
            fits[name] = make(work)
        except NotMeasured as why:
            outcome.missing[name] = str(why)
    for name, fit in fits.items():
        outcome.scores[name] = [work.score(fit(seed)) for seed in range(effort.seeds)]
    for name in [name for name in makers if name in fits]:
        if why_not := unequal(outcome.scores[OURS], outcome.scores[name], 1 / len(work.held_out_X)):
            outcome.missing[name] = why_not
            del fits[name]
    calls = {name: partial(fit, 0) for name, fit in fits.items()}
    outcome.seconds = in_turn(calls, effort.rounds, effort.least)
    for name, seconds in outcome.seconds.items():
        trainings = len(peers.VMAPPED_RATES) if name == VMAPPED else 1
        step = statistics.median(seconds) / trainings / work.steps
        outcome.notes.append(f"{name}: {1e6 * step:.1f} µs a step" + (" of one training" if trainings > 1 else ""))
    return outcome


@row(
    "training",
    "one training, 64-32-10, batch 32, one thread",
    times("scikit-learn", "against scikit-learn", 28),
    times("torch", "against PyTorch", 50),
    times("jax", "against JAX jit", 4),
)
def training_row(effort: Effort) -> Outcome:
    """Compare with the best form of each peer that works here."""
    work = peers.digits_work(effort.epochs)
    makers = {SKLEARN: peers.scikit_learn, EAGER: peers.pytorch, JAX: peers.jax_jit, VMAPPED: peers.jax_vmapped}
    if effort.compiled:
        makers[COMPILED] = partial(peers.pytorch, compiled=True)
    outcome = contest(work, makers, effort)
    if not effort.compiled:
        outcome.notes.append(f"{COMPILED}: only without --quick")
    absent, outcome.missing = outcome.missing, {}
    forms = {"scikit-learn": (SKLEARN,), "torch": (EAGER, COMPILED), "jax": (JAX,)}
    for key, names in forms.items():
        ratios = {name: ratio(outcome.seconds, name) for name in names if name in outcome.seconds}
        if ratios:
            best = min(ratios, key=ratios.__getitem__)
            outcome.figures[key] = ratios[best]
            if len(ratios) > 1:
                outcome.notes.append(f"the faster form of PyTorch here is {best}")
        else:
            outcome.missing[key] = absent[names[0]]
    if VMAPPED in outcome.seconds:
        longer = ratio(outcome.seconds, VMAPPED) / len(peers.VMAPPED_RATES)
        outcome.notes.append(f"{VMAPPED} takes {longer:.1f}x as long for each training")
    outcome.notes += [f"{name}: {why}" for name, why in absent.items() if name in (COMPILED, VMAPPED)]
    return outcome


@row(
    "regression-and-adam",
    "the same in regression and with Adam, against scikit-learn",
    times("regression", "in regression", 15),
    times("adam", "with Adam", 15),
)
def regression_and_adam_row(effort: Effort) -> Outcome:
    """Compare the two variants with scikit-learn, one after the other."""
    outcome = Outcome()
    for key, work in (
        ("regression", peers.digits_work(effort.epochs, regression=True)),
        ("adam", peers.digits_work(effort.epochs, adam=True)),
    ):
        part = contest(work, {SKLEARN: peers.scikit_learn}, effort)
        if SKLEARN in part.seconds:
            outcome.figures[key] = ratio(part.seconds, SKLEARN)
        else:
            outcome.missing[key] = part.missing[SKLEARN]
        outcome.seconds |= {f"{key}: {name}": seconds for name, seconds in part.seconds.items()}
        outcome.scores |= {f"{key}: {name}": scores for name, scores in part.scores.items()}
        outcome.notes += [f"{key}, {note}" for note in part.notes]
    return outcome


# -- the fraction of the core's peak ---------------------------------------------------------------------------

SGEMM = 1536  # the side of the square matrices whose product shows the peak
SHAPES = {
    "64-32-10": (64, 32, 10, 32, 1078),
    "64-128-10": (64, 128, 10, 32, 1078),
    "784-128-10": (784, 128, 10, 128, 4096),
}


def multiplications(sizes: tuple[int, ...]) -> int:
    """Return the useful multiplications of a step, for each example, every one counted once.

    Forward and dW for all layers; dA for all but the first, whose inputs need no gradient.
    """
    layers = [n_in * n_out for n_in, n_out in pairwise(sizes)]
    return 3 * sum(layers) - layers[0]


@row(
    "peak",
    "fraction of the core's measured sgemm peak",
    Goal("64-32-10", "64-32-10 B=32", 0.50, "", at_least=True),
    Goal("64-128-10", "64-128-10 B=32", 0.65, "", at_least=True),
    Goal("784-128-10", "784-128-10 B=128", 0.80, "", at_least=True),
)
def peak_row(effort: Effort) -> Outcome:
    """Time long trainings and a big product in turn, and compare their multiplications per second."""
    peers.library("threadpoolctl", "threadpoolctl")  # without it the big product may run on several cores
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((SGEMM, SGEMM), dtype=np.float32) for _ in range(2))
    out = np.empty_like(a)
    calls: dict[str, Callable[[], object]] = {"sgemm": lambda: np.matmul(a, b, out=out)}
    work = {"sgemm": float(SGEMM) ** 3}
    for name, (*sizes, batch_size, examples) in SHAPES.items():
        X = rng.standard_normal((examples, sizes[0]), dtype=np.float32)
        data = Dataset(X, rng.integers(0, sizes[-1], examples), task="classification")
        model = MLP(sizes)
        per_epoch = multiplications(model.layer_sizes) * examples
        epochs = max(1, int(effort.size * 1e9 / per_epoch))
        work[name] = float(per_epoch * epochs)
        calls[name] = partial(train, model, data, SGD(0.01), batch_size=batch_size, epochs=epochs)
    for one in calls.values():
        one()
    seconds = in_turn(calls, effort.rounds, effort.least)
    outcome = Outcome(seconds=seconds)
    for name in SHAPES:
        rounds = zip(seconds[name], seconds["sgemm"], strict=True)
        fractions = [work[name] / own / (work["sgemm"] / peak) for own, peak in rounds]
        outcome.figures[name] = statistics.median(fractions)
        rate = 2e-9 * work[name] / statistics.median(seconds[name])
        outcome.notes.append(f"{name}: {rate:.1f} GFLOP/s")
    peak = 2e-9 * work["sgemm"] / statistics.median(seconds["sgemm"])
    outcome.notes.append(f"peak: {peak:.1f} GFLOP/s in a product of {SGEMM:,} x {SGEMM:,} matrices, one BLAS thread")
    return outcome
