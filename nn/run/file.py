"""Saved runs, which come back from their files."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nn import files
from nn.data import Encoding, Scaling
from nn.metrics import Metric, own_metric
from nn.model import MLP
from nn.run.ensemble import Ensemble
from nn.run.history import History, LayerHistory
from nn.run.run import PLAIN, Run
from nn.run.state import TrainState

Array = NDArray[Any]


def load(path: str | os.PathLike[str]) -> Run | Ensemble:
    """Read what `Run.save` or `Ensemble.save` wrote, which then predicts, scores and resumes as before.

    Nothing in the file is executed. Raises ValueError, in one line, for a file that is missing, truncated, foreign or
    of a newer version.
    """
    about, arrays = files.read_run(path)
    try:
        if "runs" not in about:
            return _run(about, arrays)
        return Ensemble([_run(each, _under(f"{place}.", arrays)) for place, each in enumerate(about["runs"])])
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        raise ValueError(
            f"{os.fspath(path)!r} must be a whole run, but a part of it is missing or damaged: {error}"
        ) from error


def _under(prefix: str, arrays: dict[str, Array]) -> dict[str, Array]:
    return {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}


def _run(about: dict[str, Any], arrays: dict[str, Array]) -> Run:
    def under(prefix: str) -> dict[str, Array]:
        return _under(prefix, arrays)

    for own in about.get("own_metrics", ()):
        own_metric(Metric.from_json(own))
    history: dict[str, Any] = dict.fromkeys(History.__dataclass_fields__) | under("history.")
    shapes = {getattr(history[column], "shape", None) for column in ("train_loss", "gradient_norm", "update_norm")}
    if shapes != {(len(arrays["state.history"]),)}:
        raise ValueError("history must have the training loss and the norms of all epochs")
    encoding = None if about.get("encoding") is None else Encoding.from_json(about["encoding"])
    about = {"target_names": None, "reading": {}, **about}  # which older files have not
    plain = {name: about[name] for name in PLAIN}
    for name in ("class_names", "feature_names", "target_names"):
        plain[name] = None if plain[name] is None else tuple(plain[name])
    if not isinstance(plain["reading"], dict):
        raise ValueError("reading must be options by name")
    arguments: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in about["model"].items()}
    model, theta = MLP(**arguments), arrays["theta"]
    if history["layers"] is not None:
        history["layers"] = LayerHistory(history["layers"], model.activation)
    if theta.shape != (model.size,) or theta.dtype != model.dtype:
        raise ValueError(f"theta must be {model.dtype} ({model.size},), but is {theta.dtype} {theta.shape}")
    if encoding is not None and len(encoding.feature_names) != model.layer_sizes[0]:
        raise ValueError(
            f"the encoding must have the {model.layer_sizes[0]:,} features of the model, "
            f"but has {len(encoding.feature_names):,}"
        )
    return Run(
        model=model,
        theta=theta,
        history=History.of(history),
        state=TrainState.from_arrays(under("state.")),
        scaling=_scaling(under("scaling."), model.layer_sizes[0]),
        spread=_scaling(under("spread."), model.layer_sizes[0]),
        encoding=encoding,
        classes=arrays.get("classes"),
        **plain,
    )


def _scaling(statistics: dict[str, Array], features: int) -> Scaling | None:
    """Return a scaling from arrays that a file claims; None where there are none."""
    if not statistics:
        return None
    scaling = Scaling(**statistics)
    for mean, std in ((scaling.mean, scaling.std), (scaling.target_mean, scaling.target_std)):
        if (mean is None) != (std is None):
            raise ValueError("a scaling must have both means and spreads")
        if mean is not None and std is not None:
            kind = {mean.dtype.str, std.dtype.str}
            if kind != {"<f8"} or mean.ndim != 1 or mean.shape != std.shape or not np.all(std > 0):
                raise ValueError("a scaling must have means, and spreads above 0, as 64-bit numbers in one row")
    if len(scaling.mean) != features:
        raise ValueError(f"a scaling must have the {features:,} features of the model, but has {len(scaling.mean):,}")
    return scaling
