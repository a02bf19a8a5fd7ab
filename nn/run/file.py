"""Saved runs, which come back from their files."""

from __future__ import annotations

import os
from typing import Any

from numpy.typing import NDArray

from nn import files
from nn.data import Scaling
from nn.model import MLP
from nn.run.history import History, LayerHistory
from nn.run.run import PLAIN, Run
from nn.run.state import TrainState

Array = NDArray[Any]


def load(path: str | os.PathLike[str]) -> Run:
    """Read a run that `Run.save` wrote, which then predicts, scores and resumes as before. Nothing in it is executed.

    Raises ValueError, in one line, for a file that is missing, truncated, foreign or of a newer version.
    """
    about, arrays = files.read_run(path)
    try:
        return _run(about, arrays)
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        raise ValueError(
            f"{os.fspath(path)!r} must be a whole run, but a part of it is missing or damaged: {error}"
        ) from error


def _run(about: dict[str, Any], arrays: dict[str, Array]) -> Run:
    def under(prefix: str) -> dict[str, Array]:
        return {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}

    history: dict[str, Any] = dict.fromkeys(History.__dataclass_fields__) | under("history.")
    shapes = {getattr(history[column], "shape", None) for column in ("train_loss", "gradient_norm", "update_norm")}
    if shapes != {(len(arrays["state.history"]),)}:
        raise ValueError("history must have the training loss and the norms of all epochs")
    scaling = under("scaling.")
    plain = {name: about[name] for name in PLAIN}
    for name in ("class_names", "feature_names"):
        plain[name] = None if plain[name] is None else tuple(plain[name])
    arguments: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in about["model"].items()}
    model, theta = MLP(**arguments), arrays["theta"]
    if history["layers"] is not None:
        history["layers"] = LayerHistory(history["layers"], model.activation)
    if theta.shape != (model.size,) or theta.dtype != model.dtype:
        raise ValueError(f"theta must be {model.dtype} ({model.size},), but is {theta.dtype} {theta.shape}")
    return Run(
        model=model,
        theta=theta,
        history=History.of(history),
        state=TrainState.from_arrays(under("state.")),
        scaling=Scaling(**scaling) if scaling else None,
        classes=arrays.get("classes"),
        **plain,
    )
