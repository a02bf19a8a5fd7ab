"""The engine's one door to `nn`: it turns a setting into a model, an optimizer and a schedule, and trains them.

Data are loaded, split and scaled once for a study. Threads share the parts, which nobody writes to; another process
loads them again by the name or path they came from, or gets them with each trial.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import islice, product
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from nn.checks import batch_size, integer, one_of, unknown_name
from nn.metrics import PARTS, Metric, accuracy, metric_of, names_of, r2_from_loss, squared_error
from nn.optimizers import OPTIMIZERS, Optimizer
from tuning.parts import known_schedules, optimizer_of, schedule_of, takes, used_under
from tuning.source import SPLIT, Source, splits_of
from tuning.space import BESIDE, DEFAULTS, PARAMETERS, Parameter, Space, Value, conditioned, takers
from tuning.store import COMPLETED, DIVERGED, DataDescription, TrialResult, TrialSpec, best_epoch

if TYPE_CHECKING:
    from nn.data import Split
    from nn.model import MLP
    from nn.run import Run, TrainState
    from nn.schedules import Schedule

_CHECKED_COMBINATIONS = 4096


@dataclass(eq=False, repr=False)
class Objective:
    """Trains a `TrialSpec` on its part of the data; calling it returns the `TrialResult`.

    Args:
        splits: One, or one for each fold.
        folds: The number of folds, None where there is one split.
        source: Where the data came from, so that another process can load them by itself.
        asked: Metrics to follow beside those that every training has.
        curves: "layers", where the curves of a trial are those of its layers too.
        early_stopping: The epochs without a lower validation loss after which a trial ends; it keeps its best epoch.
        class_weight: "balanced", where all classes have the same total weight.
        own_metric: The one among `asked` that is the user's own, with its function.
    """

    splits: tuple[Split, ...]
    folds: int | None = None
    source: Source | None = None
    asked: tuple[str, ...] = ()
    curves: str | None = None
    early_stopping: int | None = None
    class_weight: str | None = None
    own_metric: Metric | None = None
    model = None  # a network of nn
    trains, in_processes = True, False  # its kernels hold no GIL

    def __post_init__(self) -> None:
        self.train_size = min(len(split.train) for split in self.splits)
        self.task: str = self.splits[0].train.task
        self._model = lru_cache(maxsize=256)(self._make_model)

    @classmethod
    def prepare(cls, data: Any, folds: int | None = None, reading: Mapping[str, Any] | None = None) -> Self:
        """Return the objective on `data`: what `nn.load_dataset` takes, a Dataset, or a Split.

        With `folds`, cross-validation over everything that is not test takes the place of the validation part;
        `reading` are options of `nn.data.READING` for a file. Raises what loading and splitting raise.
        """
        folds = None if folds is None else integer("folds", folds, 2)
        source = Source.of(data, reading or {})
        return cls(splits_of(data, folds, reading or {}), folds, source)

    def __reduce__(self) -> tuple[Any, ...]:
        how = self.asked, self.curves, self.early_stopping, self.class_weight, self.own_metric
        if self.source is not None:
            return _objective_of_source, (self.source.text, self.folds, self.description.fingerprint, how)
        return Objective, (self.splits, self.folds, None, *how)

    def folded(self, folds: int | None) -> Self:
        """Return the objective of a cross-validation over everything that is not test; itself where folds is None."""
        if folds is None:
            return self
        return replace(self, splits=tuple(self.splits[0].folds(folds, SPLIT["seed"])), folds=folds)

    def portable(self) -> Self:
        """Return the same objective, which, pickled, carries its data: for machines that lack the files."""
        return replace(self, source=None)

    def following(self, *metrics: str, curves: str | None = None, own_metric: Metric | None = None) -> Self:
        """Return the objective whose trials have these metrics and curves too. Raises ValueError for unknown ones.

        `own_metric` is the one that is the user's own, in the place of that which is known by its name.
        """
        if curves is not None:
            one_of("curves", curves, ["layers"])
        names = names_of(self.task)
        asked = tuple(name for name in metrics if one_of("metric", name, names) not in self.metrics)
        if not asked and curves is None:
            return self
        known = own_metric or next((metric for metric in map(metric_of, asked) if metric.own), self.own_metric)
        if known is not None:
            known.check(self.task)
        return replace(self, asked=(*self.asked, *asked), curves=curves or self.curves, own_metric=known)

    def training_with(self, early_stopping: int | None, class_weight: str | None) -> Self:
        """Return the objective whose trials are trained in this way. Raises ValueError for what does not fit."""
        if early_stopping is None and class_weight is None:
            return self
        if early_stopping is not None:
            early_stopping = integer("early_stopping", early_stopping, 1)
        if class_weight is not None:
            one_of("class_weight", class_weight, ["balanced"])
            if self.task != "classification":
                raise ValueError(f"class_weight must be None for {self.task}, but got {class_weight!r}")
        return replace(self, early_stopping=early_stopping, class_weight=class_weight)

    # -- what a study writes down ------------------------------------------------------------------------------

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics of a trial."""
        always = [name for name in names_of(self.task) if metric_of(name).always]
        return (*(name for part in PARTS for name in always if name.startswith(f"{part}_")), *self.asked)

    @property
    def sizes(self) -> dict[str, int]:
        """The numbers of examples for training, validation and test, in the first fold where there are folds."""
        return {part: len(rows) for part, rows in self.splits[0].rows.items()}

    @cached_property
    def guess(self) -> dict[str, float]:
        """The scores of the best constant answer: the commonest class or the mean of the targets of the training part.

        Means over the folds where there are folds. The losses are there where classes are answered by their shares.
        """
        scores = [_constant_scores(split) for split in self.splits]
        means = {name: sum(score[name] for score in scores) / len(scores) for name in scores[0]}
        return {name: value for name, value in means.items() if math.isfinite(value)}

    @cached_property
    def description(self) -> DataDescription:
        """The identity of the data and of their split, which covers every number that is trained and scored on.

        What has been split as it was read has the identity of its source, its rows, and how a table was encoded; parts
        that were made or changed by hand have that of their own numbers.
        """
        split = self.splits[0]
        rows = hashlib.sha256()
        for each in self.splits:
            for part in ("train", "validation", "test"):
                rows.update(f"{part} {len(each.rows[part])}".encode())
                rows.update(each.rows[part].astype("<i8").tobytes())
        fingerprint, shown = self._fingerprint(), rows.hexdigest()[:16]
        return DataDescription(split.train.name, self.task, fingerprint, shown, bool(split.scaled))

    def _fingerprint(self) -> str:
        source = self.splits[0].source
        if source is None or not (self.folds or self.splits[0].derived):  # folds are made from their source
            return _digest([split.fingerprint for split in self.splits])
        if source.table is None or source.settled:
            return source.fingerprint
        codes = [split.train.encoding for split in self.splits]
        return _digest([source.fingerprint, *(code.to_json() for code in codes if code is not None)])

    # -- checks, before anything is trained --------------------------------------------------------------------

    def check(self, space: Space) -> None:
        """Raise ValueError or TypeError unless every setting of the space can be trained."""
        for name in space.names:
            if name in BESIDE:
                raise ValueError(f"{name} must be given {BESIDE[name]}, but got it as a parameter")
            if name not in PARAMETERS:
                raise unknown_name("a parameter", name, PARAMETERS)
        for variant in islice(space.variants(), _CHECKED_COMBINATIONS):
            self._check_flat(variant)

    def _check_flat(self, parameters: Mapping[str, Parameter]) -> None:
        ends = {name: parameter.ends for name, parameter in parameters.items()}
        optimizers = set(ends.get("optimizer", (DEFAULTS["optimizer"],)))
        schedules = set(ends.get("schedule", (None,)))
        for name in ends:
            self._check_used(name, optimizers, schedules)
        # Each value by itself first, so that the message is about the one that is wrong; then what they do together.
        last = {name: values[-1] for name, values in ends.items()}
        for name, values in ends.items():
            for value in values[:_CHECKED_COMBINATIONS]:
                self.build({**last, name: value})
        for values in islice(product(*ends.values()), _CHECKED_COMBINATIONS):
            self.build(dict(zip(ends, values, strict=True)))

    def _check_used(self, name: str, optimizers: set[Any], schedules: set[Any]) -> None:
        part = PARAMETERS[name].part
        if part == "optimizer" and not optimizers & {*takers(name)} and optimizers <= OPTIMIZERS.keys():
            given = " or ".join(known for known in OPTIMIZERS if known in optimizers)
            raise ValueError(f"{name} must go with optimizer {' or '.join(takers(name))}, but the optimizer is {given}")
        if part == "schedule":
            having = [known for known in known_schedules() if takes(known, name)]
            if not schedules & set(having):
                given = " or ".join(map(str, schedules - {None})) or "not given"
                raise ValueError(f"{name} must go with schedule {' or '.join(having)}, but the schedule is {given}")

    def conditioned(self, space: Space) -> Space:
        """Return the space with each parameter under the choices that take it; see `tuning.space.conditions`."""
        return conditioned(space, used_under)

    # -- from a setting to what is trained ---------------------------------------------------------------------

    def build(
        self, params: Mapping[str, Value], split: Split | None = None
    ) -> tuple[MLP, Optimizer, int | str, Schedule | None]:
        """Return model, optimizer, batch size and schedule of a setting; raises what their constructors raise.

        The model has the inputs of `split`, by default the first: folds may differ in what categories become.
        """
        part = (split or self.splits[0]).train
        hidden = params.get("hidden_units", DEFAULTS["hidden_units"])
        if hidden is None or hidden == 0:
            raise ValueError(f"hidden_units must be an integer of at least 1, but got {hidden}; () has no hidden layer")
        layers = tuple(integer("hidden_units", n, 1) for n in (hidden if isinstance(hidden, tuple) else (hidden,)))
        own = ((n, value) for n, value in params.items() if n != "hidden_units" and PARAMETERS[n].part == "model")
        model = self._model((part.n_features, *layers, part.n_outputs), *own)
        size = batch_size(params.get("batch_size"), self.train_size)
        optimizer = optimizer_of(params)
        model.rate_multipliers(optimizer)  # as many as there are layers
        return model, optimizer, size, schedule_of(params)

    def _make_model(self, layers: tuple[int, ...], *options: tuple[str, Any]) -> MLP:
        from nn.model import MLP

        return MLP(layers, **dict(options)).for_task(self.task)

    def __call__(self, spec: TrialSpec) -> TrialResult:
        """Train one trial. What goes wrong in it becomes its result; only KeyboardInterrupt and the like pass."""
        start = time.perf_counter()
        try:
            run = self.run(spec)
            history = run.history
            curves = {name: np.asarray(getattr(history, name), dtype=np.float64) for name in self.metrics}
            best = None if self.early_stopping is None or run.status == "diverged" else best_epoch(curves)
            at = -1 if best is None else best - 1
            metrics = {name: float(curve[at]) for name, curve in curves.items() if len(curve)}
            if self.curves is not None and history.layers is not None:
                curves |= history.layers.curves()
            losses = (value for name, value in metrics.items() if name.endswith("_loss"))  # a score may be undefined
            diverged = run.status == "diverged" or not all(map(math.isfinite, losses))
            return TrialResult(
                DIVERGED if diverged else COMPLETED,
                metrics,
                curves,
                len(curves["train_loss"]),
                time.perf_counter() - start,
                (run.diverged_step if run.diverged_step is not None else run.steps) if diverged else None,
                checkpoint=_packed(run.state.to_arrays()) if spec.continues and not diverged else None,
            )
        except Exception as error:  # a trial that fails must not take the others with it
            return TrialResult.of_error(error, time.perf_counter() - start)

    def start(self, params: Mapping[str, Value], seed: int, fold: int | None = None) -> dict[str, float]:
        """Return the losses of a trial before its first step, by metric; of data that are not in memory, none.

        They take no compiler: the mathematics in NumPy are enough.
        """
        from nn.reference import SOFTMAX_CROSS_ENTROPY, forward, loss_forward

        split = self.splits[fold or 0]
        model = self.build(params, split)[0]
        losses: dict[str, float] = {}
        for where, data in zip(PARTS, (split.train, split.validation), strict=True):
            if data is not None and isinstance(data.X, np.ndarray):
                y = data.targets
                y = y if model.network.output == SOFTMAX_CROSS_ENTROPY else y.reshape(len(data), -1)
                A, _, Z = forward(model.network, model.init(seed), data.X)
                losses[f"{where}_loss"] = loss_forward(Z, A[-1], y, model.network.output) / len(data)
        return losses

    def run(self, spec: TrialSpec, split: Split | None = None) -> Run:
        """Train one trial and return its run; on `split`, by default that of its fold.

        Where that has no validation part, nothing stops early, and what is asked for is followed in training.
        """
        from nn.training import train

        split = split or self.splits[spec.fold or 0]
        model, optimizer, size, schedule = self.build(spec.params, split)
        asked = self.asked
        if split.validation is None:
            asked = tuple(dict.fromkeys(name.replace("validation_", "train_", 1) for name in asked))
        if schedule is not None and schedule.takes_length and schedule.steps is None:
            steps = -(-len(split.train) // (len(split.train) if size == "full" else int(size)))
            schedule = replace(schedule, steps=(spec.horizon or spec.epochs) * steps)
        run = train(
            model,
            split,
            optimizer,
            batch_size=size,
            epochs=spec.epochs,
            seed=spec.seed,
            schedule=schedule,
            metrics=asked if self.own_metric is None else (*asked, self.own_metric),
            early_stopping=None if split.validation is None else self.early_stopping,
            class_weight=self.class_weight,
            resume=None if spec.checkpoint is None else _unpacked(spec.checkpoint),
        )
        return self.with_reading(run)

    def with_reading(self, run: Run) -> Run:
        """Return a run that knows which cells of its file were missing and which columns were dropped by name."""
        given = {} if self.source is None else self.source.reading
        by = given.get("split_by", ())
        unused = [*given.get("drop", ()), *([by] if isinstance(by, str) else by)]
        known = {"missing": given.get("missing"), "drop": [name for name in unused if isinstance(name, str)]}
        known = {name: values for name, values in known.items() if values}
        return replace(run, reading=known) if known else run


def _packed(arrays: dict[str, NDArray[Any]]) -> bytes:
    """Return arrays as bytes: a line of JSON with names, dtypes and shapes, and the numbers one after another.

    A trial of a few epochs takes less time than the archive of an NPZ file: without that, halving takes two thirds of
    the time.
    """
    kinds = [(name, array.dtype.str, array.shape) for name, array in arrays.items()]
    return b"\n".join([json.dumps(kinds).encode(), b"".join(array.tobytes() for array in arrays.values())])


def _unpacked(checkpoint: bytes) -> TrainState:
    from nn.run import TrainState

    head, _, numbers = checkpoint.partition(b"\n")
    arrays, start = {}, 0
    for name, dtype, shape in json.loads(head):
        count = math.prod(shape)
        arrays[name] = np.frombuffer(numbers, dtype, count, start).reshape(shape)
        start += arrays[name].nbytes
    return TrainState.from_arrays(arrays)


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _constant_scores(split: Split) -> dict[str, float]:
    """Return the losses and scores of the best constant answer of the training part, on it and on the validation part.

    Losses are not given for labels in columns.
    """
    scores, answer = {}, split.train.targets
    for part, data in zip(PARTS, (split.train, split.validation), strict=True):
        assert data is not None
        truth = data.targets
        if data.task == "regression":
            scores[f"{part}_loss"] = squared_error(truth, np.broadcast_to(answer.mean(axis=0), truth.shape))
            scores[f"{part}_r2"] = float(r2_from_loss(scores[f"{part}_loss"], truth))
        elif data.task == "multilabel":
            scores[f"{part}_accuracy"] = accuracy(truth, np.broadcast_to(answer.mean(axis=0) > 0.5, truth.shape))
        else:
            shares = np.bincount(answer, minlength=int(truth.max()) + 1) / len(answer)
            with np.errstate(divide="ignore"):
                scores[f"{part}_loss"] = float(-np.log(shares[truth]).mean())
            scores[f"{part}_accuracy"] = float(np.mean(truth == shares.argmax()))
    return scores


@lru_cache(maxsize=4)
def _objective_of_source(source: str, folds: int | None, fingerprint: str, how: tuple[Any, ...]) -> Objective:
    """Return the objective in a worker process, which loads its data once."""
    origin = Source.from_text(source)
    objective = Objective.prepare(origin.name, folds, origin.reading)
    found = objective.description.fingerprint
    if found != fingerprint:
        raise ValueError(
            f"{origin.name!r} must hold the study's data, {fingerprint[:12]}…, but here it holds {found[:12]}…"
        )
    return Objective(objective.splits, folds, origin, *how)
