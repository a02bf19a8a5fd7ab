"""Adaptive search through Optuna's samplers; needs `pip install "nn-tuning[optuna]"`.

Settings are asked for in batches of one size, whatever the number of workers, and told in the order in which they were
asked for. A copy of the sampler is used, which must be seeded. Where Optuna asks for a setting that has been asked for
before, it is told the score that is known, and nothing is trained.
"""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from tuning.methods.samplers import Proposal, Random, Rounds, Sampler, Score, option
from tuning.space import Choice, IntUniform, LogUniform, Parameter, Setting, Space, Uniform, Value, value_text

MISSES = 20
"""Repetitions in a row that end a round: Optuna has nothing new to say in it."""

PROBES = 3
"""Settings that are asked for to see whether a sampler is seeded."""

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

    def check_space(self, space: Space) -> None:
        """Raise ValueError unless the sampler asks for the same settings every time."""
        studies = self._study(), self._study()
        if any(studies[0].ask(space)[1] != studies[1].ask(space)[1] for _ in range(PROBES)):
            raise ValueError(
                f"a sampler of Optuna's must be seeded, but {type(self.sampler).__name__} asks for other settings each "
                f"time; make it with {type(self.sampler).__name__}(seed=0)"
            )

    def rounds(self, space: Space, epochs: int) -> Rounds:
        """Yield batches, and tell Optuna the scores of each before the next."""
        study = self._study()
        scores: dict[Key, Score] = {}
        unseen = Random(seed=self.seed).settings(space)
        most = self.count(space, epochs)
        worst = math.nan
        while most is None or len(scores) < most:
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
            for setting in islice(unseen, None if space.size is not None else 0):
                if len(fresh) == wanted:
                    break
                key = tuple(setting.items())
                if key not in scores and key not in fresh:
                    fresh[key] = setting
                    asked.append((study.ask(space, setting)[0], key))
            if not fresh:
                return
            told = yield [Proposal(len(scores) + i, setting, epochs) for i, setting in enumerate(fresh.values())]
            scores.update(zip(fresh, told, strict=True))
            worst = _worst(worst, told)
            for trial, key in asked:
                study.tell(trial, scores[key], worst)

    def _study(self) -> _Study:
        samplers = optuna().samplers
        return _Study(samplers.TPESampler(seed=self.seed) if self.sampler is None else copy.deepcopy(self.sampler))


class _Study:
    """A study of Optuna's in memory."""

    def __init__(self, sampler: Any) -> None:
        with quiet():
            self._study: Any = optuna().create_study(sampler=sampler, direction="maximize")

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
    """Keep Optuna from logging every trial; studies have their own progress bar."""
    logging = optuna().logging
    before = logging.get_verbosity()
    logging.set_verbosity(max(before, logging.WARNING))
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
        number = float(trial.suggest_float(name, parameter.low, parameter.high, log=parameter.log))
        return min(max(number, parameter.low), parameter.high)
    if isinstance(parameter, IntUniform):
        return int(trial.suggest_int(name, parameter.low, parameter.high, log=parameter.log))
    assert isinstance(parameter, Choice)
    texts = [value_text(value) for value in parameter.values]
    result: Value = parameter.values[texts.index(trial.suggest_categorical(name, texts)) if len(texts) > 1 else 0]
    return result


def _optuna_params(space: Space, setting: Setting, path: str) -> dict[str, Any]:
    """Return a setting under the names and with the values that `_suggested` gives them."""
    params: dict[str, Any] = {}
    for name, parameter in space.parameters.items():
        value = setting[name]
        params[path + name] = value_text(value) if isinstance(parameter, Choice) else value
        part = parameter.part(value)
        if part is not None:
            params.update(_optuna_params(part, setting, f"{path}{name}={value_text(value)}."))
    return params


def _worst(worst: float, scores: Sequence[Score]) -> float:
    """Return the lowest gain so far; NaN while there is none."""
    known = [score.gain for score in scores if score.usable] + ([] if math.isnan(worst) else [worst])
    return min(known, default=math.nan)
