"""The line that says what was understood of the data: rows, target, task, features, and what was left out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tuning.objective import Objective
from tuning.objectives import EstimatorObjective, TrialObjective

if TYPE_CHECKING:
    from nn.data import Dataset

FEATURES, LEFT_OUT, CLASSES, LETTERS = 8, 6, 5, 24
"""The most of each that are named, and the most letters of a name."""


def understood(objective: TrialObjective) -> str:
    """Return the line, and one more for each advice on what else might be meant.

    >>> print(understood(Objective.prepare("diabetes")))  # doctest: +NORMALIZE_WHITESPACE
    diabetes: 442 rows; target disease_progression (regression); features age, sex, bmi, bp, s1, s2, s3, s4,
    … (10 in all)
    """
    if not isinstance(objective, Objective | EstimatorObjective):
        return f"{objective.description.name}: a function of one's own, which has its own data"
    split = objective.splits[0]
    data = split.train if split.source is None else split.source
    rows = sum(len(part) for part in split.parts.values() if part is not None)
    says = [f"{_name(data)}: {rows:,} rows", _target(data), _features(split.train)]
    left_out = {} if split.train.encoding is None else split.train.encoding.left_out
    if left_out:
        says.append(f"left out: {_listed([f'{_brief(name)} ({why})' for name, why in left_out.items()], LEFT_OUT)}")
    notes = () if data.table is None else data.table.notes
    advice = [note for note in notes if "task=" in note]
    return "\n".join(["; ".join([*says, *(note for note in notes if note not in advice)]), *advice])


def _name(data: Dataset) -> str:
    return data.name if data.origin is None else os.path.basename(data.origin.name)


def _target(data: Dataset) -> str:
    named = f"target {_listed([_brief(name) for name in data.target_names or ()], FEATURES)}".rstrip()
    if data.class_names is None:
        return f"{named} ({data.task})"
    classes = ", ".join(
        [_brief(name) for name in data.class_names[:CLASSES]] + ["…"] * (len(data.class_names) > CLASSES)
    )
    return f"{named} ({data.task}, {len(data.class_names):,} classes: {classes})"


def _features(data: Dataset) -> str:
    if data.encoding is None:
        known = [_brief(name) for name in data.feature_names or ()]
        return f"features {_listed(known, FEATURES)}" if known else f"{data.n_features:,} features"
    about = []
    for code in data.encoding.columns:
        levels = (len(code.levels) + len(code.rare)) * (code.kind == "category")
        kind = f" ({levels:,} categories)" if levels else " (date)" if code.kind == "date" else ""
        about += [] if code.left_out else [_brief(code.name) + kind]
    return f"features {_listed(about, FEATURES)}"


def _listed(names: list[str], most: int) -> str:
    """Return names with commas; of many, the first ones and how many there are."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])}, … ({len(names):,} in all)"


def _brief(name: str) -> str:
    text = " ".join(str(name).split())
    return text if len(text) <= LETTERS else f"{text[: LETTERS - 1]}…"
