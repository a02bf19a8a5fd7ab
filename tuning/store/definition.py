"""What a study writes down once: its environment, and its definition, on which every result depends."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tuning.store.schema import StudyFileError


@lru_cache(maxsize=1)
def environment() -> Mapping[str, str | int | None]:
    """Return the versions and the machine that a study is run with; looking them up takes some milliseconds."""
    versions: dict[str, str | int | None] = {"python": platform.python_version()}
    for name in ("nn-tuning", "numpy", "numba", "scipy"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    machine = {"system": platform.platform(), "processor": platform.machine(), "cores": os.cpu_count()}
    return MappingProxyType({**versions, **machine})


def check_same(path: Path | None, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Raise, saying what differs, unless two definitions are the same; the order of a space's names counts."""
    differences = []
    for key in new:
        before, now = old.get(key), new[key]
        if isinstance(now, dict) and isinstance(before, dict):
            for name in dict.fromkeys([*before, *now]):
                if before.get(name) != now.get(name):
                    differences.append(f"{name} {_shown(before.get(name))} there and {_shown(now.get(name))} here")
            if before == now and list(before) != list(now):
                differences.append(f"{key} in the order {', '.join(before)} there and {', '.join(now)} here")
        elif before != now:
            differences.append(f"{key} {_shown(before)} there and {_shown(now)} here")
    if differences:
        raise StudyFileError(
            f"the study in {str(path)!r} must have the same definition to be continued, "
            f"but has {'; '.join(differences)}; name another file"
        )


def now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _shown(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text[:12] + "…" if len(text) == 64 else text
