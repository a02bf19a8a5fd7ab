"""The table of the metrics that training can follow, and the metrics of one's own that join it.

A metric is followed on a part of the data, under a name such as `validation_accuracy`. Whatever has to know a metric
looks it up in `METRICS`: a new one is an entry there, and the function that computes it.
"""

from __future__ import annotations

import inspect
import math
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from hashlib import sha256
from pathlib import Path
from tokenize import TokenError
from types import CodeType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn.checks import TASKS, brief, one_line, one_of, real, unknown_name
from nn.metrics.functions import auc, balanced_accuracy, f1_macro, log_loss, mae, r2, rmse

PARTS = ("train", "validation")
NEEDS = ("predict", "predict_proba")
_LOSSES = "loss error mae mse rmse mape nll deviance perplexity distance regret cost time seconds"
_SCORES = "score accuracy auc f1 precision recall r2 likelihood correlation iou reward return gain"
LOSSES, SCORES = frozenset(_LOSSES.split()), frozenset(_SCORES.split())
"""The last words of names of one's own metrics by which less is better, or more."""


@dataclass(frozen=True)
class Metric:
    """A metric that training can follow, such as one of your own: `nn.Metric("profit", profit, True)`.

    The function gets what scikit-learn's `make_scorer` gives: the truth, as in the y of the data, and what
    `Run.predict` or `Run.predict_proba` returns for it, numbers in the units of the data; of two classes, the
    probabilities are those of the second alone (N,). It is called at the end of each epoch, where the metric is asked
    for and all outputs are finite; a value that is not finite is none, and never wins.

    Args:
        name: As in `validation_profit`, after the part of the data.
        function: Returns a number from truth and answers. The table's own ones without it are followed always.
        larger_is_better: Whether it is a score and not a loss. Unless given, the last word of the name says so, as
            score, accuracy or gain do, and loss, error or cost.
        bounds: The least and the greatest value that it can have; intervals stay within them.
        needs ({"predict", "predict_proba"}): What the function gets.
        shown: As in tables, figures and messages.
        tasks: Where it makes sense.
        share: Whether it is a share of the examples, whose interval follows from their number.
        encoded: Of the table's own: whether the function gets targets as training has them, class numbers and scaled
            numbers, with their outputs, and all probabilities (N, K).
        always: Of the table's own: whether every training follows it.

    Raises:
        ValueError, TypeError: For a name that says not whether more is better, and what else does not fit.

    >>> Metric("absolute_error", lambda y, guess: abs(y - guess).mean()).larger_is_better
    False
    """

    name: str
    function: Callable[[NDArray[Any], NDArray[Any]], float] | None = None
    larger_is_better: bool | None = None
    bounds: tuple[float, float] = (-math.inf, math.inf)
    needs: str = "predict"
    shown: str = ""
    tasks: tuple[str, ...] = TASKS
    share: bool = False
    encoded: bool = False
    always: bool = False

    def __post_init__(self) -> None:
        name, word = self.name, str(self.name).rpartition("_")[2].lower()
        if not isinstance(name, str) or not re.fullmatch(r"(?!(train|validation|val|test)_)[A-Za-z]\w*", name):
            raise ValueError(
                "the name of a metric must be letters, digits and _, without the part of the data before it, but got "
                f"{brief(name)}; name it by nn.Metric('my_score', function)"
            )
        if self.function is not None and not callable(self.function):
            raise TypeError(f"a metric must be a function of truth and answers, but got {brief(self.function)}")
        if self.larger_is_better is None:
            if word not in LOSSES | SCORES:
                raise ValueError(
                    f"a metric must say whether more is better, but got {name!r}; give it as nn.Metric({name!r}, "
                    "function, larger_is_better=True) or False"
                )
            object.__setattr__(self, "larger_is_better", word in SCORES)
        elif not isinstance(self.larger_is_better, bool):
            raise ValueError(f"larger_is_better must be True or False, but got {brief(self.larger_is_better)}")
        one_of("needs", self.needs, NEEDS)
        low, high = (real("bounds", end, infinite=True) for end in self.bounds)
        if not low < high:
            raise ValueError(f"bounds must be a lower and an upper end, but got {brief(self.bounds)}")
        object.__setattr__(self, "bounds", (low, high))
        object.__setattr__(self, "shown", self.shown or name.replace("_", " "))

    @property
    def own(self) -> bool:
        """Whether it is one of the user's own."""
        return not (self.encoded or self.always)

    def check(self, task: str) -> None:
        """Raise ValueError where there is no function to follow, or a task has not what it needs."""
        if self.function is None and not self.always:
            raise ValueError(
                f"the metric {self.name} must be given with its function, as in nn.Metric({self.name!r}, function), "
                "but only its name is known"
            )
        if self.own and self.needs == "predict_proba" and task == "regression":
            raise ValueError(f"the metric {self.name} must need predict in regression, but needs predict_proba")

    def value(self, task: str, targets: NDArray[Any], outputs: NDArray[Any]) -> float:
        """Return the metric from targets as training has them and the outputs (N, K) of a network; NaN where one is.

        A single output is the probability of the second class.
        """
        assert self.function is not None
        if not np.isfinite(outputs).all():
            return math.nan
        if task == "classification" and outputs.shape[1] == 1:
            outputs = np.hstack([1 - outputs, outputs])
        if task == "regression" or self.needs == "predict_proba":
            return self.function(targets, outputs)
        return self.function(targets, outputs.argmax(axis=1) if task == "classification" else outputs > 0.5)

    def own_value(self, task: str, truth: NDArray[Any], answers: NDArray[Any]) -> float:
        """Return the number that a function of one's own gives; NaN for one that is not finite.

        Answers are what `Run.predict` or `Run.predict_proba` returns. Raises ValueError, in one line, where it gives
        no number.
        """
        assert self.function is not None
        if self.needs == "predict_proba" and task == "classification" and answers.shape[1] == 2:
            answers = answers[:, 1]
        try:
            given = self.function(truth, answers)
        except Exception as error:
            raise ValueError(f"the metric {self.name} must give a number, but raised {one_line(error)}") from error
        if isinstance(given, float | np.floating) and not math.isfinite(given):
            return math.nan
        return real(f"the value of the metric {self.name}", given, *self.bounds)

    # -- what a file says of one's own -------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Return the plain values of a metric of one's own; of its function, the importable name and the source's hash.

        An end of the bounds that is infinite is None.
        """
        ends = [end if math.isfinite(end) else None for end in self.bounds]
        about = {"name": self.name, "larger_is_better": self.larger_is_better, "bounds": ends, "needs": self.needs}
        return about | {"function": _place_of(self.function), "source": _digest_of(self.function)}

    @classmethod
    def from_json(cls, about: dict[str, Any]) -> Metric:
        """Return the metric without its function: nothing that a file names is imported."""
        low, high = about["bounds"]
        bounds = -math.inf if low is None else low, math.inf if high is None else high
        return cls(about["name"], None, about["larger_is_better"], bounds, about["needs"])


def _place_of(function: Any) -> str:
    named = function.func if isinstance(function, partial) else function
    named = named if hasattr(named, "__qualname__") else type(named)
    module = named.__module__
    if module == "__main__":  # it has the name of the script, whether that is run or imported
        main = sys.modules["__main__"]
        spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
        module = spec.name if spec is not None else Path(file).stem if file else module
    return f"{module}.{named.__qualname__}"


def _digest_of(function: Any) -> str | None:
    """Return the SHA-256 of the source of a function, or of the class of an object; of a lambda, of what was compiled.

    None where neither is there, as for what is compiled by others.
    """
    if isinstance(function, partial):
        bound = repr((function.args, sorted(function.keywords.items())))
        return sha256(f"{_digest_of(function.func)} {bound}".encode()).hexdigest()
    named = inspect.unwrap(function) if hasattr(function, "__qualname__") else type(function)
    try:
        if named.__name__ == "<lambda>":
            raise OSError
        return sha256(inspect.getsource(named).encode()).hexdigest()
    except (OSError, TypeError, TokenError):  # no file, or another one by now
        code = getattr(named, "__code__", None)
        return None if code is None else sha256(_compiled(code).encode()).hexdigest()


def _compiled(code: CodeType) -> str:
    constants = [_compiled(each) if isinstance(each, CodeType) else repr(each) for each in code.co_consts]
    return repr((code.co_code, constants, code.co_names))


CLASSES, LABELS = ("classification",), ("classification", "multilabel")
_entry = partial(Metric, encoded=True)
METRICS = {
    metric.name: metric
    for metric in (
        _entry("loss", None, False, (0, math.inf), always=True),
        _entry("accuracy", None, True, (0, 1), tasks=LABELS, share=True, always=True),
        _entry("r2", r2, True, (-math.inf, 1), shown="R2", tasks=("regression",), always=True),
        _entry("f1_macro", f1_macro, True, (0, 1), shown="F1 (macro)", tasks=LABELS),
        _entry("balanced_accuracy", balanced_accuracy, True, (0, 1), tasks=CLASSES),
        _entry("auc", auc, True, (0, 1), "predict_proba", shown="AUC", tasks=LABELS),
        _entry("log_loss", log_loss, False, (0, math.inf), "predict_proba", tasks=CLASSES),
        _entry("mae", mae, False, (0, math.inf), shown="MAE", tasks=("regression",)),
        _entry("rmse", rmse, False, (0, math.inf), shown="RMSE", tasks=("regression",)),
    )
}


def own_metric(given: Any) -> Metric:
    """Return the metric of a function or of a `Metric`, which is known by its name from now on.

    A function of the table is its entry. Raises ValueError or TypeError for what is none, and for a name that stands
    for another metric already.
    """
    if not isinstance(given, Metric):
        if not callable(given):
            raise TypeError(f"a metric must be a name, a function or an nn.Metric, but got {brief(given)}")
        entry = next((metric for metric in METRICS.values() if metric.function is given), None)
        return entry or own_metric(Metric(getattr(given, "__name__", given), given))
    known = METRICS.get(given.name)
    if known is not None and known != replace(given, function=known.function):
        here = "one of nn.metrics.METRICS" if not known.own else "known with another direction, bounds or needs"
        raise ValueError(f"a metric must have a name of its own, but {given.name} is {here}; name it otherwise")
    if known is None or given.function is not None:
        METRICS[given.name] = given
    return given


def names_of(task: str | None = None, held_out: bool = True) -> tuple[str, ...]:
    """Return the names of all metrics, or of those of a task, on the training part and on one that is held out."""
    return _names(tuple(METRICS), task, PARTS if held_out else PARTS[:1])


@lru_cache(maxsize=64)
def _names(metrics: tuple[str, ...], task: str | None, parts: tuple[str, ...]) -> tuple[str, ...]:
    known = (name for name in metrics if task is None or task in METRICS[name].tasks)
    return tuple(f"{part}_{name}" for name in known for part in parts)


def full_name(name: str) -> str:
    """Return the name with its part: a metric without one is that of the validation part, and `val_` is short for it.

    >>> full_name("f1_macro"), full_name("val_loss"), full_name("train_loss")
    ('validation_f1_macro', 'validation_loss', 'train_loss')
    """
    metric = name.removeprefix("val_") if isinstance(name, str) else ""
    return f"{PARTS[1]}_{metric}" if metric in METRICS else name


def metric_of(name: str) -> Metric:
    """Return the metric that is followed under a name; one of an objective's own is known by its last word.

    Raises ValueError where that says not whether more is better, and for a part of the data without a known metric.

    >>> metric_of("validation_accuracy").tasks
    ('classification', 'multilabel')
    >>> metric_of("pinball_error").larger_is_better
    False
    """
    part, _, metric = name.partition("_")
    known = METRICS.get(metric) or METRICS.get(name)
    if known is not None:
        return known
    if part in PARTS or name.rpartition("_")[2].lower() not in LOSSES | SCORES:
        raise unknown_name("metric", name, names_of())
    return Metric(name)


def larger_is_better(name: str) -> bool:
    """Return whether more is better of what is followed under a name.

    >>> larger_is_better("validation_accuracy"), larger_is_better("validation_loss")
    (True, False)
    """
    return bool(metric_of(name).larger_is_better)


def shown_name(name: str) -> str:
    """Return a name as people read it.

    >>> shown_name("test_r2")
    'test R2'
    """
    part, _, metric = name.partition("_")
    if metric in METRICS:
        return f"{part} {METRICS[metric].shown}"
    return METRICS[name].shown if name in METRICS else name.replace("_", " ")


def course_name(name: str) -> str:
    """Return a name as it stands beside a curve over epochs.

    The metrics of the training part that every training follows are means over an epoch in which the parameters moved:
    those of an epoch are no scores of its last parameters, and the first point is none of the start.

    >>> course_name("train_loss"), course_name("validation_loss")
    ('training loss, mean over the epoch', 'validation loss')
    """
    part = name.partition("_")[0]
    metric = METRICS.get(name.partition("_")[2])
    if metric is None:
        return shown_name(name)
    moving = part == PARTS[0] and metric.always
    return f"{'training' if part == PARTS[0] else part} {metric.shown}{', mean over the epoch' if moving else ''}"
