from __future__ import annotations

from hypothesis import HealthCheck, settings

# The same examples in every run: a change is judged by what it changes, and not by the machine's speed.
settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("repeatable")
