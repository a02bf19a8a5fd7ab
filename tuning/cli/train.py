"""`nn-tuning train`: one network with one setting, epoch by epoch."""

from __future__ import annotations

import argparse
import os
from functools import partial
from typing import Any

from nn.checks import integer, one_of
from nn.metrics import shown_name
from tuning.objective import Objective
from tuning.space import Setting, Space

LINES = 20
"""Epochs that are printed at most; of a longer run, they are evenly spaced."""


def train_command(values: argparse.Namespace, setting: Setting) -> None:
    """Train as the command line says, print its course and its scores, and save the model where that is asked for."""
    from nn.data import load_dataset

    say = partial(print, flush=True)
    epochs = integer("epochs", values.epochs, 1, 1_000_000)
    if values.class_weight is not None:
        one_of("class_weight", values.class_weight, ("balanced",))
    data = load_dataset(values.data, target=values.target_column)
    objective = Objective.prepare(data)
    if setting:
        objective.check(Space({name: [value] for name, value in setting.items()}))
    model, optimizer, batch_size, schedule = objective.build(setting)
    if values.save is not None:
        _check_save(values.save)
    split = objective.splits[0]
    from nn.training import train

    def show(snapshot: Any) -> None:
        say(f"epoch {snapshot.epoch:>{len(str(epochs))}}  {scores_line(snapshot.history.metrics())}")

    run = train(
        model,
        split,
        optimizer,
        batch_size=batch_size,
        epochs=epochs,
        seed=integer("seed", values.seed, 0),
        schedule=schedule,
        replacement=values.replacement,
        class_weight=values.class_weight,
        early_stopping=values.early_stopping,
        metrics=values.metrics,
        divergence_factor=values.divergence_factor,
        callback=None if values.quiet else show,
        every=-(-epochs // LINES),
    )
    how = f"{run.status}{f' ({run.reason})' if run.reason else ''} after {run.epochs} epochs"
    if run.epochs:
        say(f"{how}: {scores_line(run.metrics)}")
    else:
        say(f"{how}, in step {run.diverged_step}: lower the learning_rate")
    if values.test and split.test is not None:
        say(scores_line({f"test_{name}": value for name, value in run.evaluate(split.test).items()}))
    if values.save is not None:
        run.save(values.save)
        say(f"saved: {values.save}")


def scores_line(metrics: dict[str, float]) -> str:
    """Return scores in one line, as people read them."""
    return "  ".join(f"{shown_name(name)} {value:.4f}" for name, value in metrics.items())


def _check_save(path: Any) -> None:
    """Raise unless a model can be saved there, before it is trained."""
    if path.suffix != ".npz":
        raise ValueError(f"save must be a file that ends in .npz, but got {str(path)!r}")
    if not path.parent.is_dir() or path.is_dir() or not os.access(path.parent, os.W_OK):
        raise ValueError(f"save must be a file in a folder that can be written, but {str(path.parent)!r} can't")
