"""Runs in files: `.npz` archives of arrays and text, without pickle."""

from __future__ import annotations

import json
import os
import secrets
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn.data import Scaling
from nn.model import MLP
from nn.run import History, Run, TrainState

FORMAT = "nn-tuning run"
VERSION = 1


def save(run: Run, path: str | os.PathLike[str]) -> None:
    """Write a run to `path`. The file appears whole or not at all; an older one of that name is replaced.

    Raises OSError where it can't be written.
    """
    about = {
        "format": FORMAT,
        "version": VERSION,
        "model": run.model.arguments,
        **{name: getattr(run, name) for name in _PLAIN},
    }
    arrays: dict[str, NDArray[Any]] = {"about": np.array(json.dumps(about)), "theta": run.theta}
    arrays |= {f"state.{name}": value for name, value in run.state.to_arrays().items()}
    arrays |= {f"history.{k}": v for k, v in vars(run.history).items() if v is not None}
    if run.scaling is not None:
        arrays |= {f"scaling.{k}": v for k, v in vars(run.scaling).items() if v is not None}
    if run.classes is not None:
        arrays["classes"] = run.classes
    target = Path(path)
    temporary = target.parent / f".{target.name}.{secrets.token_hex(8)}"
    try:
        with open(temporary, "xb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


# What zipfile, NumPy and json raise for the many ways in which a file can be broken.
_DAMAGE = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, EOFError, MemoryError),
    *(NotImplementedError, RuntimeError, SyntaxError, struct.error, zipfile.BadZipFile, zlib.error),
)
_PLAIN = ("status", "reason", "diverged_step", "steps", "task", "class_names", "feature_names", "flat")


def load(path: str | os.PathLike[str]) -> Run:
    """Read a run that `Run.save` wrote.

    Raises ValueError, in one line, for a file that is missing, truncated, foreign or of a newer version.
    """
    name = os.fspath(path)
    try:
        with open(name, "rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
        about = json.loads(str(arrays["about"]))
        known, version = about["format"] == FORMAT, about["version"]
    except FileNotFoundError:
        raise ValueError(f"the path must be of a saved run, but there is nothing at {name!r}") from None
    except _DAMAGE as error:
        raise ValueError(f"{name!r} must be a run saved by Run.save, but is truncated or something else") from error
    if not known or not isinstance(version, int) or version > VERSION:
        raise ValueError(f"{name!r} must be a run in format {VERSION} or older, but is {about['format']} {version}")
    try:
        return _run(arrays, about)
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        raise ValueError(f"{name!r} must be a whole run, but a part of it is missing or damaged: {error}") from error


def _run(arrays: dict[str, NDArray[Any]], about: dict[str, Any]) -> Run:
    def under(prefix: str) -> dict[str, NDArray[Any]]:
        return {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}

    history = dict.fromkeys(History.__dataclass_fields__) | under("history.")
    shapes = {getattr(history[column], "shape", None) for column in ("train_loss", "gradient_norm", "update_norm")}
    if shapes != {(len(arrays["state.history"]),)}:
        raise ValueError("history must have the training loss and the norms of all epochs")
    scaling = under("scaling.")
    plain = {name: about[name] for name in _PLAIN}
    for name in ("class_names", "feature_names"):
        plain[name] = None if plain[name] is None else tuple(plain[name])
    arguments: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in about["model"].items()}
    model, theta = MLP(**arguments), arrays["theta"]
    if theta.shape != (model.size,) or theta.dtype != model.dtype:
        raise ValueError(f"theta must be {model.dtype} ({model.size},), but is {theta.dtype} {theta.shape}")
    return Run(
        model=model,
        theta=theta,
        history=History(**history),  # type: ignore[arg-type]
        state=TrainState.from_arrays(under("state.")),
        scaling=Scaling(**scaling) if scaling else None,
        classes=arrays.get("classes"),
        **plain,
    )
