"""Any estimator of scikit-learn's kind as the objective of a sweep, on the same splits as a network's study."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from nn.checks import brief, one_of, unknown_name
from nn.metrics import PARTS, accuracy, log_loss, metric_of, names_of, r2, squared_error
from tuning.objective import Objective
from tuning.objectives.code import Code, name_of
from tuning.source import Source
from tuning.space import Space, Value
from tuning.store import COMPLETED, DataDescription, Definition, TrialResult, TrialSpec, now

if TYPE_CHECKING:
    from nn.data import Dataset, Split

_CHECKED_VALUES = 256


@dataclass(eq=False, repr=False)
class EstimatorObjective:
    """Fits an estimator for each `TrialSpec`; calling it returns the scores on the held-out part.

    Features are encoded and filled by the training part, as for a network, and not scaled. Targets are not either, but
    errors of a regression are in the units of a network's, whose targets are scaled, so that both can be compared.
    Where `random_state` is None, in the estimator or in one inside it, it is the seed of the trial.

    Args:
        data: The objective of a network on the same data, which has the splits.
        estimator: Cloned for each trial; parameters of the space replace its own.
        asked: Metrics to compute beside those that every trial has.
    """

    data: Objective
    estimator: Any
    asked: tuple[str, ...] = ()
    trains = False
    early_stopping = class_weight = own_metric = None
    _parts: dict[int, Split] = field(default_factory=dict, init=False)

    @classmethod
    def prepare(cls, estimator: Any, data: Any, folds: int | None, reading: Mapping[str, Any]) -> Self:
        """Return the objective on `data`; raises what loading and splitting raise, and TypeError for no estimator."""
        for name in ("fit", "predict", "get_params", "set_params"):
            if isinstance(estimator, type) or not hasattr(estimator, name):
                hint = f"{estimator.__name__}()" if isinstance(estimator, type) else "RandomForestClassifier()"
                raise TypeError(
                    f"model must be an estimator with fit and predict, as in model={hint}, but got {brief(estimator)}"
                )
        return cls(Objective.prepare(data, folds, reading), estimator)

    def __reduce__(self) -> tuple[Any, ...]:
        return EstimatorObjective, (self.data, self.estimator, self.asked)

    def portable(self) -> Self:
        """Return the same objective, which, pickled, carries its data."""
        return replace(self, data=self.data.portable())

    def following(self, metric: str) -> Self:
        """Return the objective whose trials have this metric too. Raises ValueError for an unknown one."""
        one_of("metric", metric, names_of(self.data.task))
        if metric_of(metric).own:
            raise ValueError(f"a metric of your own must go with a network, but the model is {brief(self.estimator)}")
        if metric_of(metric).needs == "predict_proba" and not self._has_chances:
            name = type(self.estimator).__name__
            raise ValueError(
                f"{metric} must have the probabilities of classes, but {name} has no predict_proba for them"
            )
        return self if metric in self.metrics else replace(self, asked=(*self.asked, metric))

    # -- what a study writes down ------------------------------------------------------------------------------

    @property
    def splits(self) -> tuple[Split, ...]:
        """The splits as a network has them, scaled."""
        return self.data.splits

    @property
    def folds(self) -> int | None:
        """The number of folds, None where there is one split."""
        return self.data.folds

    @property
    def source(self) -> Source | None:
        """Where the data came from."""
        return self.data.source

    @property
    def sizes(self) -> dict[str, int]:
        """The numbers of examples for training, validation and test, in the first fold where there are folds."""
        return self.data.sizes

    @property
    def guess(self) -> dict[str, float]:
        """The scores of the best constant answer."""
        return self.data.guess

    @cached_property
    def description(self) -> DataDescription:
        """The identity of data and split: that of a network's study but for the scaling."""
        return replace(self.data.description, scaled=False)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics of a trial; the loss is there where classes have probabilities."""
        score = "r2" if self.data.task == "regression" else "accuracy"
        loss = ("validation_loss",) if self._has_chances or self.data.task == "regression" else ()
        return (*loss, f"validation_{score}", *self.asked)

    @property
    def _has_chances(self) -> bool:
        return self.data.task == "classification" and hasattr(self.estimator, "predict_proba")

    @cached_property
    def model(self) -> dict[str, Any]:
        """The identity: class, parameters, and the versions of the packages that its parts are from."""
        params = self.estimator.get_params()
        parts = [self.estimator, *(value for value in params.values() if hasattr(value, "get_params"))]
        return {
            "kind": "model",
            "name": name_of(self.estimator),
            **{f"{name} (given)": _text(value) for name, value in sorted(params.items())},
            "version": ", ".join(sorted({_version(type(part)) for part in parts})),
        }

    @cached_property
    def in_processes(self) -> bool:
        """Whether trials run in processes: much of what scikit-learn does holds the GIL."""
        return Code.of(self.estimator).in_processes

    def conditioned(self, space: Space) -> Space:
        """Return the space as it is."""
        return space

    def check(self, space: Space) -> None:
        """Raise ValueError unless the estimator has every parameter, and takes each value by itself where it can tell.

        That it takes them together shows in the trials.
        """
        known = sorted(self.estimator.get_params())
        for name in space.names:
            if name not in known:
                raise unknown_name(f"a parameter of {type(self.estimator).__name__}", name, known)
        for variant in space.variants():
            for name, parameter in variant.items():
                for value in parameter.ends[:_CHECKED_VALUES]:
                    self._check_value(name, value)

    def _check_value(self, name: str, value: Value) -> None:
        made = self.made({name: value}, 0)
        validate = getattr(made, "_validate_params", None)  # scikit-learn's own; others say it in the trials
        try:
            if validate is not None:
                validate()
        except ValueError as error:
            raise ValueError(f"{name} must be what the estimator takes, but: {' '.join(str(error).split())}") from None

    # -- one trial ---------------------------------------------------------------------------------------------

    def made(self, params: Mapping[str, Value], seed: int) -> Any:
        """Return the estimator with these parameters, not fitted yet; what has no random_state has the seed."""
        from sklearn.base import clone

        made = clone(self.estimator).set_params(**params)
        free = {
            name: seed
            for name, value in made.get_params().items()
            if value is None and (name == "random_state" or name.endswith("__random_state"))
        }
        return made.set_params(**free) if free else made

    def part(self, fold: int | None) -> Split:
        """Return the split of a fold with features and targets that are not scaled."""
        number = fold or 0
        if number not in self._parts:
            self._parts[number] = self.splits[number].unscaled()
        return self._parts[number]

    def __call__(self, spec: TrialSpec) -> TrialResult:
        """Fit and score one trial. What goes wrong in it becomes its result; KeyboardInterrupt passes."""
        begin = time.perf_counter()
        try:
            split = self.part(spec.fold)
            made = self.made(spec.params, spec.seed)
            made.fit(split.train.X, _targets(split.train))
            metrics = self._scores(made, split, spec.fold, PARTS)
            return TrialResult(COMPLETED, metrics, {}, spec.epochs, time.perf_counter() - begin)
        except (Exception, SystemExit) as error:  # a trial that fails must not take the others with it
            return TrialResult.of_error(error, time.perf_counter() - begin, traced=True)

    def _scores(self, fitted: Any, split: Split, fold: int | None, parts: tuple[str, ...]) -> dict[str, float]:
        """Return the metrics of a fitted estimator on these parts, those of a test part as those of validation."""
        scores: dict[str, float] = {}
        wanted = [(name, *name.split("_", 1)) for name in self.metrics]
        for part in parts:
            names = [(name, metric) for name, of, metric in wanted if of == (PARTS[1] if part == "test" else part)]
            data = split.parts[part]
            if not names or data is None:
                continue
            answers, chances = _answers(fitted, data, self._has_chances)
            scaling = self.splits[fold or 0].scaling
            for name, metric in names:
                scores[name] = _score(metric, data, answers, chances, scaling)
        return scores

    # -- the model in the end ----------------------------------------------------------------------------------

    def run(self, spec: TrialSpec, split: Split | None = None) -> Any:
        """Return the fitted estimator of a trial, which predicts labels as the data have them."""
        train = (split or self.part(spec.fold)).train
        return self.made(spec.params, spec.seed).fit(train.X, train.y)

    def fitted(self, definition: Definition, params: dict[str, Value], split: Split) -> Any:
        """Return the estimator with these parameters, fitted once, with the seed of the first trial."""
        return self.run(next(definition.trials_of(params)), split)

    def tested(self, definition: Definition, params: dict[str, Value]) -> dict[str, Any]:
        """Return the scores on the test part, fitted on all that is not test, and what they were made of."""
        if self.splits[0].test is None:
            raise ValueError(f"{self.description.name!r} must have a test part to be tested on, but it has none")
        split = self.splits[0].joined(*PARTS).unscaled()
        spec = next(definition.trials_of(params))
        made = self.made(params, spec.seed).fit(split.train.X, _targets(split.train))
        scores = self._scores(made, split, None, ("test",))
        return {
            "params": params,
            "time": now(),
            "scores": {name.replace(f"{PARTS[1]}_", "test_", 1): value for name, value in scores.items()},
            "rows": len(split.train),
            "looks": 1,
        }


def _targets(data: Dataset) -> NDArray[Any]:
    """Return class numbers, numbers or columns of labels as an estimator takes them."""
    targets = data.targets
    return targets.ravel() if targets.ndim == 2 and targets.shape[1] == 1 else targets


def _answers(fitted: Any, data: Dataset, with_chances: bool) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Return predictions and, where asked for, probabilities (N, K) of the classes 0 … K − 1.

    Many estimators predict by their probabilities: those are then computed once for both.
    """
    if not with_chances or not hasattr(fitted, "predict_proba"):
        return np.asarray(fitted.predict(data.X)), None
    once: list[Any] = []
    own = fitted.predict_proba

    def predict_proba(X: Any) -> Any:
        once.append(own(X))
        return once[-1]

    try:
        fitted.predict_proba = predict_proba
        answers = np.asarray(fitted.predict(data.X))
    finally:
        vars(fitted).pop("predict_proba", None)
    chances = np.asarray(once[0] if once and len(once[0]) == len(data) else fitted.predict_proba(data.X))
    full = np.zeros((len(data), max(data.n_outputs, int(data.targets.max()) + 1, 2)))
    full[:, np.asarray(fitted.classes_, dtype=np.int64)] = chances
    return answers, full


def _score(metric: str, data: Dataset, answers: NDArray[Any], chances: NDArray[Any] | None, scaling: Any) -> float:
    """Return a metric of predictions on a data set."""
    truth = _targets(data)
    if data.task == "regression" and scaling is not None:
        truth, answers = scaling.transform_targets(truth), scaling.transform_targets(answers)
    if metric == "loss":
        return squared_error(truth, answers) if chances is None else log_loss(truth, chances)
    if metric == "accuracy":
        return accuracy(truth, answers)
    if metric == "r2":
        return r2(truth, answers)
    known = metric_of(f"{PARTS[1]}_{metric}")
    assert known.function is not None
    return float(known.function(truth, chances if known.needs == "predict_proba" and chances is not None else answers))


def _text(value: Any) -> str:
    """Return the text by which a parameter is known again."""
    if isinstance(value, np.ndarray) or (callable(value) and not hasattr(value, "get_params")):
        return f"{name_of(value)} {Code.of(value).digest[:16]}"
    return name_of(value) if hasattr(value, "get_params") else brief(value)


def _version(kind: type) -> str:
    """Return the package of a class with its version; of one's own class, its name with the digest of its source."""
    package = kind.__module__.partition(".")[0]
    version = getattr(sys.modules.get(package), "__version__", None)
    return f"{package} {version}" if version else f"{name_of(kind)} {Code.of(kind).digest[:16]}"
