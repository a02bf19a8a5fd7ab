"""The ways to run a study again: the command and the Python call that make the same study, to the last bit."""

from __future__ import annotations

import csv
import io
import math
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nn.data import READING
from nn.metrics import Metric
from tuning.methods import OPTIONS, OPTUNA
from tuning.space import PARAMETERS

if TYPE_CHECKING:
    from tuning.study import Study

_WIDTH = 76


class _Name(str):
    """A name in the Python call."""

    __repr__ = str.__str__


@dataclass(frozen=True)
class Calls:
    """The `command` line and the `python` call of a study; the command is None where only Python can do it.

    `notes` say what the reader has to add, or why there is no command.
    """

    command: str | None
    python: str
    notes: list[str]


def calls_of(study: Study) -> Calls:
    """Return how a study is run again; what is in its file already is not trained again."""
    source, reading = study.about["source"], study.about["reading"] or {}
    space = study.definition.auto or study.definition.space
    options = _options(study)
    notes, why = [], None
    model = study.definition.model
    if model is not None:
        kind, name = model["kind"], model["name"]
        why = f"The study is of {name}, which no command can name."
        notes.append(f"`{kind}` stands for {name} as it was then ({model.get('source') or model['version']:.60}).")
        options = {kind: _Name(kind), **options}
    elif source is None:
        why = "The study was made from arrays or a split, which no command can name."
        notes.append(
            "`data` stands for the arrays, the Dataset or the Split that the study was made from; their fingerprint "
            f"is {study.definition.data.fingerprint[:12]}…"
        )
    elif reading.keys() - READING:
        why = "The command can't name the options that the data were made with."
    if study.definition.method == OPTUNA:
        why = "The study was made with a sampler of Optuna's, which no command can name."
        notes.append("The sampler must be made with the same arguments as then, which the study does not know.")
    own = study.definition.own_metric
    if own is not None:
        why = "The study is decided by a function of one's own, which no command can name."
        notes.append(f"`function` stands for {own['function']}, with the source that it had then.")
    if why is None and list(space) != [name for name in PARAMETERS if name in space]:
        why = "The command puts the hyper-parameters in another order, which would make another grid."
    if why is not None:
        notes.insert(0, why)
    if study.limits.timeout is not None:
        notes.append(f"The time was limited to {study.limits.timeout:g} seconds; without that, all trials are run.")
    command = None if why else _command(source, space, {**reading, **options})
    return Calls(command, _python(study, _data(source, reading), space, {**options, **_own(reading)}), notes)


def _data(source: str | None, reading: dict[str, Any]) -> str:
    """Return the data as the Python call names them."""
    if source is None or reading.keys() <= READING.keys():
        return "data" if source is None else repr(source)
    return f"load_dataset({', '.join([repr(source), *(f'{name}={value!r}' for name, value in reading.items())])})"


def _own(reading: dict[str, Any]) -> dict[str, Any]:
    """Return the options of reading that are arguments of `sweep`."""
    return reading if reading.keys() <= READING.keys() else {}


def _options(study: Study) -> dict[str, Any]:
    """Return the arguments of `sweep` beside data and space, in its order and without what has no value."""
    d = study.definition
    given = {
        "method": d.method,
        **{name: d.method_options.get(name) for name in OPTIONS},
        "n_trials": study.limits.n_trials,
        "epochs": d.epochs,
        "total_epochs": study.limits.total_epochs,
        "repeats": d.repeats if d.repeats > 1 else None,
        "folds": d.folds,
        "metric": d.metric,
        "curves": d.curves,
        "early_stopping": d.early_stopping,
        "class_weight": d.class_weight,
        "ensemble": d.ensemble,
        "target": study.limits.target,
        "seed": d.seed,
        "storage": None if study.path is None else str(study.path),
    }
    return {name: value for name, value in given.items() if value is not None and value is not False}


def _command(source: str, space: dict[str, str], options: dict[str, Any]) -> str:
    words = [f"nn-tuning sweep {shlex.quote(source)}"]
    words += [_word(name, text) for name, text in space.items()]
    words += [_word(name, _text(value)) for name, value in options.items()]
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + len(word) < _WIDTH:
            lines[-1] += f" {word}"
        else:
            lines.append(f"    {word}")
    return " \\\n".join(lines)


def _word(name: str, text: str) -> str:
    """Return an option with its value, joined where the value would be taken for an option."""
    between = "=" if text.startswith("-") else " "
    return f"--{name.replace('_', '-')}{between}{shlex.quote(text)}"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, list | tuple):
        return str(value)
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(value)
    return line.getvalue()


def _metric_text(metric: Metric) -> str:
    """Return a metric of one's own as a call makes it."""
    bounds = ", ".join(f"float('{end}')" if math.isinf(end) else repr(end) for end in metric.bounds)
    return f"nn.Metric({metric.name!r}, function, {metric.larger_is_better}, bounds=({bounds}), needs={metric.needs!r})"


def _python(study: Study, data: str, space: dict[str, str], options: dict[str, Any]) -> str:
    sampler = study.definition.method_options.get("sampler")
    shown = {name: repr(value) for name, value in options.items()}
    imports = "from tuning import sweep"
    if sampler is not None:
        shown["method"] = f"optuna.samplers.{sampler}(seed=…)"
        imports = f"import optuna\n{imports}"
    if study.definition.own_metric is not None:
        shown["metric"] = _metric_text(Metric.from_json(study.definition.own_metric))
        imports = f"import nn\n{imports}"
    if data.startswith("load_dataset("):
        imports = f"from nn import load_dataset\n{imports}"
    of_function = (study.definition.model or {}).get("kind") == "objective"
    lines = ["    space={"] if of_function else [f"    {data},", "    {"]
    lines += [f"        {name!r}: {text!r}," for name, text in space.items()]
    lines += ["    },", *(f"    {name}={text}," for name, text in shown.items())]
    return "\n".join([imports, "", "study = sweep(", *lines, ")"])
