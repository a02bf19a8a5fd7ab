"""Parameters that only make sense under a choice, put there: momentum under sgd, a schedule's numbers under it.

On the command line all parameters stand beside each other. With `--optimizer sgd,adam --momentum 0:0.9`, momentum is
searched for sgd alone, as if it had been written `--optimizer "sgd(momentum=0:0.9),adam"`: nothing is trained twice
under two names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tuning.space.parameters import PARAMETERS
from tuning.space.spaces import Choice, Parameter, Space
from tuning.space.values import Value, value_text

OWNERS = {"optimizer": "optimizer", "schedule": "schedule"}
"""The choice that decides over the parameters of each such part."""


def conditioned(space: Space, takes: Callable[[str, Value], bool]) -> Space:
    """Return the space with each parameter under those values of its owner that take it.

    `takes(name, value)` says whether a parameter has a meaning under a value of the choice that owns it. A parameter
    that has one under all of them, or under none, stays where it is.
    """
    flat = dict(space.parameters)
    moved: dict[str, dict[Value, dict[str, Parameter]]] = {}
    for name in space.parameters:
        owner = OWNERS.get(PARAMETERS[name].part) if name in PARAMETERS else None
        choice = flat.get(owner) if owner is not None else None
        if owner is None or not isinstance(choice, Choice):
            continue
        takers = [value for value in choice.values if takes(name, value)]
        if 0 < len(takers) < len(choice.values):
            parameter = flat.pop(name)
            for value in takers:
                moved.setdefault(owner, {}).setdefault(value, {})[name] = parameter
    for owner, parts in moved.items():
        choice = flat[owner]
        assert isinstance(choice, Choice)
        branches: dict[Any, Any] = {
            value_text(value): {**(part.parameters if part else {}), **parts.get(value, {})}
            for value, part in choice.branches()
        }
        flat[owner] = Choice(branches)
    return Space(flat) if moved else space
