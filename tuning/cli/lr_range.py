"""`nn-tuning lr-range`: a range test as a table with a sketch and a suggestion, as JSON or as CSV."""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np

from tuning.analysis import plain
from tuning.cli.options import given_reading
from tuning.cli.wording import say
from tuning.export import csv_text
from tuning.learning_rate import RULES, RangeTest, StabilityLimit, range_test, stability_limit
from tuning.objective import Objective
from tuning.space import Setting, Space
from tuning.understood import understood

ROWS = 24
WIDTH = 40


def lr_range(values: argparse.Namespace, setting: Setting, form: str) -> str:
    """Run the range test that the command line asks for and return it as text; print first what the data are.

    Raises ValueError or TypeError for what does not fit, before any work.
    """
    objective = Objective.prepare(values.data, reading=given_reading(values))
    ignored = {name for name in setting if name == "learning_rate" or name.startswith("schedule")}
    if ignored:
        raise ValueError(f"lr-range must go without {', '.join(sorted(ignored))}, which it tests, but got it")
    if setting:
        objective.check(Space({name: [value] for name, value in setting.items()}))
    model, optimizer, batch_size, _ = objective.build(setting)
    split = objective.splits[0]
    where: dict[str, Any] = {"batch_size": batch_size, "seeds": values.seeds}
    test = range_test(model, split, optimizer, low=values.low, high=values.high, steps=values.steps, **where)
    limit = stability_limit(model, split, optimizer, **where) if values.limit else None
    if form == "json":
        return range_json(test, limit)
    if form == "csv":
        return range_csv(test).rstrip("\n")
    say(understood(objective))
    return "\n".join(range_lines(test, limit))


def range_lines(test: RangeTest, limit: StabilityLimit | None) -> list[str]:
    """Return the table, with the median as a bar, and what follows from it."""
    low, middle, high = test.band_low, test.middle, test.band_high
    places = np.unique(np.linspace(0, len(test.rates) - 1, ROWS).round().astype(int))
    top = max((float(middle[i]) for i in places if np.isfinite(middle[i])), default=1.0)
    lines = [f"{'learning_rate':>13}  {'loss':>8}  {'80 % of the seeds':>20}"]
    for i in places:
        if not np.isfinite(middle[i]):
            lines.append(f"{test.rates[i]:>13.4g}  {'-':>8}  half of the seeds have diverged")
            break
        band = f"{low[i]:.4g} to {high[i]:.4g}" if np.isfinite(high[i]) else f"{low[i]:.4g} to -"
        bar = "#" * max(0, round(WIDTH * float(middle[i]) / top)) if top > 0 else ""
        lines.append(f"{test.rates[i]:>13.4g}  {middle[i]:>8.4g}  {band:>20}  {bar}".rstrip())
    lines += ["", f"{test.optimizer}, batch size {test.batch_size}, {len(test.rates)} steps, {len(test.seeds)} seeds"]
    if test.still_falling:
        fall = 1 - float(middle.min()) / float(middle[0])
        lines.append(f"The loss fell by {fall:.2%} in all and was still falling at the end: raise --high.")
    elif test.suggestion is None or test.search_range is None:
        lines.append("The loss fell at no rate of the test: there is nothing to suggest; try another --low and --high.")
    else:
        span = f"{test.search_range[0]:.2g}:{test.search_range[1]:.2g}:log"
        found = f"minimum {test.minimum:.3g}, steepest {test.steepest:.3g}, edge {test.edge:.3g}"
        lines.append(f"{found}, {test.ended} seeds diverged")
        lines.append(f"suggestion: --learning-rate {test.suggestion:.2g}; to search: --learning-rate {span}")
    if limit is not None:
        lines.append(str(limit))
    return lines


def range_json(test: RangeTest, limit: StabilityLimit | None) -> str:
    """Return the test as one JSON object; null stands for what has diverged or is unknown."""
    names = ("optimizer", "batch_size", "seeds", "minimum", "steepest", "edge", "suggestion", "search_range", "ended")
    about: dict[str, Any] = {name: getattr(test, name) for name in names}
    about |= {"rules": RULES.splitlines(), "rates": test.rates.tolist()}
    for name in ("middle", "band_low", "band_high"):
        about[name] = [plain(value) for value in getattr(test, name).tolist()]
    if limit is not None:
        limits = [plain(value) for value in limit.limits]
        found = {"limit": plain(limit.limit), "interval": limit.interval, "limits": limits}
        about["stability_limit"] = found | {"doubt": limit.doubt}
    return json.dumps(about, allow_nan=False)


def range_csv(test: RangeTest) -> str:
    """Return rate, median and band as CSV; an empty field stands for what has diverged."""
    columns = (test.rates, test.middle, test.band_low, test.band_high)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return csv_text(["learning_rate", "loss", "band_low", "band_high"], (map(plain, row) for row in rows))
