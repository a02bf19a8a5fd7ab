"""`nn-tuning test` and `predict`: the model that a study ends in is scored, saved and used."""

from __future__ import annotations

import argparse
import contextlib
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nn.checks import one_line
from nn.data import read_table
from tuning.cli.options import given_reading
from tuning.cli.train import check_output, scores_line
from tuning.export import csv_text, seen_before, tested_model, trained_text, whole
from tuning.final import networks_of
from tuning.study import Study

if TYPE_CHECKING:
    from nn import Ensemble, Run


MOST_NAMES = 8
"""Column names that an error shows at most."""


def test_command(values: argparse.Namespace) -> None:
    """Print the scores of a study on its test part; fit all rows in the same way, and save that, where asked for."""
    if values.save is not None:
        check_output("save", values.save, (".npz",))
    study, reading = Study.open(values.study), given_reading(values)
    before = study.tested
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is printed below
        print(scores_line(study.test(values.data, **reading)))
    assert study.tested is not None
    print(tested_model(study.tested))
    if before is not None:
        print(seen_before(before))
    if values.save is not None:
        try:
            _save_final(study, values, reading)
        except KeyboardInterrupt:
            raise KeyboardInterrupt("the scores are saved, the model is not") from None


def _save_final(study: Study, values: argparse.Namespace, reading: dict[str, Any]) -> None:
    model = study.final_run(values.data, **reading)
    model.save(values.save)
    rows = f"all {sum(study.sizes.values()):,} rows" if study.sizes else "all rows"
    print(
        f"saved: {values.save}, {trained_text(networks_of(model), rows, [member.epochs for member in study.members()])}"
    )


def predict_command(values: argparse.Namespace) -> None:
    """Write predictions for each row of a new file, in order, in the units and class names of the training data."""
    if values.output is not None:
        check_output("output", values.output, (".csv",))
    with _notes_in_one_line():
        model = _model(values)
        if values.probabilities and model.task == "regression":
            raise ValueError(f"probabilities must be of classes, but {values.model} predicts numbers; leave them out")
        kinds = _kinds(model)
        table = read_table(values.new, {**model.reading, **given_reading(values)}, kinds)
        lacking = [name for name in kinds if name not in table.names]
        if lacking:
            there = ", ".join(map(repr, table.names[:MOST_NAMES])) + ", …" * (len(table.names) > MOST_NAMES)
            raise ValueError(f"{values.new} must have a column {lacking[0]!r} as in training, but has {there}")
        names = model.target_names or ("prediction",)
        table = table.without(names)
        columns = dict(zip(names, np.atleast_2d(model.predict(table).T), strict=True))
        if values.probabilities:
            columns |= _probabilities(model, names, model.predict_proba(table))
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    text = csv_text(list(columns), rows)
    if values.output is None:
        print(text, end="")
        return
    with whole(values.output) as file:
        file.write_text(text, encoding="utf-8")


def _model(values: argparse.Namespace) -> Run | Ensemble:
    """Return the model of a file, or the one that a study ends in."""
    from nn import load

    if not _is_study(values.model):
        if values.data is not None:
            raise ValueError(f"data must be given with a study, but {values.model!r} is a saved model")
        return load(values.model)
    return Study.open(values.model).final_run(values.data)


def _is_study(path: str) -> bool:
    with contextlib.suppress(OSError), open(path, "rb") as file:
        return file.read(6) == b"SQLite"
    return False


def _kinds(model: Run | Ensemble) -> dict[str, str]:
    """Return the kind that each column was read as in training."""
    runs: Sequence[Any] = getattr(model, "runs", (model,))
    kinds: dict[str, str] = {}
    for run in runs:
        kinds |= dict.fromkeys(run.feature_names or (), "number") if run.encoding is None else run.encoding.kinds
    return kinds


def _probabilities(model: Run | Ensemble, targets: Sequence[str], shares: NDArray[Any]) -> dict[str, NDArray[Any]]:
    if model.class_names is None:  # labels in columns
        return {f"{name}=1": share for name, share in zip(targets, shares.T, strict=True)}
    return {f"{targets[0]}={name}": share for name, share in zip(model.class_names, shares.T, strict=True)}


@contextlib.contextmanager
def _notes_in_one_line() -> Iterator[None]:
    """Print each warning as a line on standard error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for line in dict.fromkeys(one_line(str(warning.message)) for warning in caught):
        print(f"nn-tuning: {line}", file=sys.stderr)
