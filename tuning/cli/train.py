"""`nn-tuning train`: one network with one setting, epoch by epoch."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from nn.checks import integer, one_of
from nn.metrics import shown_name
from tuning.cli.options import given_reading
from tuning.cli.wording import say
from tuning.objective import Objective
from tuning.space import Setting, Space
from tuning.understood import understood

LINES = 20
"""Epochs that are printed at most; of a longer run, they are evenly spaced."""

STOPS = 200
"""Places of a run at which Ctrl-C can end it with what was trained until then; of a short run, each epoch."""

FIGURES = (".png", ".svg", ".pdf")


class NothingSaved(Exception):
    """A training that was to be saved has diverged."""


def train_command(values: argparse.Namespace, setting: Setting) -> None:
    """Train as the command line says, print its course and its scores, and save the model where that is asked for."""
    epochs = integer("epochs", values.epochs, 1, 1_000_000)
    seed = integer("seed", values.seed, 0)
    if values.class_weight is not None:
        one_of("class_weight", values.class_weight, ("balanced",))
    objective = Objective.prepare(values.data, reading=given_reading(values))
    if setting:
        objective.check(Space({name: [value] for name, value in setting.items()}))
    model, optimizer, batch_size, schedule = objective.build(setting)
    if values.save is not None:
        check_output("save", values.save, (".npz",))
    if values.plot is not None:
        check_output("plot", values.plot, FIGURES)
        from tuning import plots

        plots.require()
    split = objective.splits[0]
    opening = iter([understood(objective)])  # said once, and not before `train` has found nothing wrong
    from nn.training import train

    every = -(-epochs // STOPS)
    lines = -(-epochs // (LINES * every)) * every
    with _ctrl_c(values.save) as interrupted:

        def show(snapshot: Any) -> bool:
            for line in opening:
                say(line)
            if not values.quiet and snapshot.epoch % lines == 0:
                say(f"epoch {snapshot.epoch:>{len(str(epochs))}}  {scores_line(snapshot.history.metrics())}")
            return interrupted.is_set()

        run = train(
            model,
            split,
            optimizer,
            batch_size=batch_size,
            epochs=epochs,
            seed=seed,
            schedule=schedule,
            replacement=values.replacement,
            class_weight=values.class_weight,
            early_stopping=values.early_stopping,
            metrics=values.metrics,
            divergence_factor=values.divergence_factor,
            callback=show,
            every=every,
        )
    for line in opening:
        say(line)
    reason = "Ctrl-C" if run.reason == "callback" else run.reason
    how = f"{run.status}{f' ({reason})' if reason else ''} after {run.epochs} epoch{'' if run.epochs == 1 else 's'}"
    if run.epochs:
        say(f"{how}: {scores_line(run.metrics)}")
    else:
        say(f"{how}, in step {run.diverged_step}: lower --learning-rate")
    if values.test and split.test is not None:
        say(scores_line({f"test_{name}": value for name, value in run.evaluate(split.test).items()}))
        say("the test part was looked at: what is chosen with these scores in mind is no longer tested by them")
    if values.plot is not None and run.epochs:
        say(f"figure: {plots.save(plots.course(run), values.plot)}")
    if values.save is not None:
        if run.status == "diverged":
            raise NothingSaved(
                f"the training diverged in step {run.diverged_step}, and nothing was saved to {str(values.save)!r}; "
                "lower learning_rate="
            )
        objective.with_reading(run).save(values.save)
        say(f"saved: {values.save}")
    if interrupted.is_set():
        raise KeyboardInterrupt(f"{values.save} has what was trained in {run.epochs:,} of {epochs:,} epochs")


def scores_line(metrics: dict[str, float]) -> str:
    """Return scores in one line, as people read them."""
    return "  ".join(f"{shown_name(name)} {value:.4f}" for name, value in metrics.items())


@contextlib.contextmanager
def _ctrl_c(save: Path | None) -> Iterator[threading.Event]:
    """Yield what the first Ctrl-C sets where there is something to save; the second ends the training at once."""
    pressed = threading.Event()
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if save is None or not usual or threading.current_thread() is not threading.main_thread():
        yield pressed
        return

    def on_signal(number: int, frame: FrameType | None) -> None:
        if pressed.is_set():
            raise KeyboardInterrupt
        pressed.set()
        print("nn-tuning: finishing this epoch, then saving; press Ctrl-C again to stop now", file=sys.stderr)

    signal.signal(signal.SIGINT, on_signal)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def check_output(name: str, path: Path, endings: Sequence[str]) -> None:
    """Raise unless a file can be written there, before anything is trained."""
    if path.suffix.lower() not in endings:
        raise ValueError(f"{name} must be a file that ends in {' or '.join(endings)}, but got {str(path)!r}")
    if not path.parent.is_dir() or path.is_dir() or not os.access(path.parent, os.W_OK):
        raise ValueError(f"{name} must be a file in a folder that can be written, but {str(path.parent)!r} can't")
