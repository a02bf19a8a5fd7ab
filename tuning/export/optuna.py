"""A study as one of Optuna's, for Optuna's plots, importances and dashboard; needs `pip install "nn-tuning[optuna]"`.

Every training, one repeat and fold of a setting, becomes a trial of Optuna's:

    completed   COMPLETE, with the metric that decides as its value
    pruned      PRUNED, with the metric after its last epoch
    diverged    FAIL. Optuna refuses NaN, and any number in its place would be made up. FAIL never wins and enters no
                importance; how it ended stands in the user attributes.
    failed      FAIL
    paused      RUNNING: it waits to be promoted or pruned

Its intermediate values are the metric's curve, epochs counted from 1; what is not finite is left out. Its user
attributes are the trial's number, repeat, fold, seed, state, epochs, duration in seconds, verdict with evidence, and
all metrics. Optuna wants times, of which only the duration is known: every trial is said to start when the study was
made. With repeats or folds, Optuna's best trial is the best single training, and not one of the best setting, whose
mean decides.

A parameter has the name that it has in the study, also in parts of choices. Its distribution covers all its ranges and
values, and whatever was found outside them. Where parts give one name distributions of different kinds, which Optuna
refuses, it is named by the way to it: `optimizer=adam.learning_rate`. Layers are texts, 64x32.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tuning.analysis import Verdict, larger_is_better, plain, verdicts
from tuning.export.results import StudyResults
from tuning.methods import optuna, quiet
from tuning.space import Choice, IntUniform, Parameter, Setting, Space, Value, value_text
from tuning.store import APPLICATION_ID, COMPLETED, PAUSED, PRUNED, Trial

_FILE = "sqlite:///"
_APPLICATION = slice(68, 72)  # of the header of an SQLite file, https://sqlite.org/fileformat.html section 1.3


def export(study: StudyResults, storage: Any, name: str | None = None) -> Any:
    """Write a study's trials to a storage of Optuna's as a new study there, and return that `optuna.study.Study`.

    `storage` is a URL such as "sqlite:///study.db", or a storage object of Optuna's; `name` is the new study's, by
    default that of the study file or of the data. It takes about 20 ms a trial in SQLite. Should it be interrupted,
    nothing is left of it.

    Raises ValueError where optuna is missing, where the storage can't be used or has a study of that name already.
    """
    module = optuna()
    name = name or (study.path.stem if study.path is not None else study.definition.data.name)
    target = _create(module, study, storage, name)
    try:
        target.set_user_attr("definition", study.definition.to_json())
        trials = list(study.trials)
        known = _Parameters(module, study.space, (trial.params for trial in trials))
        start = datetime.fromisoformat(study.about["created"]).astimezone().replace(tzinfo=None)
        for trial, verdict in zip(trials, verdicts(trials, study.reference()), strict=True):
            target.add_trial(_trial(module, trial, verdict, study.definition.metric, known, start))
    except BaseException:
        module.delete_study(study_name=name, storage=target._storage)
        raise
    return target


def _create(module: Any, study: StudyResults, storage: Any, name: str) -> Any:
    """Return the new, empty study of Optuna's."""
    if isinstance(storage, str | Path):
        _check_place(str(storage))
    direction = "maximize" if larger_is_better(study.definition.metric) else "minimize"
    try:
        with quiet():
            return module.create_study(storage=storage, study_name=name, direction=direction)
    except module.exceptions.DuplicatedStudyError:
        raise ValueError(
            f"storage must have no study named {name!r} yet, but {_shown(storage)} has one; give another name=, or "
            f"delete it with optuna.delete_study(study_name={name!r}, storage=…)"
        ) from None
    except Exception as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"storage must be one that Optuna can write to, but {_shown(storage)} is not: {why}") from None


def _check_place(url: str) -> None:
    """Raise unless this is a URL, and not that of a study file of ours; its folder is made."""
    if "://" not in url:
        raise ValueError(f"storage must be a URL of Optuna's, but got {url!r}; did you mean {_FILE + url!r}?")
    if not url.startswith(_FILE) or url in (_FILE, f"{_FILE}:memory:"):
        return
    path = Path(url.removeprefix(_FILE).partition("?")[0])
    header = b""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            with path.open("rb") as file:
                header = file.read(_APPLICATION.stop)
    except OSError as error:
        raise ValueError(f"storage must be a file that can be written, but {url!r} can't: {error.strerror}") from None
    if header[_APPLICATION] == APPLICATION_ID.to_bytes(4, "big"):
        raise ValueError(f"storage must be a file of Optuna's, but {url!r} is a study file of nn-tuning; name another")


def _shown(storage: Any) -> str:
    return repr(storage) if isinstance(storage, str) else f"the given {type(storage).__name__}"


def _trial(module: Any, trial: Trial, verdict: Verdict, metric: str, known: _Parameters, start: datetime) -> Any:
    """Return one trial as a frozen one of Optuna's."""
    states = module.trial.TrialState
    value = trial.metrics.get(metric, math.nan)
    finite = math.isfinite(value)
    known_states = {PRUNED: states.PRUNED, PAUSED: states.RUNNING, **({COMPLETED: states.COMPLETE} if finite else {})}
    state = known_states.get(trial.state, states.FAIL)
    curve = trial.curves[metric].tolist() if metric in trial.curves else []
    params = known.of(trial.params)
    return module.trial.FrozenTrial(
        number=-1,
        trial_id=-1,
        state=state,
        value=value if finite and state in (states.COMPLETE, states.PRUNED) else None,
        datetime_start=start,
        datetime_complete=start + timedelta(seconds=trial.duration) if state.is_finished() else None,
        params=params,
        distributions={name: known.distributions[name] for name in params},
        user_attrs=_attributes(trial, verdict),
        system_attrs={},
        intermediate_values={epoch: x for epoch, x in enumerate(curve, 1) if math.isfinite(x)},
    )


def _attributes(trial: Trial, verdict: Verdict) -> dict[str, Any]:
    """Return everything about a trial that has no place of its own in Optuna; numbers that are not finite are None."""
    told = {name: getattr(trial, name) for name in ("number", "repeat", "fold", "seed", "state", "epochs", "duration")}
    ended = {"diverged_step": trial.diverged_step, "error": trial.error}
    told |= {"verdict": verdict.name, "evidence": verdict.evidence}
    told |= {name: value for name, value in ended.items() if value is not None}
    return told | {name: plain(number) for name, number in trial.metrics.items()}


class _Parameters:
    """The parameters of a study as Optuna knows them: `distributions` by their names there."""

    def __init__(self, module: Any, space: Space, settings: Iterable[Setting]) -> None:
        self._space = space
        kinds: defaultdict[str, set[tuple[type, bool]]] = defaultdict(set)
        for _, name, parameter in _places(space):
            kinds[name].add((type(parameter), parameter.log))
        self._apart = {name for name, found in kinds.items() if len(found) > 1}
        declared: defaultdict[str, list[Parameter]] = defaultdict(list)
        for path, name, parameter in _places(space):
            declared[self._name(path, name)].append(parameter)
        tried: defaultdict[str, set[Value]] = defaultdict(set)
        for setting in settings:
            for name, value in self._values(setting):
                tried[name].add(value)
        self._as_text: set[str] = set()
        self.distributions = {name: self._distribution(module, name, declared[name], tried[name]) for name in declared}

    def of(self, setting: Setting) -> dict[str, Any]:
        """Return a setting under the names and with the values that Optuna is given."""
        return {name: value_text(value) if name in self._as_text else value for name, value in self._values(setting)}

    def _values(self, setting: Setting) -> Iterator[tuple[str, Value]]:
        for path, name, _ in _places(self._space, setting=setting):
            yield self._name(path, name), setting[name]

    def _name(self, path: str, name: str) -> str:
        return path + name if name in self._apart else name

    def _distribution(self, module: Any, name: str, parameters: list[Parameter], values: set[Value]) -> Any:
        """Return the distribution over all that a parameter may be in any part, and all that it was."""
        kinds = module.distributions
        if isinstance(parameters[0], Choice):
            every = dict.fromkeys(value for parameter in parameters for value in parameter.ends)
            if any(isinstance(value, tuple) for value in every):
                self._as_text.add(name)
                return kinds.CategoricalDistribution(tuple(map(value_text, every)))
            return kinds.CategoricalDistribution(tuple(every))
        numbers: list[Any] = [*(end for parameter in parameters for end in parameter.ends), *values]
        low, high = min(numbers), max(numbers)
        if isinstance(parameters[0], IntUniform):
            return kinds.IntDistribution(low, high, log=parameters[0].log)
        return kinds.FloatDistribution(low, high, log=parameters[0].log)


def _places(space: Space, path: str = "", setting: Setting | None = None) -> Iterator[tuple[str, str, Parameter]]:
    """Yield (way to it, name, parameter) of all parameters, or of those that exist in a setting."""
    for name, parameter in space.parameters.items():
        yield path, name, parameter
        for value, part in parameter.branches() if isinstance(parameter, Choice) else ():
            if part is not None and (setting is None or setting[name] == value):
                yield from _places(part, f"{path}{name}={value_text(value)}.", setting)
