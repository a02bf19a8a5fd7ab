"""Curves of trials as the rules see them, and the findings that rules make in them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tuning.analysis.intervals import share_interval
from tuning.analysis.reference import NEGLIGIBLE, Rates, Reference, is_symmetric
from tuning.store import best_epoch, setting_of

Array = NDArray[np.float64]
Where = NDArray[np.bool_]

ABOVE = 1.05


@dataclass(frozen=True)
class Verdict:
    """A verdict, its evidence in one line, the epoch (from 1) at which overfitting starts, its numbers, its advice."""

    name: str
    evidence: str
    epoch: int | None = None
    numbers: dict[str, float] = field(default_factory=dict)
    advice: str = ""

    @property
    def text(self) -> str:
        """The evidence, and what to try next."""
        return f"{self.evidence}; {self.advice}" if self.advice else self.evidence

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"


class TrialCurves(NamedTuple):
    """The end of a trial, and the curves by which it is judged.

    `layers` are curves (E, layers) of what was recorded of each layer: "gradient_norm", and of hidden ones "dead", the
    share of units that never fired. `stopped`: more epochs followed, in which the validation loss did not fall again.
    """

    state: str
    train_loss: Array | None  # (E,)
    validation_loss: Array | None  # (E,)
    train_score: Array | None  # (E,) accuracy or R2
    validation_score: Array | None  # (E,)
    diverged_step: int | None = None
    error: str | None = None
    setting: str = "{}"  # JSON
    layers: Mapping[str, Array] = {}
    stopped: bool = False

    def up_to_best(self) -> TrialCurves:
        """Return the curves up to the epoch with the lowest validation loss, which early stopping keeps."""
        best = best_epoch({} if self.validation_loss is None else {"validation_loss": self.validation_loss})
        if best is None or self.validation_loss is None or best == len(self.validation_loss):
            return self
        names = ("train_loss", "validation_loss", "train_score", "validation_score")
        cut = {name: getattr(self, name)[:best] for name in names if getattr(self, name) is not None}
        return self._replace(**cut, layers={name: curve[:best] for name, curve in self.layers.items()}, stopped=True)


class Curves:
    """Losses and scores (T, E) of T trials with equally many epochs, prepared for the rules.

    `layers` are the curves (T, E, layers) of `TrialCurves`, `stopped` as there; `rates` what other rates say of each
    trial's setting.
    """

    def __init__(
        self,
        losses: tuple[Array, Array],
        scores: tuple[Array, Array] | None,
        reference: Reference,
        settings: Sequence[str],
        layers: Mapping[str, Array],
        stopped: bool = False,
    ) -> None:
        L, V = losses
        self.goes_on = np.full(len(L), not stopped)
        self.broken = np.asarray(~(np.isfinite(L) & np.isfinite(V)).all(axis=1))  # (T,)
        self.L, self.V = (np.where(self.broken[:, None], 1.0, curve) for curve in (L, V))
        self.train, self.held = running_median(self.L), running_median(self.V)
        self.scores = (np.zeros_like(L),) * 2 if scores is None else scores
        self.end = max(2, L.shape[1] // 4)  # epochs in the last quarter
        self.layers = layers
        self.symmetric = np.array([is_symmetric(setting_of(text)) if "zeros" in text else False for text in settings])
        self.rates = [reference.rates.get(text, Rates()) for text in settings]
        best = [reference.best_loss if r.best_elsewhere is None else r.best_elsewhere for r in self.rates]
        bar = np.array([math.inf if loss is None or not math.isfinite(loss) else loss for loss in best])
        self.bar = np.maximum(bar, NEGLIGIBLE * reference.guess.get("validation_loss", 0.0))
        # Of a constant answer, the losses in training and validation, and the score; infinite or NaN where not known.
        self.guess_loss = reference.guess.get("train_loss", math.inf)
        self.guess_held = reference.guess.get("validation_loss", math.inf)
        names = [name for name in ("validation_accuracy", "validation_r2") if name in reference.guess]
        known = scores is not None and bool(names) and bool(reference.held_out)
        self.guess_name = names[0].partition("_")[2].replace("r2", "R2") if known else ""
        self.guess_score = max(0.0, reference.guess[names[0]]) if known else math.nan
        self.held_out = reference.held_out or 0
        self.from_best = self.column("rate") - self.column("best")  # above 0: a smaller one is clearly better
        self.start = np.minimum(self.L[:, 0], self.guess_loss)
        self.may_be_too_large = ~(self.column("lower_worse") > 0)
        self.level = self.L[:, -self.end :].mean(axis=1)

    def column(self, name: str) -> Array:
        """Return one number of `Rates` for each trial (T,)."""
        return np.array([getattr(rates, name) for rates in self.rates], dtype=np.float64)

    def scored(self, score: Array) -> tuple[Array, Array]:
        """Return the 95 % interval of validation scores (T,): Wilson's of an accuracy, by Fisher's z of an R2."""
        if self.guess_name == "R2":  # an R2 near 0 is the square of a correlation that is near 0
            reach = 1.96 / math.sqrt(max(self.held_out - 3, 1))
            z = np.arctanh(np.sqrt(np.clip(score, 0.0, 1 - 1e-12)))
            low, high = np.tanh(np.maximum(z - reach, 0.0)) ** 2, np.tanh(z + reach) ** 2
            return np.where(score > 0, low, score), np.where(score > 0, high, np.maximum(score, math.tanh(reach) ** 2))
        ends = [share_interval(min(max(float(share), 0.0), 1.0), self.held_out) for share in score]
        low, high = np.array(ends).reshape(-1, 2).T
        return low, high

    @cached_property
    def ends_above_guess(self) -> Where:
        """Return whether the interval of the score of the last quarter lies above that of a constant answer."""
        return self.scored(self.scores[1][:, -self.end :].mean(axis=1))[0] > self.guess_score

    @cached_property
    def was_above_guess(self) -> Where:
        """Return whether that is so of any quarter, or V was clearly lower; true where nothing is known."""
        if not self.guess_name:
            return np.ones(len(self.L), bool)
        lower = np.isfinite(self.guess_held) & (ABOVE * self.held.min(axis=1) < self.guess_held)
        quarters = [part.mean(axis=1) for part in np.array_split(self.scores[1], 4, axis=1)]
        return lower | np.logical_or.reduce([self.scored(part)[0] > self.guess_score for part in quarters], axis=0)


class Found(NamedTuple):
    """Where a rule holds among T trials, its evidence in words for trial i, and the numbers and epochs behind it."""

    holds: Where  # (T,)
    words: Callable[[int], str]
    numbers: Mapping[str, Any] = {}  # each (T,), or one for all
    epochs: NDArray[np.int64] | None = None  # (T,) from 1
    advice: Callable[[int], str] | None = None  # where it is another than the rule's

    def verdict(self, rule: Rule, i: int) -> Verdict:
        """Return the verdict on trial i."""
        numbers = {key: float(np.broadcast_to(value, len(self.holds))[i]) for key, value in self.numbers.items()}
        epoch = None if self.epochs is None else int(self.epochs[i])
        advice = rule.advice if self.advice is None else self.advice(i)
        return Verdict(rule.name, self.words(i), epoch, numbers, advice)


class Rule(NamedTuple):
    """The rule of one verdict.

    Args:
        name: The verdict.
        place: Its place in `VERDICTS`, from good to bad.
        text: What `nn-tuning show --rules` prints.
        by_end: From a trial to the evidence in the way it ended, None where there is none.
        by_curves: Each from the `Curves` of many trials to where it holds; one that holds is enough.
        advice: What to try next.
    """

    name: str
    place: int
    text: str
    by_end: Callable[[TrialCurves], str | None] = lambda trial: None
    by_curves: tuple[Callable[[Curves], Found], ...] = ()
    advice: str = ""


def running_median(curves: Array) -> Array:
    """Return the running median of three along the epochs of (T, E); the ends stay as they are."""
    result = curves.copy()
    before, here, after = curves[:, :-2], curves[:, 1:-1], curves[:, 2:]
    result[:, 1:-1] = np.maximum(np.minimum(before, here), np.minimum(np.maximum(before, here), after))
    return result
