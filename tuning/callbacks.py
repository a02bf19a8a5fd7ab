"""Telling a function of one's own about each finished trial, and the log of what happens to trials.

Nothing that is computed depends on either: a trial is told of after it has been saved.

A callback is any function of a `Trial`: `sweep(..., callback=function)`, or that of `Study.run` and `Study.resume`. It
is called in the caller's thread, so it may hold a connection or a file. To see the trials in MLflow, each as a run
within the one of the study:

    import mlflow
    from tuning import sweep

    def to_mlflow(trial):
        with mlflow.start_run(run_name=f"trial {trial.number}", nested=True):
            mlflow.log_params({**trial.params, "repeat": trial.repeat, "fold": trial.fold})
            mlflow.set_tag("state", trial.state)
            for epoch in range(trial.epochs):
                mlflow.log_metrics({name: float(curve[epoch]) for name, curve in trial.curves.items()}, step=epoch + 1)

    with mlflow.start_run(run_name="digits"):
        sweep("digits", {"learning_rate": [0.01, 0.1], "batch_size": [16, 32]}, callback=to_mlflow)

And in TensorBoard, where `tensorboard --logdir runs/tensorboard` shows curves, and a table of hyper-parameters:

    from torch.utils.tensorboard import SummaryWriter
    from tuning import sweep

    def to_tensorboard(trial):
        with SummaryWriter(f"runs/tensorboard/{trial.number:05}") as writer:
            for name, curve in trial.curves.items():
                for epoch, value in enumerate(curve, 1):
                    writer.add_scalar(name, value, epoch)
            params = {name: str(value) if isinstance(value, tuple) else value for name, value in trial.params.items()}
            ends = {f"last/{name}": value for name, value in trial.metrics.items()}
            writer.add_hparams(params, ends, run_name=".")

    sweep("digits", {"learning_rate": [0.01, 0.1], "hidden_units": [16, (16, 16)]}, callback=to_tensorboard)

The log is that of the standard library, under the name "tuning", and quiet unless the program asks for it, as with
`logging.basicConfig(level=logging.INFO)`: INFO when a study begins, is resumed and ends, and for what diverged or was
pruned; WARNING for a trial that failed and for a callback that did.
"""

from __future__ import annotations

import logging
import warnings
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from nn.checks import brief
from tuning.store import DIVERGED, FAILED, PAUSED, StudyFile, Trial, TrialResult, TrialSpec, setting_text

log = logging.getLogger("tuning")

Callback = Callable[[Trial], Any]
"""Called with each trial that has ended, in the process and the thread of the study."""


class Announcer:
    """Logs what happened to trials that have been saved, and tells a callback, if there is one, of those that ended.

    A trial that may get more epochs, under halving, is told of once it has ended for good. None is told of twice, not
    even where Ctrl-C came in between: `tell` then goes on where it was.
    """

    def __init__(self, file: StudyFile, callback: Callback | None = None) -> None:
        self._file = file
        self._callback = callback
        self._queued: set[int] = set()
        self._waiting: deque[int] = deque()
        self._warned = False

    def saved(self, results: Iterable[tuple[TrialSpec, TrialResult]]) -> None:
        """Log what diverged or failed of these trials, and queue for the callback what has ended."""
        for spec, result in results:
            if result.state == DIVERGED:
                log.info("trial %d diverged in step %s: %s", spec.number, result.diverged_step, spec.text)
            elif result.state == FAILED:
                log.warning("trial %d failed: %s; %s", spec.number, result.error, spec.text)
            if result.state != PAUSED:
                self._queue(spec.number)

    def pruned(self, numbers: list[int]) -> None:
        """Log how many trials were pruned, and tell of them."""
        if numbers:
            log.info("%d trials pruned", len(numbers))
        for number in numbers:
            self._queue(number)
        self.tell()

    def tell(self) -> None:
        """Call the callback with the trials that are queued; what it raises is warned of, and changes nothing."""
        while self._callback is not None and self._waiting:
            trial = self._file.trial(self._waiting.popleft())
            assert trial is not None
            try:
                self._callback(trial)
            except Exception as error:
                what = f"callback failed at trial {trial.number}: {type(error).__name__}: {error}"
                log.warning("%s; %s", what, setting_text(trial.params), exc_info=True)
                if not self._warned:
                    self._warned = True
                    warnings.warn(f"{what}; the study goes on, and nothing is lost", RuntimeWarning, stacklevel=2)

    def _queue(self, number: int) -> None:
        if self._callback is not None and number not in self._queued:
            self._queued.add(number)
            self._waiting.append(number)


def check_callback(callback: Any) -> None:
    """Raise TypeError unless `callback` is None or can be called."""
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be a function of a finished trial, but got {brief(callback)}")
