"""Hold the verdicts to cases whose truth is known by construction, and print how often they are right.

    python scripts/checks/truth_table.py              every case with 10 seeds, about a minute

The thresholds of the rules were chosen while looking at the first data sets of `constructed.py`, and mended by those of
LATER; by those of FRESH, nothing was chosen.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from nn import MLP, SGD, Dataset, Split, load_dataset, train
from scripts.checks.constructed import BEST, DATA, EPOCHS, FRESH, LATER, SHORT, blobs, waves
from tuning import Study, sweep
from tuning.analysis import Reference, TrialCurves, verdict_of
from tuning.analysis.rules import (
    DEAD,
    FEW_EPOCHS,
    GOOD,
    GUESSING,
    MIN_EPOCHS,
    OVERFIT,
    SYMMETRY,
    TOO_LARGE,
    TOO_SMALL,
    UNDERFIT,
    VANISHING,
)  # fmt: skip
from tuning.objective import Objective
from tuning.store import COMPLETED, DIVERGED

CLEAR = 1.1
FIRST = "data sets that the thresholds were chosen on"
GROUPS = dict.fromkeys(LATER, "data sets added later, that the rules were mended by")
GROUPS |= dict.fromkeys(FRESH, "data sets that nothing was chosen by")


# -- the cases ---------------------------------------------------------------------------------------------------


class Case(NamedTuple):
    """A case: the verdicts that are right, and from a seed to the verdict that is given."""

    name: str
    right: tuple[str, ...]
    verdict: Callable[[int], str]
    group: str = FIRST


def verdict_at(study: Study, name: str, value: Any) -> str:
    """Return the verdict on the setting with this value, without the share of its trials."""
    row = next(row for row in study.analysis().rows() if row.summary.params[name] == value)
    return row.verdict if "completed" in row.verdict else row.verdict.rsplit(" ", row.verdict.count("/"))[0]


def trained(
    data: Dataset | Split, space: dict[str, Any], seed: int, epochs: int = EPOCHS, repeats: int = 1, **how: Any
) -> Study:
    """Return the study of a space that lists its values."""
    return sweep(data, space, epochs=epochs, repeats=repeats, seed=seed, progress=False, **how)


def at_rate(key: tuple[str, str, int], factor: float, factors: tuple[float, ...], seed: int) -> str:
    """Return the verdict at a multiple of the best rate, in a study of such multiples with ten repeats.

    The best is that of the validation loss, so it decides in the study too: by accuracy, another rate may be the best.
    """
    name, optimizer, epochs = key
    rates = [BEST[key][0] * each for each in factors]
    space = {"learning_rate": rates, "hidden_units": 32, "optimizer": optimizer}
    repeats = 10 if len(factors) > 1 else 1
    study = trained(DATA[name](), space, seed, epochs, repeats, metric="validation_loss")
    return verdict_at(study, "learning_rate", BEST[key][0] * factor)


def alone(data: Callable[[int], Dataset | Split], space: dict[str, Any], epochs: int, seed: int) -> str:
    """Return the verdict on the first setting of a space; others are there to be compared with."""
    return trained(data(seed), space, seed, epochs).verdicts()[0].name


def judged(model: MLP, theta: Any, rate: float, seed: int) -> str:
    """Return the verdict on a training from given parameters, with what it records per layer."""
    split = blobs(seed=seed).split(seed=0)
    run = train(model, split, SGD(rate), epochs=20, theta=theta, seed=seed)
    h = run.history
    layers = {name: getattr(h.layers, name) for name in ("gradient_norm", "dead")}
    curves = TrialCurves(
        run.status, h.train_loss, h.validation_loss, h.train_accuracy, h.validation_accuracy, layers=layers
    )
    objective = Objective.prepare(split)
    reference = Reference(guess=objective.guess, held_out=objective.sizes["validation"])
    return verdict_of(curves, reference).name


def died(seed: int) -> str:
    """Return the verdict on a relu network whose hidden units are all pushed far below 0."""
    model = MLP((6, 24, 24, 4))
    theta = model.init(seed)
    model.layers(theta)[seed % 2][1][:] = -100.0
    return judged(model, theta, 0.1, seed)


def deep(seed: int) -> str:
    """Return the verdict on eight logistic layers."""
    model = MLP((6, *[16] * 8, 4), activation="logistic")
    return judged(model, model.init(seed), 0.1, seed)


def shuffled(data: Dataset, seed: int) -> Dataset:
    """Return the data with their targets in another order."""
    return Dataset(data.X, np.random.default_rng(seed).permutation(data.y))


def mislabelled(seed: int) -> Dataset:
    """Return clouds of which 40 % have a label drawn at random."""
    data, rng = blobs(seed=seed), np.random.default_rng(seed)
    return Dataset(data.X, np.where(rng.random(len(data)) < 0.4, rng.integers(0, 4, len(data)), data.y))


def sixty(seed: int) -> Split:
    """Return 60 noisy examples to train on, and many to look at."""
    return waves(400, noise=1.2, seed=seed).split(validation=0.8, test=0.05, seed=0)


def stopped(seed: int) -> str:
    """Return the verdict on 60 noisy examples where the validation loss of this very training is the lowest."""
    course = trained(sixty(seed), NOISY, seed, 60).trials[0].curves["validation_loss"]
    return alone(sixty, NOISY, max(int(course.argmin()) + 1, MIN_EPOCHS + 1), seed)


def unbalanced(seed: int) -> Dataset:
    """Return nine of ten examples in one class, with features that have nothing to do with it."""
    rng = np.random.default_rng(seed)
    return Dataset(rng.standard_normal((600, 4)), (np.arange(600) % 10 == 0).astype(int))


def exact(seed: int) -> Dataset:
    """Return a linear function without noise."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((400, 5))
    return Dataset(X, X @ rng.standard_normal(5))


def one_lost(seed: int) -> str:
    """Return the verdict on a setting of which one repeat of three diverged, found by trying seeds."""
    for study in (trained(DATA["moons"](), {"learning_rate": [6.0, 1.0]}, 1000 * seed + i, 10, 3) for i in range(200)):
        states = [trial.state for trial in study.trials][:3]
        if Counter(states) == {COMPLETED: 2, DIVERGED: 1}:
            last = study.analysis().rows()[-1]
            assert last.summary.state == last.verdict
            assert last.summary.rank is None
            return last.verdict
    raise AssertionError("no such study was found")


WIDE = (1 / 16, 1 / 4, 1 / 2, 1.0, 2.5, 6.0)
BIG = {"hidden_units": [(128, 128)], "learning_rate": 0.1, "batch_size": 16}
NOISY = BIG | {"learning_rate": 0.03}


def cases() -> Iterator[Case]:
    """Yield every case."""
    for key, (_, below, above, longer) in BEST.items():
        where, group = f"{key[0]}, {key[1]}", GROUPS.get(key[0], FIRST)
        if key[2] == SHORT:
            if longer is not None and longer >= CLEAR:
                yield Case(f"too few epochs: {where}", (FEW_EPOCHS,), partial(at_rate, key, 1.0, WIDE), group)
            continue
        yield Case(f"rate far too small: {where}", (TOO_SMALL,), partial(at_rate, key, 1e-5, (1e-5,)), group)
        if below is not None and below >= CLEAR:
            yield Case(f"rate a little too small: {where}", (TOO_SMALL,), partial(at_rate, key, 1 / 4, WIDE), group)
        yield Case(f"rate right: {where}", (GOOD, FEW_EPOCHS), partial(at_rate, key, 1.0, WIDE), group)
        if above is not None and above >= CLEAR:
            yield Case(f"rate a little too large: {where}", (TOO_LARGE,), partial(at_rate, key, 2.5, WIDE), group)
    for name in ("blobs", "spirals", "rings", "checks"):  # there, 20 of 20 other seeds end above a constant answer
        for optimizer, rate in (("sgd", 30.0), ("adam", 3.0)):
            space = {"optimizer": optimizer, "learning_rate": rate, "activation": "tanh"}
            yield Case(
                f"rate far too large but finite: {name}, {optimizer}",
                (TOO_LARGE,),
                partial(alone, lambda seed, name=name: DATA[name](), space, EPOCHS),
            )
    yield Case("diverging", (DIVERGED,), partial(alone, lambda seed: waves(seed=seed), {"learning_rate": 10.0}, 20))
    yield Case("relu network whose units died", (DEAD,), died)
    yield Case("eight logistic layers", (VANISHING,), deep)
    for activation in ("relu", "tanh", "logistic"):
        space = {"init": "zeros", "activation": activation, "learning_rate": 0.1}
        yield Case(f"zeros: {activation}", (SYMMETRY,), partial(alone, lambda seed: blobs(seed=seed), space, 20))
    for name, rate in (("spirals", 0.05), ("sine", 0.05)):
        space = {"hidden_units": [1, (32, 32)], "learning_rate": rate, "optimizer": "adam"}
        own = partial(alone, lambda seed, name=name: load_dataset(name, n=600, seed=seed), space, 60)
        yield Case(f"one hidden unit: {name}", (UNDERFIT,), own)
    yield Case("random labels", (GUESSING,), partial(alone, lambda seed: shuffled(blobs(seed=seed), seed), BIG, 40))
    yield Case("40 % label noise, big net", (OVERFIT,), partial(alone, mislabelled, BIG, 60))
    yield Case("60 noisy examples, big net", (OVERFIT,), partial(alone, sixty, NOISY, 200))
    yield Case("60 noisy examples, stopped early", (GOOD, FEW_EPOCHS), stopped)
    line = {"hidden_units": [()], "learning_rate": 0.1}
    yield Case("linear problem solved exactly", (GOOD,), partial(alone, exact, line, 20))
    unrelated = partial(alone, lambda seed: shuffled(waves(seed=seed), seed), NOISY, 60)
    yield Case("regression with R2 below 0", (GUESSING,), unrelated)
    yield Case("majority class", (GUESSING,), partial(alone, unbalanced, {"learning_rate": 0.1, "hidden_units": 8}, 20))
    yield Case("one repeat of three diverged", ("2 of 3 completed, 1 diverged",), one_lost)


def results(seeds: range, chosen: Callable[[Case], bool] = lambda case: True) -> Iterator[tuple[Case, Counter[str]]]:
    """Yield each case with how often each verdict was given."""
    yield from ((case, Counter(map(case.verdict, seeds))) for case in cases() if chosen(case))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, help="seeds of each case (10)")
    args = parser.parse_args()
    matrix: dict[tuple[str, str], Counter[str]] = {}
    allowed: dict[str, tuple[str, ...]] = {}
    for case, found in results(range(args.seeds)):
        kind = case.name.partition(":")[0]
        allowed[kind] = case.right
        matrix.setdefault((case.group, kind), Counter()).update(found)
        given = ", ".join(f"{count} {name}" for name, count in found.most_common())
        print(f"{sum(found[name] for name in case.right):>3}/{args.seeds}  {case.name:<50} {given}", flush=True)
    for group in dict.fromkeys(group for group, _ in matrix):
        print(f"\n{group}")
        right = total = 0
        for (which, kind), found in matrix.items():
            if which == group:
                own, every = sum(found[name] for name in allowed[kind]), sum(found.values())
                right, total = right + own, total + every
                print(f"{own:>5}/{every:<5} {kind:<36} {', '.join(f'{n} {v}' for v, n in found.most_common())}")
        print(f"{right:>5}/{total:<5} = {right / max(total, 1):.1%}")


if __name__ == "__main__":
    main()
