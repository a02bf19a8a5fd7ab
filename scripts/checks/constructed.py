"""Data sets that are constructed, and the best learning rates on them, as they stand in BEST.

    python scripts/checks/constructed.py              find them: the best of 25 rates over 20 seeds, some minutes

The thresholds of the rules were chosen while looking at the first; those of FRESH were never looked at for it; those of
LATER, random families of several dimensions and noises, are what the rules were mended by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np

from nn import Dataset, load_dataset
from tuning import sweep
from tuning.store import COMPLETED

EPOCHS, SHORT = 30, 6


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


def teacher(n: int, inputs: int, classes: int, flipped: float, seed: int) -> Dataset:
    """Return the classes that a random network of 8 tanh units gives, a share of them at random."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, inputs))
    scores = np.tanh(X @ rng.standard_normal((inputs, 8))) @ rng.standard_normal((8, classes))
    y = scores.argmax(axis=1)
    return Dataset(X, np.where(rng.random(n) < flipped, rng.integers(0, classes, n), y))


def ridges(n: int, inputs: int, noise: float, seed: int) -> Dataset:
    """Return a sum of three sines along random directions, with noise."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (n, inputs))
    y = np.sin(X @ (2 * rng.standard_normal((inputs, 3)))).sum(axis=1)
    return Dataset(X, y + noise * rng.standard_normal(n))


def products(n: int, inputs: int, noise: float, seed: int) -> Dataset:
    """Return a random quadratic form, with noise."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, inputs))
    y = ((X @ rng.standard_normal((inputs, inputs))) * X).sum(axis=1) / inputs
    return Dataset(X, y + noise * rng.standard_normal(n))


def patches(n: int, inputs: int, classes: int, spread: float, seed: int) -> Dataset:
    """Return classes of three normal clouds each."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(-2, 2, (3 * classes, inputs))
    which = np.arange(n) % (3 * classes)
    return Dataset(centres[which] + spread * rng.standard_normal((n, inputs)), which % classes)


DATA: dict[str, Callable[[], Dataset]] = {
    **{name: partial(load_dataset, name) for name in ("moons", "spirals", "digits", "sine", "breast_cancer")},
    "blobs": blobs, "waves": waves, "rings": rings, "checks": checks, "bumps": bumps,
    "folds": folds, "arms": partial(load_dataset, "spirals", classes=3, turns=0.75, noise=0.2, seed=5),
    "clouds": partial(blobs, classes=6, seed=5), "teacher_3": partial(teacher, 600, 3, 2, 0.05, 11),
    "teacher_12": partial(teacher, 800, 12, 4, 0.0, 12), "teacher_6": partial(teacher, 500, 6, 3, 0.15, 19),
    "ridges_2": partial(ridges, 500, 2, 0.1, 13), "ridges_5": partial(ridges, 800, 5, 0.3, 14),
    "products_4": partial(products, 600, 4, 0.2, 15), "products_2": partial(products, 400, 2, 0.05, 16),
    "patches_2": partial(patches, 600, 2, 3, 0.3, 17), "patches_5": partial(patches, 500, 5, 2, 0.6, 18),
}  # fmt: skip
FRESH = ("folds", "arms", "clouds")
LATER = tuple(name for name in DATA if name.rpartition("_")[2].isdigit())

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
    ("teacher_3", "sgd", 30): (0.0316, 1.1, 1.03, 1.0),
    ("teacher_3", "sgd", 6): (0.1, 1.16, 1.07, 1.0),
    ("teacher_3", "adam", 30): (0.0464, 1.13, 1.0, 1.0),
    ("teacher_3", "adam", 6): (0.00681, 1.5, 1.04, 1.0),
    ("teacher_12", "sgd", 30): (0.215, 1.22, 1.18, 1.0),
    ("teacher_12", "sgd", 6): (0.681, 1.18, 1.56, 1.07),
    ("teacher_12", "adam", 30): (0.00681, 1.29, 1.28, 1.0),
    ("teacher_12", "adam", 6): (0.0316, 1.26, 1.25, 1.0),
    ("teacher_6", "sgd", 30): (0.0681, 1.04, 1.03, 1.0),
    ("teacher_6", "sgd", 6): (0.147, 1.08, 1.1, 1.03),
    ("teacher_6", "adam", 30): (0.00316, 1.1, 1.03, 1.0),
    ("teacher_6", "adam", 6): (0.0215, 1.04, 1.05, 1.0),
    ("ridges_2", "sgd", 30): (0.147, 7.8, None, 2.43),
    ("ridges_2", "sgd", 6): (0.0316, 1.08, 1.0, 1.09),
    ("ridges_2", "adam", 30): (0.0316, 3.2, 1.47, 1.0),
    ("ridges_2", "adam", 6): (0.1, 4.32, 2.24, 2.13),
    ("ridges_5", "sgd", 30): (0.215, 2.5, None, 1.41),
    ("ridges_5", "sgd", 6): (0.215, 1.12, None, 1.22),
    ("ridges_5", "adam", 30): (0.0215, 2.97, 1.0, 1.08),
    ("ridges_5", "adam", 6): (0.1, 1.72, 1.28, 1.43),
    ("products_4", "sgd", 30): (0.215, 1.0, None, 1.47),
    ("products_4", "sgd", 6): (0.215, 1.59, None, 1.0),
    ("products_4", "adam", 30): (0.0681, 1.46, 2.46, 1.0),
    ("products_4", "adam", 6): (0.147, 1.21, 2.6, 1.0),
    ("products_2", "sgd", 30): (0.147, 1.15, None, 1.0),
    ("products_2", "sgd", 6): (0.0464, 2.36, 1.0, 1.0),
    ("products_2", "adam", 30): (0.0681, 4.14, 1.0, 1.0),
    ("products_2", "adam", 6): (0.147, 2.08, 3.22, 2.53),
    ("patches_2", "sgd", 30): (0.0464, 1.15, 1.0, 1.06),
    ("patches_2", "sgd", 6): (0.147, 1.15, 1.1, 1.06),
    ("patches_2", "adam", 30): (0.0464, 1.04, 1.06, 1.0),
    ("patches_2", "adam", 6): (0.0215, 1.14, 1.0, 1.03),
    ("patches_5", "sgd", 30): (0.215, 1.27, 1.09, 1.0),
    ("patches_5", "sgd", 6): (0.464, 1.48, 1.18, 1.18),
    ("patches_5", "adam", 30): (0.00464, 1.98, 1.12, 1.0),
    ("patches_5", "adam", 6): (0.0147, 2.63, 1.12, 1.0),
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


if __name__ == "__main__":
    for entry in search():
        print(entry, flush=True)
