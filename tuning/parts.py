"""From a setting to the parts that train a network: its optimizer and its schedule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nn.checks import integer, one_of
from nn.optimizers import OPTIMIZERS, Optimizer
from tuning.space import DEFAULTS, PARAMETERS, Value, takers

if TYPE_CHECKING:
    from nn.schedules import Schedule


def optimizer_of(params: Mapping[str, Any]) -> Optimizer:
    """Return the optimizer of a setting; raises what its constructor raises."""
    kind = OPTIMIZERS[one_of("optimizer", params.get("optimizer", DEFAULTS["optimizer"]), OPTIMIZERS)]
    return kind(**{name: value for name, value in params.items() if name in kind.__dataclass_fields__})


def schedule_of(params: Mapping[str, Any]) -> Schedule | None:
    """Return the schedule of a setting, None where it has none; raises what its constructor raises."""
    from nn.schedules import Constant, Warmup

    schedule = None
    if params.get("schedule") is not None:
        name = one_of("schedule", params["schedule"], known_schedules())
        numbers = {key.removeprefix("schedule_"): value for key, value in params.items() if takes(name, key)}
        schedule = known_schedules()[name](**numbers)
    warmup = integer("warmup", params.get("warmup", 0), 0)
    if warmup and isinstance(schedule, Warmup):
        raise ValueError(f"warmup must be 0 with schedule warmup, which has schedule_warmup, but got {warmup}")
    return Warmup(warmup=warmup, then=schedule or Constant()) if warmup else schedule


def known_schedules() -> dict[str, type[Schedule]]:
    """Return the schedules by name; they are imported only when they are needed."""
    from nn.schedules import SCHEDULES

    return SCHEDULES


def takes(schedule: str, name: str) -> bool:
    """Return whether this schedule has the number that a parameter `schedule_…` sets."""
    numbers = getattr(known_schedules().get(schedule), "__dataclass_fields__", ())
    return name.startswith("schedule_") and name.removeprefix("schedule_") in numbers


def used_under(name: str, value: Value) -> bool:
    """Return whether a parameter has a meaning under this optimizer or schedule."""
    return takes(str(value), name) if PARAMETERS[name].part == "schedule" else value in takers(name)
