"""The methods of search by name: what `method=` and `--method` may be, and the options that each takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nn.checks import one_of
from tuning.methods.halving import Halving, Hyperband
from tuning.methods.optuna import OptunaSampler, is_sampler
from tuning.methods.refine import Refine
from tuning.methods.samplers import Grid, Random, Sampler, Sobol

METHODS: dict[str, type[Sampler]] = {
    "grid": Grid,
    "random": Random,
    "sobol": Sobol,
    "refine": Refine,
    "halving": Halving,
    "hyperband": Hyperband,
    "tpe": OptunaSampler,
}

OPTUNA = "optuna"
"""The method that a study file names where a sampler of Optuna's was given, which can't be stored."""

OPTIONS = tuple(dict.fromkeys(name for kind in METHODS.values() for name in kind.own_options()))
"""The options of all methods; `sweep` has an argument for each."""

_WITHOUT_COMPLAINT = ("points",)


def gives_budgets(method: Any) -> bool:
    """Return whether a method trains some settings for fewer epochs than others."""
    return isinstance(method, str) and method in METHODS and METHODS[method].budgets


def option_help(name: str) -> str:
    """Return the help on an option: its methods, what it does and its default.

    >>> option_help("eta")
    'halving, hyperband: one setting in so many goes on (3)'
    """
    groups: dict[str, list[str]] = {}
    for method, kind in METHODS.items():
        if (each := kind.own_options().get(name)) is not None:
            default = f" ({each.default})" if each.default is not False else ""
            groups.setdefault(f"{each.metadata['about']}{default}", []).append(method)
    return "; ".join(f"{', '.join(methods)}: {about}" for about, methods in groups.items())


def option_kind(name: str) -> type:
    """Return the type that an option is read as: int, float, or str for names."""
    kind: type = next(k.own_options()[name].metadata["kind"] for k in METHODS.values() if name in k.own_options())
    return kind


def make_sampler(method: Any, n_settings: int | None = None, seed: int = 0, **options: Any) -> Sampler:
    """Return the sampler that `method` names or is.

    Options that are None have the method's default. Raises ValueError for an unknown method, with the nearest name, and
    for an option that belongs to another.
    """
    given = {name: value for name, value in options.items() if value is not None}
    extra = {"sampler": method} if is_sampler(method) else {}
    name = OPTUNA if extra else one_of("method", method, METHODS)
    kind = OptunaSampler if extra else METHODS[name]
    own = kind.own_options()
    for option in given:
        if option not in own and option not in _WITHOUT_COMPLAINT:
            takers = [each for each, other in METHODS.items() if option in other.own_options()]
            raise ValueError(f"{option} must go with method {' or '.join(takers)}, but the method is {name}")
    chosen = {own[option].name: value for option, value in given.items() if option in own}
    return kind(n_settings, seed, **chosen, **extra)


def sampler_of(
    method: str,
    stored: Mapping[str, Any],
    n_settings: int | None,
    seed: int,
    sampler: Any = None,
    even: bool = True,
) -> Sampler:
    """Return the sampler of a study file.

    `sampler` is that of Optuna's, where the study was made with one; `even` is the order of its grid, if it has one.
    """
    options = {name: value for name, value in stored.items() if name in OPTIONS}
    if "n_settings" in stored:
        n_settings = stored["n_settings"]
    if method == OPTUNA:
        return OptunaSampler(n_settings, seed, sampler=sampler, kind=stored.get("sampler"), **options)
    made = make_sampler(method, n_settings, seed, **options)
    return replace(made, even=even) if isinstance(made, Grid) else made


def method_name(method: Any) -> str:
    """Return the name of a method as a study file has it."""
    return OPTUNA if is_sampler(method) else str(method)
