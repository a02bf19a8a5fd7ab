"""A study as the command prints it: a few lines of plain text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from nn.metrics import shown_name
from tuning.analysis import Analysis, BestRate
from tuning.export.results import StudyResults
from tuning.export.tables import aligned
from tuning.run import BUDGET, FINISHED, TARGET
from tuning.space import shown, value_text
from tuning.store import setting_of

SHOWN_TIES = 10
SHOWN_RATES = 24


def study_lines(study: StudyResults) -> list[str]:
    """Return the definition of the study, in two lines."""
    d = study.definition
    each = [f"{d.epochs} epochs"] if d.epochs > 1 or d.model is None else []
    each += [f"{d.repeats} repeats"] * (d.repeats > 1) + [f"{d.folds} folds"] * (d.folds is not None)
    space = "  ".join(f"{name} {text}" for name, text in d.space.items())
    model = d.model or {}
    name = f"{model['name'].rpartition('.')[2]} on {d.data.name}" if model.get("kind") == "model" else d.data.name
    return [f"{name}, {', '.join([d.method, *each, f'seed {d.seed}'])}: {study.progress_line()}", space]


def verdict(study: StudyResults) -> str:
    """Return the outcome in one sentence: the best setting with its validation scores, and what did not complete."""
    try:
        best = study.best
    except ValueError:
        return f"No setting can be called the best: {study.describe_states()}."
    setting = ", ".join(f"{name} {shown(value)}" for name, value in best.params.items())
    held_out = (n for n in best.metrics if n.startswith("validation_") or n == study.metric)
    names = sorted(held_out, key=lambda n: n != study.metric)
    scores = ", ".join(f"{shown_name(name)} {best.metrics[name]:.4f}" for name in names)
    mean = f" (means of {best.trials} trials)" if best.trials > 1 else ""
    return f"Best: {setting}, with {scores}{mean}; {study.describe_states()}."


def analysis_lines(study: StudyResults, by: Sequence[str] | None = None) -> list[str]:
    """Return the conclusions from a study, or why there are none, a line for each; best rates by these parameters."""
    a = study.analysis()
    if a.best is None:
        return [_verdict_counts(a)] if a.verdicts else []
    name = shown_name(a.metric)
    if a.interval is None:
        lines = [f"Interval of its {name}: unknown; {a.interval_reason}."]
    else:
        ends = f"{a.interval.low:.4f} to {a.interval.high:.4f}"
        lines = [f"{a.interval.confidence:.0%} interval of its {name}: {ends} ({a.interval.method})."]
    lines.append(_ties(a))
    if a.optimism.value is None:
        lines.append(f"Optimism of the best score: unknown; {a.optimism.reason}.")
    else:
        ends = "" if a.optimism.low is None else f", in this study {a.optimism.low:.4f} to {a.optimism.high:.4f}"
        lines.append(f"Optimism of the best score: {a.optimism.value:.4f}{ends} ({a.optimism.reason}).")
    if a.importance.shares is not None and a.importance.rest is not None:
        shares = sorted(a.importance.shares.items(), key=lambda item: -item[1])
        parts = [f"{parameter} {share:.0%}" for parameter, share in shares]
        lines.append(f"Variance explained: {', '.join(parts)}; interactions and noise {a.importance.rest:.0%}.")
    if a.epochs < a.full_epochs:
        lines.append(_work_saved(a.epochs, a.full_epochs))
    return [*lines, _verdict_counts(a), *_rates(a.learning_rates if by is None else a.best_rates(by))]


def closing_lines(study: StudyResults) -> list[str]:
    """Return the test scores, if there are any."""
    known = study.tested
    if known is None:
        return []
    scores = ", ".join(f"{shown_name(name)} {value:.4f}" for name, value in known["scores"].items())
    again = known.get("looks", 1) - 1
    seen = "" if again == 0 else f", and seen again {'once' if again == 1 else f'{again:,} times'}"
    return [f"Test part, scored once at {known['time']}{seen}: {scores}, {tested_model(known)}."]


def tested_model(known: dict[str, Any]) -> str:
    """Return in words what was tested: a setting, and the model that was made of it where the file says so."""
    setting = ", ".join(f"{name} {shown(value)}" for name, value in setting_of(json.dumps(known["params"])).items())
    if "rows" not in known:
        return f"with {setting}"
    rows = f"the {known['rows']:,} rows of training and validation"
    if "networks" not in known:
        return f"by an estimator fitted on {rows}, with {setting}"
    one, others = "a network " if known["networks"] == 1 else "", len(known["epochs"]) - 1
    more = "" if others == 0 else f" and {others:,} other setting{'' if others == 1 else 's'}"
    return f"by {one}{trained_text(known['networks'], rows, known['epochs'])}, with {setting}{more}"


def trained_text(networks: int, rows: str, epochs: Sequence[int]) -> str:
    """Return in words how a model was trained, for the epochs of each of its settings.

    >>> trained_text(5, "all 150 rows", [14])
    'the mean of 5 networks trained on all 150 rows for 14 epochs'
    >>> trained_text(10, "all 150 rows", [14, 9])
    'the mean of 10 networks trained on all 150 rows for 9 to 14 epochs'
    """
    least, most = min(epochs), max(epochs)
    count = f"{most:,}" if least == most else f"{least:,} to {most:,}"
    several = "" if networks == 1 else f"the mean of {networks:,} networks "
    return f"{several}trained on {rows} for {count} epoch{'' if count == '1' else 's'}"


def seen_before(known: dict[str, Any]) -> str:
    """Return the line that marks a look at the test part after the first."""
    return f"seen before on {known['time']}: what is chosen with these scores in mind is no longer tested by them"


def show_lines(study: StudyResults, top: int, by: Sequence[str] | None = None) -> list[str]:
    """Return the lines that `nn-tuning show` prints."""
    table, lines = str(study.table(top)), analysis_lines(study, by)
    return [*study_lines(study), "", table, "", verdict(study), *lines, *closing_lines(study)]


def _ties(a: Analysis) -> str:
    if a.tied is None:
        return f"Tied with it: unknown; {a.tied_reason}."
    if a.ranked == 1:
        return "Tied with it: no other setting is ranked."
    others = len(a.tied) - 1
    ranks = [str(summary.rank) for summary in a.tied[1 : 1 + SHOWN_TIES]]
    which = f": rank {', '.join(ranks)}{', …' if others > SHOWN_TIES else ''}" if others else ""
    line = f"Tied with it: {others:,} of {a.ranked - 1:,} settings{which} (paired differences, 95% for all together)."
    return f"{line} {a.cannot_tell}".rstrip()


def _work_saved(done: int, full: int) -> str:
    return f"Work saved by pruning: {1 - done / max(full, 1):.0%}, {done:,} epochs of {full:,}."


def _verdict_counts(a: Analysis) -> str:
    counts = ", ".join(f"{count:,} {name}" for name, count in a.verdicts.items())
    return f"Verdicts on trials: {counts} (the rules: nn-tuning show --rules)."


def _rates(rates: list[BestRate]) -> list[str]:
    """Return the best learning rates as a small table."""
    if not rates:
        return []
    titles = [*rates[0].group, "best learning_rate", "95% interval", "best tried", "score", ""]
    rows = [[*map(value_text, rate.group.values()), *rate_cells(rate)] for rate in rates[:SHOWN_RATES]]
    lines = aligned([titles, *rows])
    if len(rates) > SHOWN_RATES:
        lines.append(f"… and {len(rates) - SHOWN_RATES:,} more groups, with --format json")
    return ["", *lines]


def rate_cells(rate: BestRate) -> list[str]:
    """Return the best learning rate of a group, its interval, the best tried, its score, and what can't be told."""
    span = "unknown" if rate.low is None or rate.high is None else f"{rate.low:.3g} to {rate.high:.3g}"
    unsure = "" if rate.fits else "between these, nothing tells where"
    edge = "at the edge of what was tried" if rate.at_edge else unsure
    return [f"{rate.learning_rate:.3g}", span, f"{rate.tried:.4g}", f"{rate.score:.4f}", edge]


def outcome_lines(study: StudyResults, top: int) -> list[str]:
    """Return the lines that are printed after a sweep: how it ended, the table, the verdict and where the study is."""
    lines = []
    if study.new_trials == 0 and study.stopped == FINISHED:
        where = f" in {study.path}" if study.path else ""
        lines += [f"All {len(study.trials):,} trials were{where} already: nothing was trained.", ""]
    elif study.stopped != FINISHED:
        whys = {TARGET: "the target is reached", BUDGET: "the epochs are spent"}
        why = whys.get(study.stopped or "", "the time is up")
        lines += [f"Stopped because {why}: {study.progress_line()}.", ""]
    lines += [str(study.table(top)), "", verdict(study)]
    if study.work is not None:
        lines.append(_work_saved(study.work["epochs"], study.work["full_epochs"]))
    if study.path is None:
        lines.append("The study is not saved; give --storage FILE.db to keep it.")
    else:
        lines.append(f"Study: {study.path}   look at it with: nn-tuning show {study.path}")
    return lines
