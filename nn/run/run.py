"""A trained network, which predicts, scores and is saved."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn import compiled, files, notebook
from nn.checks import one_of
from nn.data import Dataset, Encoding, Scaling
from nn.metrics import PARTS, confusion_matrix, course_name, has_fixed_output, metric_of, r2_from_loss, shown_name
from nn.model import MLP
from nn.run.answers import measures, predictions, probabilities
from nn.run.history import History
from nn.run.inputs import Inputs
from nn.run.state import TrainState

Array = NDArray[Any]

# The fields of a run that are written as text.
PLAIN = (
    *("status", "reason", "diverged_step", "steps", "task", "class_names", "feature_names", "target_names"),
    *("flat", "reading"),
)


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """A trained network: its parameters and history, and how the training ended.

    Attributes:
        model: The network, with output and loss named.
        theta (array (P,)): The last parameters; under early stopping, those of the best epoch.
        history: The losses and scores of each epoch.
        status ({"completed", "diverged", "stopped"}): How the training ended.
        reason ({"", "early stopping", "target", "callback"}): Why it was stopped.
        diverged_step: The step, counted from 0, in which it diverged and whose update was not made.
        steps: The steps that were made.
        state: What a continuation starts from.
        task ({"classification", "regression", "multilabel"}): The task of the training data.
        scaling: The scaling of the data that the run was trained on.
        encoding: How the columns of a table become features; None where the data were an array.
        spread: The mean and spread of the training features, where they have no scaling.
        classes, class_names, feature_names, target_names: The labels in the order of the outputs, and the names of the
            data.
        flat: Whether regression targets are (N,) rather than (N, K).
        reading: Options of `nn.data.READING` by which a new file is to be read as that of the training was.
    """

    model: MLP
    theta: Array
    history: History
    status: str
    reason: str
    diverged_step: int | None
    steps: int
    state: TrainState
    task: str
    scaling: Scaling | None = None
    classes: Array | None = None
    class_names: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    target_names: tuple[str, ...] | None = None
    flat: bool = True
    encoding: Encoding | None = None
    spread: Scaling | None = None
    reading: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        scores = "".join(f", {name} {value:.4g}" for name, value in self.metrics.items())
        return f"Run({self.status}, {self.epochs:,} epochs{scores})"

    def _repr_html_(self) -> str:
        """Return the view in a notebook: how the run ended, its model and metrics, and the curves of its losses."""
        how = f"{self.status}{f' ({self.reason})' if self.reason else ''}"
        where = f" in step {self.diverged_step:,}" if self.diverged_step is not None else ""
        rows: list[tuple[str, str]] = [("model", repr(self.model)), ("parameters", f"{self.model.size:,}")]
        rows += [("epochs", f"{self.epochs:,}"), ("steps", f"{self.steps:,}")]
        rows += [(shown_name(name), f"{value:.4g}") for name, value in self.metrics.items()]
        epochs = np.arange(1, self.epochs + 1, dtype=np.float64)
        known = {f"{part}_loss": getattr(self.history, f"{part}_loss") for part in PARTS}
        lines = {course_name(name): (epochs, np.asarray(loss)) for name, loss in known.items() if loss is not None}
        picture = notebook.svg_curves(lines, "epoch", "loss", log_y=True, dots=self.epochs == 1)
        return notebook.html_box("Run", how + where, notebook.html_table(rows) + picture)

    @property
    def epochs(self) -> int:
        """The number of epochs that were completed."""
        return len(self.history)

    @property
    def metrics(self) -> dict[str, float]:
        """Losses and scores of the last completed epoch; of the best one under early stopping."""
        best = len(self.state.best_theta) > 0 and self.status != "diverged"
        return self.history.metrics(self.state.best_epoch if best else -1)

    def predict(self, X: Any, *, scaled: bool = False, **former: Any) -> Array:
        """Predict the targets of examples.

        Warns, in one line, of columns and categories that training did not have, and of inputs that look as if they
        were scaled already. Raises ValueError or TypeError for other features, NaN, or a Dataset that was scaled by
        other statistics.

        Args:
            X (array (N, D), frame or Dataset): Raw inputs, as they were before the data were split. The columns of a
                frame are found by their names, those of an array by their order. A Dataset knows whether it is scaled.
            scaled: Whether an array has the features as the network takes them, encoded and scaled, such as
                `split.test.X`.

        Returns:
            Labels as in the data's y (N,); numbers (N,) or (N, K); or 0/1 (N, K) in multilabel tasks. Numbers are in
                the units of the data; where the inputs are scaled, in those that scaled targets have.
        """
        outputs, unscale = self._outputs(X, scaled, former)
        return predictions(self.task, outputs, self.classes, self.scaling if unscale else None, self.flat)

    def predict_proba(self, X: Any, *, scaled: bool = False, **former: Any) -> Array:
        """Return probabilities (N, classes) in the order of `classes`, or (N, K) of each label alone.

        Arguments and errors are those of `predict`; regression and identity outputs, which have no probabilities, are a
        ValueError too.
        """
        probabilities(self.task, self.model.output, np.zeros((0, 1)))  # without these, inputs are not looked at
        outputs, _ = self._outputs(X, scaled, former)
        return probabilities(self.task, self.model.output, outputs)

    def evaluate(self, data: Dataset) -> dict[str, float]:
        """Score the run on a data set.

        Args:
            data: A part of the split, such as `split.validation`, or raw data, whose columns are found by their names
                and which is encoded and scaled as the training part was.

        Returns:
            The mean `"loss"`, in the units of training and without the penalty, and `"accuracy"` or `"r2"`; the metrics
                that the training was asked for are there too, but for those whose function a file can't hold.

        Raises:
            ValueError, TypeError: For data with another task, other features, other classes, or scaled by other
                statistics.
        """
        if not isinstance(data, Dataset):
            raise TypeError(f"data must be a Dataset, such as split.validation, but got {type(data).__name__}")
        one_of("task of the data", data.task, [self.task])
        data = self._inputs.dataset(data)
        if self.classes is not None and data.classes is not None and not np.array_equal(self.classes, data.classes):
            data = data.with_classes(self.classes)
        loss, right = compiled.score(self.model, self.theta, data)
        score = {"r2": float(r2_from_loss(loss, data.targets))} if self.task == "regression" else {"accuracy": right}
        scores = {"loss": loss, **score}
        names = [name for name in self.history.asked if metric_of(name).function is not None]
        names += ["validation_r2"] * (self.task == "regression" and has_fixed_output(data.targets))
        measured = measures(self.model, self.theta, data, names)
        return scores | {name.partition("_")[2]: value for name, value in measured.items()}

    def confusion(self, data: Dataset) -> NDArray[np.int64]:
        """Return how many examples of each class were predicted as which: true classes in rows, ordered as `classes`.

        Args:
            data: A part of the split, or raw data, as for `evaluate`.

        Returns:
            The matrix (K, K) of `nn.metrics.confusion_matrix`.

        Raises:
            TypeError: For what is no data set.
            ValueError: Where the run is no classification, or the data do not fit it.

        >>> from nn import MLP, load_dataset, train
        >>> split = load_dataset("iris").split(seed=0)
        >>> train(MLP((4, 8, 3)), split, epochs=50).confusion(split.validation)[0].tolist()
        [10, 0, 0]
        """
        if not isinstance(data, Dataset):
            raise TypeError(f"data must be a Dataset, such as split.validation, but got {type(data).__name__}")
        if self.classes is None or data.classes is None:
            task = self.task if self.classes is None else data.task
            raise ValueError(f"a confusion matrix must be of one class for each example, but the task is {task}")
        return confusion_matrix(data.y, self.predict(data), self.classes)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to an `.npz` file without pickle, which `nn.load` reads.

        The file appears whole or not at all; an older one of that name is replaced. Raises OSError where that fails.
        """
        files.write_run(path, *self.to_parts(), version=1 if self.encoding is None else 2)

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return the run as plain values, which JSON can hold, and arrays by name."""
        about = {"model": self.model.arguments, **{name: getattr(self, name) for name in PLAIN}}
        if self.encoding is not None:
            about["encoding"] = self.encoding.to_json()
        own = {metric.name: metric.to_json() for name in self.history.asked if (metric := metric_of(name)).own}
        if own:
            about["own_metrics"] = [*own.values()]
        arrays = {"theta": self.theta}
        for prefix, parts in (
            ("state", self.state.to_arrays()),
            ("history", vars(self.history) | {"layers": self.history.layers and self.history.layers.records}),
            ("scaling", {} if self.scaling is None else vars(self.scaling)),
            ("spread", {} if self.spread is None else vars(self.spread)),
        ):
            arrays |= {f"{prefix}.{name}": part for name, part in parts.items() if part is not None}
        if self.classes is not None:
            arrays["classes"] = self.classes
        return about, arrays

    @property
    def _inputs(self) -> Inputs:
        others = (*(self.target_names or ()), *self.reading.get("drop", ()))
        return Inputs(self.encoding, self.scaling, self.spread, self.feature_names, others)

    def _outputs(self, X: Any, scaled: bool, former: dict[str, Any]) -> tuple[Array, bool]:
        """Return the outputs (N, K) of the network, and whether the inputs were raw."""
        if former:
            name = next(iter(former))
            hint = (
                "; raw inputs are the default now, and scaled=True says that they are scaled" if name == "raw" else ""
            )
            raise TypeError(f"predictions must be asked for with X and scaled alone, but got {name}={hint}")
        if isinstance(X, Dataset):
            features, raw = self._inputs.dataset(X).X, not X.settled
        else:
            features, raw = (X, False) if scaled else (self._inputs.of(X), True)
        return compiled.outputs_of(self.model, self.theta, features), raw
