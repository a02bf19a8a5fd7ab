"""`learning_rate="auto"`: the range comes from range tests on the data, for what the space says of all else."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, product
from typing import Any

from tuning.objective import Objective
from tuning.space import Choice, LogUniform, Parameter, Setting, Space, value_text

AUTO = "auto"
NAME = "learning_rate"
SETTINGS = 16
"""The most settings that are tested."""

_MATTERS = ("hidden_units", "batch_size", "momentum", "optimizer", "activation")
"""The parameters that move the useful rates most: both ends of these are tested, the first value of all others."""


def is_auto(space: Space) -> bool:
    """Return whether the range of the learning rate is to be found, here or in a part."""
    return any(_wanted(variant.get(NAME)) for variant in space.variants()) if NAME in space.names else False


def with_ranges(space: Space, objective: Objective, seed: int) -> Space:
    """Return the space with a range in the place of every "auto". Raises ValueError where no rate is of any use.

    One in a part of a choice is tested with what stands in that part. The result depends on the data, the space and the
    seed alone.
    """
    found: dict[str, Any] = {}
    for name, parameter in space.parameters.items():
        if name == NAME and _wanted(parameter):
            found[name] = _range(space, objective, seed)
        elif isinstance(parameter, Choice) and parameter.parts:
            branches: dict[Any, Any] = {}
            for value, part in parameter.branches():
                inner = dict(part.parameters) if part else {}
                if _wanted(inner.get(NAME)):
                    alone = Choice({value_text(value): inner})
                    inner[NAME] = _range(Space({**space.parameters, name: alone}), objective, seed)
                branches[value_text(value)] = inner
            found[name] = Choice(branches)
        else:
            found[name] = parameter
    return Space(found)


def _range(space: Space, objective: Objective, seed: int) -> LogUniform:
    from tuning.learning_rate.range_test import suggest_range

    settings = [setting for variant in space.variants() for setting in _settings(variant)]
    return LogUniform(*suggest_range(objective, settings[:SETTINGS], seed=seed))


def _settings(variant: dict[str, Parameter]) -> Iterator[Setting]:
    """Yield settings at the corners of what matters, without a learning rate."""
    ends = {
        name: tuple(dict.fromkeys((each.ends[0], each.ends[-1]) if name in _MATTERS else each.ends[:1]))
        for name, each in variant.items()
        if name != NAME
    }
    for values in islice(product(*ends.values()), SETTINGS):
        yield dict(zip(ends, values, strict=True))


def _wanted(parameter: Parameter | None) -> bool:
    if not isinstance(parameter, Choice) or AUTO not in parameter.values:
        return False
    if len(parameter.values) > 1:
        raise ValueError(f"learning_rate must be auto or values, but got both: {parameter}")
    return True
