"""`Ensemble`: several runs that answer together by the mean of their answers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn import files, notebook
from nn.checks import one_of
from nn.data import Dataset
from nn.metrics import accuracy, cross_entropy, r2, squared_error
from nn.run.run import Run

Array = NDArray[Any]


class Ensemble:
    """Runs on the same task, such as those of folds, each with its own encoding and scaling.

    Probabilities, and in regression numbers in the units of the data, are the means over the runs.

    Args:
        runs: At least one. Raises ValueError or TypeError unless all have the same task, classes and targets.

    >>> from nn import MLP, Ensemble, load_dataset, train
    >>> data = load_dataset("iris")
    >>> team = Ensemble([train(MLP((4, 8, 3)), split) for split in data.folds(3)])
    >>> team
    Ensemble(3 runs, classification)
    >>> team.predict(data.X[:2]).tolist()
    [0, 0]
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = tuple(runs)
        if not self.runs or not all(isinstance(run, Run) for run in self.runs):
            raise TypeError("an ensemble must be of one run or more, but got none or something else")
        first = self.runs[0]
        for run in self.runs[1:]:
            if run.task != first.task:
                raise ValueError(f"the runs must have one task, but have {first.task} and {run.task}")
            if not np.array_equal(_form(run), _form(first)) or run.flat != first.flat:
                raise ValueError("the runs must have the same classes or columns of targets, but have different ones")
        self.task = first.task
        self.classes = first.classes
        self.class_names = first.class_names
        self.target_names = first.target_names
        self.reading = first.reading

    def __repr__(self) -> str:
        return f"Ensemble({len(self.runs):,} {'run' if len(self.runs) == 1 else 'runs'}, {self.task})"

    def _repr_html_(self) -> str:
        """Return the view in a notebook: the runs with their models, epochs and metrics."""
        rows = [(f"run {number}", f"{run.model}: {run}") for number, run in enumerate(self.runs, 1)]
        return notebook.html_box("Ensemble", f"{len(self.runs):,} runs, {self.task}", notebook.html_table(rows))

    def predict(self, X: Any) -> Array:
        """Predict the targets of raw examples, which are given and answered as in `Run.predict`.

        Classes are those with the largest mean probability; a label in columns holds where that is above one half.
        """
        if self.task == "regression":
            _refuse_scaled(X)
            return np.asarray(np.mean([run.predict(X) for run in self.runs], axis=0))
        shares = self.predict_proba(X)
        if self.task == "multilabel":
            return (shares > 0.5).astype(np.int64)
        assert self.classes is not None
        return self.classes[shares.argmax(axis=1)]

    def predict_proba(self, X: Any) -> Array:
        """Return the mean probabilities (N, classes) in the order of `classes`, or (N, K) of each label alone."""
        _refuse_scaled(X)
        return np.asarray(np.mean([run.predict_proba(X) for run in self.runs], axis=0, dtype=np.float64))

    def evaluate(self, data: Dataset) -> dict[str, float]:
        """Score the mean answers on raw data.

        Returns:
            The `"loss"`, of regression in the units of the data, and `"accuracy"` or `"r2"`.

        Raises:
            ValueError, TypeError: For data with another task or other features, and for parts that are scaled.
        """
        if not isinstance(data, Dataset):
            raise TypeError(f"data must be a Dataset, but got {type(data).__name__}")
        one_of("task of the data", data.task, [self.task])
        if self.task == "regression":
            answer = self.predict(data)
            return {"loss": squared_error(data.y, answer), "r2": r2(data.y, answer)}
        shares = self.predict_proba(data)
        if self.task == "multilabel":
            truth, sure = data.targets, np.clip(shares, 1e-300, 1.0)
            against = np.clip(1 - shares, 1e-300, 1.0)
            loss = -(truth * np.log(sure) + (1 - truth) * np.log(against)).sum(axis=1).mean()
            return {"loss": float(loss), "accuracy": accuracy(truth, shares > 0.5)}
        assert self.classes is not None
        codes = data.with_classes(self.classes).targets
        return {"loss": cross_entropy(codes, shares), "accuracy": accuracy(codes, shares.argmax(axis=1))}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all runs to one `.npz` file without pickle, which `nn.load` reads; as `Run.save`."""
        parts = [run.to_parts() for run in self.runs]
        arrays = {f"{i}.{name}": array for i, (_, own) in enumerate(parts) for name, array in own.items()}
        files.write_run(path, {"runs": [about for about, _ in parts]}, arrays, version=2)


def _form(run: Run) -> Array:
    """Return what the outputs stand for: classes, or as many numbers as there are columns."""
    return np.zeros(run.model.layer_sizes[-1]) if run.classes is None else run.classes


def _refuse_scaled(X: Any) -> None:
    if isinstance(X, Dataset) and X.settled:
        raise ValueError(
            "the inputs of an ensemble must be raw, since each run scales by its own statistics, but they are scaled; "
            "give the data that was not split yet"
        )
