"""Follow the advice of verdicts once in cases drawn at random, and print how often the validation loss gets better.

    python scripts/checks/advice.py              210 cases, two minutes or three

A case is a data set of `truth_table.py` with a setting drawn at random, trained with five seeds; half of the settings
stand in a study with four other rates. A better setting exists where a search finds one whose validation loss is lower
by a tenth, beyond the noise of the same seeds: over seven rates, each as it is, with four times the epochs, and with
four times the units. "Better" and "worse" are meant beyond noise as well, and by a hundredth.
"""

from __future__ import annotations

import argparse
from collections import Counter
from typing import Any

import numpy as np

from nn import Dataset
from scripts.checks.constructed import DATA
from scripts.checks.truth_table import verdict_at
from tuning import Study, sweep
from tuning.analysis import Verdict
from tuning.analysis.rules import FEW_EPOCHS, GOOD, OVERFIT, SYMMETRY, TOO_LARGE, TOO_SMALL, UNDERFIT
from tuning.objective import Objective
from tuning.store import COMPLETED, DIVERGED

REPEATS = 5
T = 2.132  # Student's t, 95 % one-sided, 4 degrees of freedom
Setting = dict[str, Any]


def drawn(rng: np.random.Generator) -> tuple[str, Setting, int]:
    """Return a data set, a setting and a number of epochs."""
    optimizer = str(rng.choice(["sgd", "adam"]))
    low, high = (-4.0, 1.0) if optimizer == "sgd" else (-5.0, 0.0)
    setting = {
        "optimizer": optimizer,
        "learning_rate": float(f"{10 ** rng.uniform(low, high):.3g}"),
        "hidden_units": int(rng.choice([1, 4, 32, 128], p=[0.1, 0.2, 0.5, 0.2])),
        "activation": str(rng.choice(["relu", "tanh"])),
        "init": str(rng.choice(["he", "zeros"], p=[0.95, 0.05])),
    }
    return str(rng.choice([*DATA])), setting, int(rng.choice([6, 15, 30, 60]))


def trained(data: Dataset, setting: Setting, epochs: int, rates: tuple[float, ...] = (1.0,)) -> Study:
    """Return the study of a setting, with multiples of its rate."""
    space = {name: [value] for name, value in setting.items()}
    space["learning_rate"] = [setting["learning_rate"] * factor for factor in rates]
    return sweep(data, space, epochs=epochs, repeats=REPEATS, progress=False)


def losses(study: Study) -> np.ndarray:
    """Return the validation losses (rates, REPEATS), infinite where a trial diverged."""
    values = [t.metrics["validation_loss"] if t.state == COMPLETED else np.inf for t in study.trials]
    return np.array(values).reshape(-1, REPEATS)


def lower(new: np.ndarray, old: np.ndarray, by: float, floor: float) -> bool:
    """Return whether losses are lower in the mean by this share, beyond the noise of their differences."""
    if not np.isfinite(new).all():
        return False
    if not np.isfinite(old).all():
        return True
    logs = np.log(old + floor) - np.log(new + floor)
    return bool(logs.mean() > max(-np.log(1 - by), T * logs.std(ddof=1) / np.sqrt(REPEATS)))


def followed(name: str, verdicts: list[Verdict], setting: Setting, epochs: int) -> tuple[Setting, int]:
    """Return the setting and the epochs that the advice leads to."""
    own = [verdict for verdict in verdicts if verdict.name == name]
    rate, units = setting["learning_rate"], setting["hidden_units"]
    if own and "best_rate" in own[0].numbers:
        return setting | {"learning_rate": own[0].numbers["best_rate"]}, epochs
    if DIVERGED in name:
        return setting | {"learning_rate": rate / 10}, epochs
    if name == TOO_LARGE:
        return setting | {"learning_rate": rate / 3}, epochs
    if name == TOO_SMALL:
        return setting | {"learning_rate": rate * 3}, epochs
    if name == FEW_EPOCHS:
        return setting, 2 * epochs
    if name == OVERFIT:
        return setting, int(np.median([verdict.epoch for verdict in own if verdict.epoch]))
    if name == UNDERFIT:
        return setting | {"hidden_units": 4 * units}, epochs
    if name == GOOD:
        return setting | {"hidden_units": 2 * units}, epochs
    if name == SYMMETRY:
        return setting | {"init": "he"}, epochs
    return setting, epochs


def better_exists(data: Dataset, setting: Setting, epochs: int, old: np.ndarray, floor: float) -> bool:
    """Return whether the search finds a setting that is better by a tenth."""
    rates = tuple(10.0 ** np.array([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0]))
    start = setting | {"init": "he"}
    wide = start | {"hidden_units": 4 * setting["hidden_units"]}
    tried = ((start, epochs), (start, 4 * epochs), (wide, epochs))
    return any(lower(new, old, 0.1, floor) for s, e in tried for new in losses(trained(data, s, e, rates)))


def campaign(count: int, seed: int = 0) -> dict[str, Counter[str]]:
    """Return, for each verdict, how many cases there were, where a better setting exists, and what the advice did."""
    rng, table = np.random.default_rng(seed), dict[str, Counter[str]]()
    data, floors = {name: make() for name, make in DATA.items()}, dict[str, float]()
    for i in range(count):
        name, setting, epochs = drawn(rng)
        if name not in floors:
            floors[name] = 0.01 * Objective.prepare(data[name]).guess["validation_loss"]
        study = trained(data[name], setting, epochs, (1.0,) if i % 2 else (1.0, 1 / 9, 1 / 3, 3.0, 9.0))
        old, floor = losses(study)[0], floors[name]
        rate = setting["learning_rate"]
        verdict = verdict_at(study, "learning_rate", rate)
        new_setting, new_epochs = followed(verdict, study.verdicts()[:REPEATS], setting, epochs)
        found = table.setdefault("some diverged" if "completed" in verdict else verdict, Counter())
        found["cases"] += 1
        exists = better_exists(data[name], setting, epochs, old, floor)
        found["better exists"] += exists
        if (new_setting, new_epochs) != (setting, epochs):
            new = losses(trained(data[name], new_setting, new_epochs))[0]
            found["better"] += lower(new, old, 0.01, floor)
            found["better, where one exists"] += exists and lower(new, old, 0.01, floor)
            found["worse"] += lower(old, new, 0.01, floor)
    return table


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=210, help="cases (210)")
    parser.add_argument("--seed", type=int, default=0, help="the seed that they are drawn by (0)")
    args = parser.parse_args()
    table = campaign(args.cases, args.seed)
    titles = ("cases", "better exists", "better, where one exists", "better", "worse")
    print("  ".join([f"{'verdict':<24}", *titles]))
    for name, found in [*table.items(), ("all", sum(table.values(), Counter[str]()))]:
        print("  ".join([f"{name:<24}", *(f"{found[title]:>{len(title)}}" for title in titles)]))


if __name__ == "__main__":
    main()
