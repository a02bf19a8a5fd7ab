"""The results of training: `Run`, with its `History`, and the `TrainState` that it can be continued from."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nn import compiled, files, notebook, reference
from nn._arrays import aligned
from nn.checks import one_of
from nn.data import Dataset, Scaling
from nn.metrics import PARTS, course_name, metric_of, names_of, r2_from_loss, shown_name
from nn.model import MLP

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class LayerHistory:
    """Each layer in the course of a run: float64 arrays (epochs, layers), first layer first.

    `weight_norm` is ‖W‖ at the end of the epoch. `gradient_norm` and `update_norm` are ‖dW‖, before clipping, and ‖ΔW‖,
    without weight decay, in the last step of the epoch.

    `dead` and `saturated` (epochs, layers − 1) are shares of the units of each hidden layer, over the examples of the
    epoch, each seen by the parameters of its own step: `dead` of relu units that were 0 for all of them, `saturated` of
    tanh and logistic units whose mean slope was at most 1 % of the largest. They are NaN for other activations.
    """

    records: Array  # (4 · layers, epochs)
    activation: str

    @property
    def weight_norm(self) -> Array:
        return self._of(reference.WEIGHT_NORMS)

    @property
    def gradient_norm(self) -> Array:
        return self._of(reference.GRADIENT_NORMS)

    @property
    def update_norm(self) -> Array:
        return self._of(reference.UPDATE_NORMS)

    @property
    def dead(self) -> Array:
        return self._idle(self.activation == "relu")

    @property
    def saturated(self) -> Array:
        return self._idle(self.activation != "relu")

    def curves(self) -> dict[str, Array]:
        """Return each of the arrays that apply layer by layer, (epochs,), under such names as "layer_1_weight_norm"."""
        idle = {"relu": ["dead"], "tanh": ["saturated"], "logistic": ["saturated"]}.get(self.activation, [])
        tables = {name: getattr(self, name).T for name in ("weight_norm", "gradient_norm", "update_norm", *idle)}
        return {f"layer_{i}_{name}": line for name, table in tables.items() for i, line in enumerate(table, 1)}

    def _of(self, kind: int) -> Array:
        return self.records.reshape(4, -1, self.records.shape[1])[kind].T

    def _idle(self, known: bool) -> Array:
        shares = self._of(reference.IDLE_SHARES)[:, :-1]
        return shares if known else np.full_like(shares, np.nan)


@dataclass(frozen=True, eq=False)
class History:
    """The course of a run: float64 arrays (epochs,) with one value for each epoch that was completed.

    Training losses and scores are means over the examples of the epoch, each seen by the parameters of its own step;
    validation is scored at the end of the epoch. Losses are without the L2 penalty. A column that does not apply is
    None: accuracy in regression, R² elsewhere, validation where nothing is held out.

    `gradient_norm` and `update_norm` are means over the steps of ‖g‖, before clipping, and of ‖Δθ‖, without weight
    decay; `layers` has those of each layer, and the shares of its units that learn nothing. With `record_steps`,
    `step_loss` (steps,) is the loss of each mini-batch before its update.
    """

    train_loss: Array
    validation_loss: Array | None
    train_accuracy: Array | None
    validation_accuracy: Array | None
    train_r2: Array | None
    validation_r2: Array | None
    gradient_norm: Array
    update_norm: Array
    step_loss: Array | None = None
    layers: LayerHistory | None = None

    @classmethod
    def of(cls, columns: Mapping[str, Any]) -> History:
        """Return the history with these columns; those beside the fields are metrics that were asked for."""
        known = {name: columns.get(name) for name in cls.__dataclass_fields__}
        history = cls(**known)  # type: ignore[arg-type]
        for name in filter(lambda name: name not in known, columns):
            vars(history)[one_of("column of a history", name, names_of())] = columns[name]
        return history

    @property
    def asked(self) -> list[str]:
        """The names of the metrics that were asked for."""
        return [name for name in names_of() if name in vars(self) and name not in self.__dataclass_fields__]

    def __getattr__(self, name: str) -> Any:
        """Return None for a metric that was not asked for."""
        if name in names_of():
            return None
        raise AttributeError(f"a History has no {name!r}")

    def __len__(self) -> int:
        return len(self.train_loss)

    def metrics(self, epoch: int = -1) -> dict[str, float]:
        """Return the losses and scores of an epoch, by default the last, by name; NaN where none was completed."""
        columns = vars(self)
        return {
            name: float(values[epoch]) if len(values) else float("nan")
            for name in names_of()
            if (values := columns.get(name)) is not None
        }


def measures(model: MLP, theta: Array, data: Dataset, names: Sequence[str]) -> dict[str, float]:
    """Return metrics that are computed where they are asked for, by name, from one pass over a data set."""
    outputs = compiled.outputs_of(model, theta, data.X) if names else np.empty(0)
    return {name: metric_of(name).value(data.task, data.targets, outputs) for name in names}


@dataclass(eq=False)
class TrainState:
    """Everything that `train(…, resume=run.state)` needs to continue a run to the last bit.

    `settings` says in words what the run was started with, so that a continuation with other settings is refused.
    """

    settings: dict[str, Any]
    step: int
    theta: Array  # (P,) the last parameters, whichever were the best
    first: Array  # (P,) velocity, or Adam's first moment; empty where not needed
    second: Array  # (P,) Adam's second moment, or empty
    totals: Array  # (6 + H,) sums of the epoch under way, those of the slopes of hidden units among them
    history: Array  # (epochs, 6 + 4L + M) as the kernels write it, and the metrics that were asked for
    step_loss: Array  # (steps,) or empty
    start_loss: float = float("nan")
    best_theta: Array = field(default_factory=lambda: np.empty(0))
    best_value: float = float("nan")
    best_epoch: int = -1
    status: str = "running"  # running completed diverged stopped
    reason: str = ""

    _ARRAYS = ("theta", "first", "second", "totals", "history", "step_loss", "best_theta")

    def to_arrays(self) -> dict[str, Array]:
        """Return the state as named arrays of numbers and text, which can be stored anywhere; nothing is lost."""
        numbers = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in self._ARRAYS}
        for name in ("start_loss", "best_value"):
            numbers[name] = float(numbers[name]).hex()
        return {"state": np.array(json.dumps(numbers)), **{name: getattr(self, name) for name in self._ARRAYS}}

    @classmethod
    def from_arrays(cls, arrays: dict[str, Array]) -> TrainState:
        """Return the state that `to_arrays` was called on. Raises ValueError where a part is missing or foreign."""
        try:
            numbers = json.loads(str(arrays["state"]))
            for name in ("start_loss", "best_value"):
                numbers[name] = float.fromhex(numbers[name])
            numbers |= {name: np.array(arrays[name]) for name in cls._ARRAYS}
            return cls(**numbers)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"a training state must have all its parts, but {error} is missing or wrong") from error

    def copy(self) -> TrainState:
        """Return a copy that shares no array with this one."""
        arrays: dict[str, Any] = {name: aligned(getattr(self, name)) for name in self._ARRAYS}
        others = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in self._ARRAYS}
        return TrainState(**others, **arrays)


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
        classes, class_names, feature_names: The labels in the order of the outputs, and the names of the data.
        flat: Whether regression targets are (N,) rather than (N, K).
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
    flat: bool = True

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

    def predict(self, X: ArrayLike | Dataset, *, raw: bool = False) -> Array:
        """Predict the targets of examples.

        Raises ValueError or TypeError for other features, NaN, or a Dataset that was scaled by other statistics.

        Args:
            X (array (N, D) or Dataset): Features in the units that the run was trained in, such as `split.test.X`. A
                Dataset knows its units.
            raw: Take the features of an array as they were before the split scaled them, and give numbers in the units
                that targets had before.

        Returns:
            Labels as in the data's y (N,); numbers (N,) or (N, K); or 0/1 (N, K) in multilabel tasks.
        """
        outputs, unscale = self._outputs(X, raw)
        if self.task == "multilabel":
            return (outputs > 0.5).astype(np.int64)
        if self.task == "regression":
            values = outputs.astype(np.float64)
            if unscale:
                assert self.scaling is not None
                values = self.scaling.inverse_targets(values)
            return values[:, 0] if self.flat else values
        assert self.classes is not None
        if outputs.shape[1] == 1:
            return self.classes[(outputs[:, 0] > 0.5).astype(np.int64)]
        return self.classes[outputs.argmax(axis=1)]

    def predict_proba(self, X: ArrayLike | Dataset, *, raw: bool = False) -> Array:
        """Return probabilities (N, classes) in the order of `classes`, or (N, K) of each label alone.

        Arguments and errors are those of `predict`; regression and identity outputs, which have no probabilities, are a
        ValueError too.
        """
        if self.model.output == "identity" or self.task == "regression":
            raise ValueError(f"probabilities need a softmax or logistic output, but got {self.model.output}")
        outputs, _ = self._outputs(X, raw)
        if self.task == "multilabel" or self.model.output == "softmax":
            return outputs
        if outputs.shape[1] == 1:
            return np.hstack([1 - outputs, outputs])
        return outputs / outputs.sum(axis=1, keepdims=True)

    def evaluate(self, data: Dataset) -> dict[str, float]:
        """Score the run on a data set.

        Args:
            data: A part of the split, such as `split.validation`, or raw data, which is scaled as the training part
                was.

        Returns:
            The mean `"loss"`, in the units of training and without the penalty, and `"accuracy"` or `"r2"`; the metrics
                that the training was asked for are there too.

        Raises:
            ValueError, TypeError: For data with another task, other features, other classes, or scaled by other
                statistics.
        """
        if not isinstance(data, Dataset):
            raise TypeError(f"data must be a Dataset, such as split.validation, but got {type(data).__name__}")
        one_of("task of the data", data.task, [self.task])
        data = self._scaled(data)
        if self.classes is not None and data.classes is not None and not np.array_equal(self.classes, data.classes):
            data = data.with_classes(self.classes)
        loss, right = compiled.score(self.model, self.theta, data)
        score = {"r2": float(r2_from_loss(loss, data.targets))} if self.task == "regression" else {"accuracy": right}
        scores = {"loss": loss, **score}
        measured = measures(self.model, self.theta, data, self.history.asked)
        return scores | {name.partition("_")[2]: value for name, value in measured.items()}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to an `.npz` file without pickle, which `nn.load` reads.

        The file appears whole or not at all; an older one of that name is replaced. Raises OSError where that fails.
        """
        about = {"model": self.model.arguments, **{name: getattr(self, name) for name in _PLAIN}}
        arrays = {"theta": self.theta}
        for prefix, parts in (
            ("state", self.state.to_arrays()),
            ("history", vars(self.history) | {"layers": self.history.layers and self.history.layers.records}),
            ("scaling", {} if self.scaling is None else vars(self.scaling)),
        ):
            arrays |= {f"{prefix}.{name}": part for name, part in parts.items() if part is not None}
        if self.classes is not None:
            arrays["classes"] = self.classes
        files.write_run(path, about, arrays)

    def _outputs(self, X: ArrayLike | Dataset, raw: bool) -> tuple[Array, bool]:
        """Return the outputs (N, K) of the network, and whether regression values are to be given in raw units."""
        unscale = raw and self.scaling is not None and self.scaling.target_mean is not None
        if isinstance(X, Dataset):
            unscale = unscale or (X.scaling is None and self.scaling is not None and self.task == "regression")
            X = self._scaled(X).X
        elif raw and self.scaling is not None:
            X = self.scaling.transform(X)
        return compiled.outputs_of(self.model, self.theta, X), unscale

    def _scaled(self, data: Dataset) -> Dataset:
        if data.scaling is None and self.scaling is not None:
            return data.scaled_by(self.scaling)
        if data.scaling is not None and not (self.scaling and self.scaling.equals(data.scaling)):
            raise ValueError(
                "the data must be raw or scaled as the run's own was, but was scaled with other statistics; "
                "give the data that was not split yet, or a part of the same split"
            )
        return data


# The fields of a run that are written as text.
_PLAIN = ("status", "reason", "diverged_step", "steps", "task", "class_names", "feature_names", "flat")


def load(path: str | os.PathLike[str]) -> Run:
    """Read a run that `Run.save` wrote, which then predicts, scores and resumes as before. Nothing in it is executed.

    Raises ValueError, in one line, for a file that is missing, truncated, foreign or of a newer version.
    """
    about, arrays = files.read_run(path)
    try:
        return _run(about, arrays)
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        raise ValueError(
            f"{os.fspath(path)!r} must be a whole run, but a part of it is missing or damaged: {error}"
        ) from error


def _run(about: dict[str, Any], arrays: dict[str, Array]) -> Run:
    def under(prefix: str) -> dict[str, Array]:
        return {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}

    history: dict[str, Any] = dict.fromkeys(History.__dataclass_fields__) | under("history.")
    shapes = {getattr(history[column], "shape", None) for column in ("train_loss", "gradient_norm", "update_norm")}
    if shapes != {(len(arrays["state.history"]),)}:
        raise ValueError("history must have the training loss and the norms of all epochs")
    scaling = under("scaling.")
    plain = {name: about[name] for name in _PLAIN}
    for name in ("class_names", "feature_names"):
        plain[name] = None if plain[name] is None else tuple(plain[name])
    arguments: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in about["model"].items()}
    model, theta = MLP(**arguments), arrays["theta"]
    if history["layers"] is not None:
        history["layers"] = LayerHistory(history["layers"], model.activation)
    if theta.shape != (model.size,) or theta.dtype != model.dtype:
        raise ValueError(f"theta must be {model.dtype} ({model.size},), but is {theta.dtype} {theta.shape}")
    return Run(
        model=model,
        theta=theta,
        history=History.of(history),
        state=TrainState.from_arrays(under("state.")),
        scaling=Scaling(**scaling) if scaling else None,
        classes=arrays.get("classes"),
        **plain,
    )
