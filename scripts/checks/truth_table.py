"""Hold the verdicts to cases whose truth is known by construction, and print how often they are right.

    python scripts/checks/truth_table.py              every case with 10 seeds, about a minute
    python scripts/checks/truth_table.py --search     the best of 25 rates over 20 other seeds, as they stand in BEST

The thresholds of the rules were chosen while looking at the data sets of CHOSEN; those of FRESH were added when the
rules were done, and no rule was changed after.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from nn import MLP, SGD, Dataset, Split, load_dataset, train
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

EPOCHS, SHORT = 30, 6
CLEAR = 1.1


def blobs(n: int = 600, classes: int = 4, seed: int = 0) -> Dataset:
    """Return normal clouds in six dimensions, which overlap a little."""
    rng = np.random.default_rng(seed)
    centres, y = 2 * rng.standard_normal((classes, 6)), np.arange(n) % classes
    return Dataset(centres[y] + 1.3 * rng.standard_normal((n, 6)), y)


def waves(n: int = 600, noise: float = 0.2, seed: int = 0) -> Dataset:
    """Return a smooth function of five numbers, with noise."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (n, 5))
    y = np.sin(np.pi * X[:, 0] * X[:, 1]) + 2 * (X[:, 2] - 0.5) ** 2 + X[:, 3]
    return Dataset(X, y + noise * rng.standard_normal(n))


def rings(n: int = 600, seed: int = 0) -> Dataset:
    """Return three rings around each other."""
    rng = np.random.default_rng(seed)
    y, angle = np.arange(n) % 3, rng.uniform(0, 2 * np.pi, n)
    points = (1.0 + y)[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return Dataset(points + 0.2 * rng.standard_normal((n, 2)), y)


def checks(n: int = 800, seed: int = 0) -> Dataset:
    """Return a board of three times three fields in two colours."""
    X = np.random.default_rng(seed).uniform(0, 3, (n, 2))
    return Dataset(X, np.floor(X).sum(axis=1).astype(int) % 2)


def bumps(n: int = 500, seed: int = 0) -> Dataset:
    """Return a sum of three bumps over the plane, with noise."""
    rng = np.random.default_rng(seed)
    X, at = rng.uniform(-2, 2, (n, 2)), np.array([[1, 1], [-1, 0], [0.5, -1.2]])
    heights = np.exp(-2 * ((X[:, None] - at) ** 2).sum(axis=2)) @ np.array([1.0, -1.5, 2.0])
    return Dataset(X, heights + 0.05 * rng.standard_normal(n))


def folds(n: int = 500, seed: int = 0) -> Dataset:
    """Return a roof with a slope along it, in three dimensions of which one does not matter, with noise."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (n, 3))
    return Dataset(X, np.abs(X[:, 0]) + X[:, 1] ** 2 + 0.1 * rng.standard_normal(n))


DATA: dict[str, Callable[[], Dataset]] = {
    **{name: partial(load_dataset, name) for name in ("moons", "spirals", "digits", "sine", "breast_cancer")},
    "blobs": blobs, "waves": waves, "rings": rings, "checks": checks, "bumps": bumps,
    "folds": folds, "arms": partial(load_dataset, "spirals", classes=3, turns=0.75, noise=0.2, seed=5),
    "clouds": partial(blobs, classes=6, seed=5),
}  # fmt: skip
CHOSEN = ("moons", "spirals", "digits", "sine", "breast_cancer", "blobs", "waves", "rings", "checks", "bumps")
FRESH = ("folds", "arms", "clouds")

# The best of 25 rates by mean validation loss over 20 seeds; how many times as large the loss is at a quarter of it,
# and at 2.5 times it; and how many times as large it is as after twice the epochs. 1 stands for what is within the
# noise, None for a rate at which a trial diverged.
Truth = tuple[float, float | None, float | None, float | None]
BEST: dict[tuple[str, str, int], Truth] = {
    ("moons", "sgd", 30): (3.16, 2.33, None, 3.44),
    ("moons", "sgd", 6): (2.15, 6.23, 1.0, 1.76),
    ("moons", "adam", 30): (0.1, 1.65, 1.0, 1.0),
    ("moons", "adam", 6): (0.147, 1.0, 1.0, 1.0),
    ("spirals", "sgd", 30): (1.0, 1.61, 1.43, 2.1),
    ("spirals", "sgd", 6): (1.47, 1.34, 1.29, 1.0),
    ("spirals", "adam", 30): (0.0681, 2.53, 2.71, 1.59),
    ("spirals", "adam", 6): (0.147, 1.23, 1.12, 1.14),
    ("digits", "sgd", 30): (0.147, 1.19, 1.04, 1.0),
    ("digits", "sgd", 6): (0.681, 1.17, None, 1.0),
    ("digits", "adam", 30): (0.00316, 1.28, 1.08, 1.0),
    ("digits", "adam", 6): (0.01, 1.67, 1.29, 1.0),
    ("sine", "sgd", 30): (0.147, 1.37, None, 2.17),
    ("sine", "sgd", 6): (0.0316, 1.11, 1.0, 1.05),
    ("sine", "adam", 30): (0.0464, 2.4, 1.0, 1.0),
    ("sine", "adam", 6): (0.0681, 1.36, 1.6, 3.61),
    ("breast_cancer", "sgd", 30): (0.0681, 1.16, 1.08, 1.0),
    ("breast_cancer", "sgd", 6): (0.215, 1.28, 1.07, 1.0),
    ("breast_cancer", "adam", 30): (0.00147, 1.44, 1.19, 1.0),
    ("breast_cancer", "adam", 6): (0.00464, 1.77, 1.13, 1.0),
    ("blobs", "sgd", 30): (0.147, 1.17, 1.15, 1.0),
    ("blobs", "sgd", 6): (0.316, 1.37, 1.26, 1.0),
    ("blobs", "adam", 30): (0.00464, 1.54, 1.09, 1.0),
    ("blobs", "adam", 6): (0.0215, 1.48, 1.15, 1.0),
    ("waves", "sgd", 30): (0.215, 1.0, None, 1.0),
    ("waves", "sgd", 6): (0.215, 1.25, None, 1.45),
    ("waves", "adam", 30): (0.0316, 1.0, 1.0, 1.0),
    ("waves", "adam", 6): (0.0316, 1.87, 1.0, 1.1),
    ("rings", "sgd", 30): (0.681, 2.69, 1.0, 1.65),
    ("rings", "sgd", 6): (1.47, 1.95, 4.24, 1.68),
    ("rings", "adam", 30): (0.147, 1.0, 2.62, 1.0),
    ("rings", "adam", 6): (0.1, 3.0, 1.0, 1.42),
    ("checks", "sgd", 30): (0.215, 1.32, 2.01, 1.27),
    ("checks", "sgd", 6): (0.316, 1.21, 1.33, 1.14),
    ("checks", "adam", 30): (0.0215, 1.41, 1.0, 1.32),
    ("checks", "adam", 6): (0.0681, 1.24, 1.29, 1.24),
    ("bumps", "sgd", 30): (0.147, 1.32, None, 1.0),
    ("bumps", "sgd", 6): (0.0316, 1.2, 1.09, 1.0),
    ("bumps", "adam", 30): (0.0464, 1.92, 1.93, 1.0),
    ("bumps", "adam", 6): (0.147, 1.0, 1.53, 1.0),
    ("folds", "sgd", 30): (0.215, 1.33, None, 1.0),
    ("folds", "sgd", 6): (0.147, 2.03, None, 2.02),
    ("folds", "adam", 30): (0.0147, 1.47, 1.12, 1.0),
    ("folds", "adam", 6): (0.0681, 1.72, 1.0, 1.0),
    ("arms", "sgd", 30): (0.464, 1.72, 1.1, 1.0),
    ("arms", "sgd", 6): (1.0, 1.48, 1.86, 1.47),
    ("arms", "adam", 30): (0.0316, 1.27, 1.25, 1.0),
    ("arms", "adam", 6): (0.0681, 1.77, 1.13, 1.15),
    ("clouds", "sgd", 30): (0.1, 1.11, 1.06, 1.0),
    ("clouds", "sgd", 6): (0.316, 1.18, 1.09, 1.0),
    ("clouds", "adam", 30): (0.00316, 1.39, 1.06, 1.0),
    ("clouds", "adam", 6): (0.0147, 1.36, 1.08, 1.0),
}


def search(names: Iterable[str] = tuple(DATA)) -> Iterator[str]:
    """Yield the entries of BEST, found by training."""
    for name in names:
        for optimizer, low, high in (("sgd", 1e-3, 10.0), ("adam", 1e-4, 1.0)):
            for epochs in (EPOCHS, SHORT):
                space = {"hidden_units": 32, "optimizer": optimizer}
                how: dict[str, Any] = {"epochs": epochs, "repeats": 20, "seed": 7_000, "progress": False}
                rates = np.geomspace(low, high, 25).tolist()
                rate = sweep(DATA[name](), space | {"learning_rate": rates}, metric="validation_loss", **how).best
                best = float(f"{rate.params['learning_rate']:.3g}")
                study = sweep(DATA[name](), space | {"learning_rate": [best / 4, best, 2.5 * best]}, **how)
                longer = sweep(DATA[name](), space | {"learning_rate": [best]}, **how | {"epochs": 2 * epochs})
                losses = [
                    t.metrics["validation_loss"] if t.state == COMPLETED else np.nan
                    for t in [*study.trials, *longer.trials]
                ]
                below, middle, above, after = np.array(losses).reshape(4, 20)
                times = _times(below, middle), _times(above, middle), _times(middle, after)
                yield f'    ("{name}", "{optimizer}", {epochs}): {(best, *times)},'


def _times(other: Any, middle: Any) -> float | None:
    """Return how many times as large the mean of `other` is; 1 where that is within twice the standard error."""
    difference = other - middle
    if not np.isfinite(difference).all():
        return None
    clear = difference.mean() > 2 * difference.std(ddof=1) / np.sqrt(len(difference))
    return round(float(other.mean() / middle.mean()), 2) if clear else 1.0


# -- the cases ---------------------------------------------------------------------------------------------------


class Case(NamedTuple):
    """A case: the verdicts that are right, and from a seed to the verdict that is given."""

    name: str
    right: tuple[str, ...]
    verdict: Callable[[int], str]
    fresh: bool = False


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
        where, fresh = f"{key[0]}, {key[1]}", key[0] in FRESH
        if key[2] == SHORT:
            if longer is not None and longer >= CLEAR:
                yield Case(f"too few epochs: {where}", (FEW_EPOCHS,), partial(at_rate, key, 1.0, WIDE), fresh)
            continue
        yield Case(f"rate far too small: {where}", (TOO_SMALL,), partial(at_rate, key, 1e-5, (1e-5,)), fresh)
        if below is not None and below >= CLEAR:
            yield Case(f"rate a little too small: {where}", (TOO_SMALL,), partial(at_rate, key, 1 / 4, WIDE), fresh)
        yield Case(f"rate right: {where}", (GOOD, FEW_EPOCHS), partial(at_rate, key, 1.0, WIDE), fresh)
        if above is not None and above >= CLEAR:
            yield Case(f"rate a little too large: {where}", (TOO_LARGE,), partial(at_rate, key, 2.5, WIDE), fresh)
    for name in ("blobs", "spirals", "rings", "checks"):  # there, 20 of 20 other seeds end above a constant answer
        fresh = name in FRESH
        for optimizer, rate in (("sgd", 30.0), ("adam", 3.0)):
            space = {"optimizer": optimizer, "learning_rate": rate, "activation": "tanh"}
            yield Case(
                f"rate far too large but finite: {name}, {optimizer}",
                (TOO_LARGE,),
                partial(alone, lambda seed, name=name: DATA[name](), space, EPOCHS),
                fresh,
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
    """Print the entries of BEST, or the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--search", action="store_true", help="print the best rates, found by training")
    parser.add_argument("--seeds", type=int, default=10, help="seeds of each case (10)")
    args = parser.parse_args()
    if args.search:
        for line in search():
            print(line, flush=True)
        return
    matrix: dict[tuple[bool, str], Counter[str]] = {}
    allowed: dict[str, tuple[str, ...]] = {}
    for case, found in results(range(args.seeds)):
        kind = case.name.partition(":")[0]
        allowed[kind] = case.right
        matrix.setdefault((case.fresh, kind), Counter()).update(found)
        given = ", ".join(f"{count} {name}" for name, count in found.most_common())
        print(f"{sum(found[name] for name in case.right):>3}/{args.seeds}  {case.name:<50} {given}", flush=True)
    for fresh in (False, True):
        print(f"\n{'data sets not looked at before' if fresh else 'data sets that the thresholds were chosen on'}")
        right = total = 0
        for (which, kind), found in matrix.items():
            if which == fresh:
                own, every = sum(found[name] for name in allowed[kind]), sum(found.values())
                right, total = right + own, total + every
                print(f"{own:>5}/{every:<5} {kind:<36} {', '.join(f'{n} {v}' for v, n in found.most_common())}")
        print(f"{right:>5}/{total:<5} = {right / max(total, 1):.1%}")


if __name__ == "__main__":
    main()
