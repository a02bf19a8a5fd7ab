"""What the command prints about a study: a few lines of plain text."""

from __future__ import annotations

from tuning.runner import FINISHED, TARGET
from tuning.study import Study
from tuning.values import value_text


def study_lines(study: Study) -> list[str]:
    """Return what the study is, in two or three lines."""
    d = study.definition
    each = [f"{d['epochs']} epochs"]
    each += [f"{study.repeats} repeats"] * (study.repeats > 1) + [f"{study.folds} folds"] * (study.folds is not None)
    space = "  ".join(f"{name} {text}" for name, text in d["space"].items())
    return [f"{d['data']['name']}, {d['method']}, {', '.join(each)}, seed {d['seed']}: {study.progress_line()}", space]


def verdict(study: Study) -> str:
    """Return the outcome in one sentence: the best setting with its validation scores, and what did not complete."""
    try:
        best = study.best
    except ValueError:
        return f"No setting can be called the best: {study.describe_states()}."
    setting = ", ".join(f"{name} {_short(value)}" for name, value in best.params.items())
    names = sorted(
        (name for name in best.metrics if name.startswith("validation_")), key=lambda name: name != study.metric
    )
    scores = ", ".join(f"{name.replace('_', ' ')} {best.metrics[name]:.4f}" for name in names)
    mean = f" (means of {best.trials} trials)" if best.trials > 1 else ""
    return f"Best: {setting}, with {scores}{mean}; {study.describe_states()}."


def outcome_lines(study: Study, top: int) -> list[str]:
    """Return what is printed after a sweep: how it ended, the table, the verdict and where the study is."""
    lines = []
    if study.new_trials == 0 and study.stopped == FINISHED:
        where = f" in {study.path}" if study.path else ""
        lines += [f"All {len(study.trials):,} trials were{where} already: nothing was trained.", ""]
    elif study.stopped != FINISHED:
        why = "the target is reached" if study.stopped == TARGET else "the time is up"
        lines += [f"Stopped because {why}: {study.progress_line()}.", ""]
    lines += [str(study.table(top)), "", verdict(study)]
    if study.path is None:
        lines.append("The study is not saved; give --storage FILE.db to keep it.")
    else:
        lines.append(f"Study: {study.path}   look at it with: nn-tuning show {study.path}")
    return lines


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else value_text(value)  # type: ignore[arg-type]
