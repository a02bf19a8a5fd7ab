"""Adaptive search through Optuna's samplers; needs `pip install "nn-tuning[optuna]"`.

Settings are asked for in batches of one size, whatever the number of workers, and told in the order in which they were
asked for. A copy of the sampler is used, which must be seeded. Where Optuna asks for a setting that has been asked for
before, it is told the score that is known, and nothing is trained.

A sampler with values of its own, a grid or fixed ones, names them as the space has them, and sizes of several layers by
their text, "64x32". A parameter in a part of a choice has the way to it in its name, "optimizer=sgd.momentum".
"""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

from nn.checks import one_line
from tuning.methods.samplers import Proposal, Random, Rounds, Sampler, Score, least, option
from tuning.space import Choice, IntUniform, LogUniform, Parameter, Setting, Space, Uniform, Value, value_text

MISSES = 20
"""Repetitions in a row that end a round: Optuna has nothing new to say in it."""

PROBES = 3
"""Settings that are asked for to see whether a sampler is seeded."""

STOPPING, PARTIAL = {"GridSampler", "BruteForceSampler"}, {"GridSampler", "PartialFixedSampler"}
"""The samplers that say themselves when they are through, and those that may leave out a part of the space."""

PROBES_OF_A_GRID = 200
"""Settings of a sampler that stops itself that are looked at before anything is trained; some may not fit the space."""

ROUNDING = 1e-9
"""A number may be so far outside its range, as a part of it, which is rounding in Optuna's logarithms."""

Key = tuple[Any, ...]


@dataclass(frozen=True)
class OptunaSampler(Sampler):
    """Settings from a sampler of Optuna's, `batch` at a time.

    Args:
        sampler: Any one with a seed; `TPESampler` with the study's seed unless given.
        kind: The name of its class, where a study was made with one that is not at hand.
    """

    batch: int = option(8, "settings that are asked for at a time", low=1, high=10_000)
    sampler: Any = None
    kind: str | None = None

    learns = True
    stops = False

    def options(self) -> dict[str, Any]:
        """Return the batch, and the kind of a sampler that the user gave."""
        kind = self.kind if self.sampler is None else type(self.sampler).__name__
        return {**super().options(), **({} if kind is None else {"sampler": kind})}

    @property
    def given(self) -> Any:
        """The user's sampler."""
        return self.sampler

    def check_given(self) -> None:
        """Raise ValueError where a study was made with a sampler of the user's, and there is none."""
        if self.kind is not None and self.sampler is None:
            raise ValueError(
                "sampler must be given for a study that was made with one of Optuna's, as in "
                f"study.resume(sampler={self.kind}(seed=…))"
            )

    def count(self, space: Space, epochs: int) -> int | None:
        """Return the number of settings; None for a sampler that may leave some out."""
        return None if self._is_any(PARTIAL) else super().count(space, epochs)

    def endless(self, space: Space) -> bool:
        """Return whether the rounds go on until somebody stops them: over a continuous range, with no number given."""
        return not self._is_any(STOPPING) and least(space.size, self.n_settings) is None

    def check_space(self, space: Space) -> None:
        """Raise ValueError unless the sampler asks for settings of the space, the same ones every time."""
        studies = self._study(), self._study()
        probes = PROBES_OF_A_GRID if self._is_any(STOPPING) else PROBES
        try:
            same = all(studies[0].ask(space)[1] == studies[1].ask(space)[1] for _ in range(probes))
        except _OutsideError:
            raise
        except ValueError as error:
            raise ValueError(
                f"{type(self.sampler).__name__} must be able to search the space, but says: {one_line(str(error))}"
            ) from None
        if not same:
            raise ValueError(
                f"a sampler of Optuna's must be seeded, but {type(self.sampler).__name__} asks for other settings each "
                f"time; make it with {type(self.sampler).__name__}(seed=0)"
            )

    def rounds(self, space: Space, epochs: int) -> Rounds:
        """Yield batches, and tell Optuna the scores of each before the next."""
        study = self._study()
        scores: dict[Key, Score] = {}
        # Again and again, since one is passed over whenever a round is full before it is looked at.
        unseen = (setting for _ in count() for setting in Random(seed=self.seed).settings(space))
        fills = space.size is not None and not self._is_any(PARTIAL)
        most = least(space.size, self.n_settings)
        worst = math.nan
        while not study.ended and (most is None or len(scores) < most):
            wanted = self.batch if most is None else min(self.batch, most - len(scores))
            asked: list[tuple[Any, Key]] = []
            fresh: dict[Key, Setting] = {}
            misses = 0
            while len(fresh) < wanted and misses < MISSES:
                trial, setting = study.ask(space)
                key = tuple(setting.items())
                misses = misses + 1 if key in scores or key in fresh else 0
                if not misses:
                    fresh[key] = setting
                asked.append((trial, key))
            for setting in islice(unseen, None if fills else 0):
                if len(fresh) == wanted:
                    break
                key = tuple(setting.items())
                if key not in scores and key not in fresh:
                    fresh[key] = setting
                    asked.append((study.ask(space, setting)[0], key))
            if fresh:
                told = yield [Proposal(len(scores) + i, setting, epochs) for i, setting in enumerate(fresh.values())]
                scores.update(zip(fresh, told, strict=True))
                worst = _worst(worst, told)
            elif not self._is_any(STOPPING):
                return
            for trial, key in asked:
                study.tell(trial, scores[key], worst)

    def _is_any(self, names: set[str]) -> bool:
        """Return whether the sampler is one of these or derived from one; its name is known where it is missing."""
        return not names.isdisjoint({self.kind, *(base.__name__ for base in type(self.sampler).__mro__)})

    def _study(self) -> _Study:
        samplers = optuna().samplers
        return _Study(samplers.TPESampler(seed=self.seed) if self.sampler is None else copy.deepcopy(self.sampler))


class _Study:
    """A study of Optuna's in memory; `ended` says that its sampler has nothing more to propose."""

    def __init__(self, sampler: Any) -> None:
        self.ended = False
        with quiet():
            self._study: Any = optuna().create_study(sampler=sampler, direction="maximize")
        self._study.stop = self._end  # Optuna's own is for studies that it runs itself

    def _end(self) -> None:
        self.ended = True

    def ask(self, space: Space, setting: Setting | None = None) -> tuple[Any, Setting]:
        """Return a trial of Optuna's and its setting: the one given, or one of Optuna's choice."""
        with quiet():
            if setting is not None:
                self._study.enqueue_trial(_optuna_params(space, setting, ""))
            trial = self._study.ask()
            return trial, _suggested(trial, space, "")

    def tell(self, trial: Any, score: Score, worst: float) -> None:
        """Tell a score. What can't be ranked counts as the worst that was seen, since not every sampler knows NaN."""
        gain = score.gain if score.usable else worst
        with quiet():
            if math.isnan(gain):
                self._study.tell(trial, state=optuna().trial.TrialState.PRUNED)
            else:
                self._study.tell(trial, gain)


def optuna() -> Any:
    """Return the module. Raises ValueError, which names the extra, where it is not installed."""
    try:
        import optuna as module
    except ModuleNotFoundError as error:
        raise ValueError(
            f'this method needs {error.name}, which is missing; install it with: pip install "nn-tuning[optuna]"'
        ) from None
    return module


def is_sampler(method: Any) -> bool:
    """Return whether this is a sampler of Optuna's; nothing is imported to find out."""
    return any(base.__module__.startswith("optuna.samplers") for base in type(method).__mro__)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna from logging every trial, and what it warns of in studies that it runs itself."""
    logging = optuna().logging
    before = logging.get_verbosity()
    logging.set_verbosity(max(before, logging.ERROR))
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _suggested(trial: Any, space: Space, path: str) -> Setting:
    """Return the setting that a trial suggests; parameters in parts are named by the way to them."""
    setting: Setting = {}
    for name, parameter in space.parameters.items():
        setting[name] = value = _suggest(trial, path + name, parameter)
        part = parameter.part(value)
        if part is not None:
            setting.update(_suggested(trial, part, f"{path}{name}={value_text(value)}."))
    return setting


def _suggest(trial: Any, name: str, parameter: Parameter) -> Value:
    if isinstance(parameter, LogUniform | Uniform):
        low, high = parameter.low, parameter.high
        number = float(trial.suggest_float(name, low, high, log=parameter.log))
        room = ROUNDING * max(abs(low), abs(high))
        if not low - room <= number <= high + room:
            raise _outside(name, low, high, number)
        return min(max(number, low), high)
    if isinstance(parameter, IntUniform):
        whole = int(trial.suggest_int(name, parameter.low, parameter.high, log=parameter.log))
        if not parameter.low <= whole <= parameter.high:
            raise _outside(name, parameter.low, parameter.high, whole)
        return whole
    assert isinstance(parameter, Choice)
    choices = [_optuna_value(value) for value in parameter.values]
    result: Value = parameter.values[choices.index(trial.suggest_categorical(name, choices)) if len(choices) > 1 else 0]
    return result


class _OutsideError(ValueError):
    """A value that the space has not."""


def _outside(name: str, low: float, high: float, number: float) -> _OutsideError:
    return _OutsideError(f"{name} must be between {low:g} and {high:g}, but a sampler of Optuna's asks for {number:g}")


def _optuna_value(value: Value) -> Any:
    """Return a value of a choice as Optuna has it, which knows no tuples."""
    return value_text(value) if isinstance(value, tuple) else value


def _optuna_params(space: Space, setting: Setting, path: str) -> dict[str, Any]:
    """Return a setting under the names and with the values that `_suggested` gives them."""
    params: dict[str, Any] = {}
    for name, parameter in space.parameters.items():
        value = setting[name]
        params[path + name] = _optuna_value(value)
        part = parameter.part(value)
        if part is not None:
            params.update(_optuna_params(part, setting, f"{path}{name}={value_text(value)}."))
    return params


def _worst(worst: float, scores: Sequence[Score]) -> float:
    """Return the lowest gain so far; NaN while there is none."""
    known = [score.gain for score in scores if score.usable] + ([] if math.isnan(worst) else [worst])
    return min(known, default=math.nan)
