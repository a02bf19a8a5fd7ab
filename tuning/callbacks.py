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

import contextlib
import logging
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from nn.checks import brief
from tuning.store import DIVERGED, FAILED, PAUSED, StudyFile, Trial, TrialResult, TrialSpec, setting_text

log = logging.getLogger("tuning")

Callback = Callable[[Trial], Any]
"""Called with each trial that has ended, in the process and the thread of the study."""


class AnnouncingFile(StudyFile):
    """A study file that tells a callback, where there is one, of each trial that has ended and been saved.

    A trial that may get more epochs, under halving, is told of once it has ended for good. None is told of twice, not
    even where Ctrl-C came in between.
    """

    _callback: Callback | None = None
    _waiting: deque[int]
    _warned = False

    @contextlib.contextmanager
    def telling(self, callback: Callback | None) -> Iterator[None]:
        """Tell this callback, if it is one, of the trials that end in here."""
        self._callback, self._waiting, self._warned = callback, deque(), False
        try:
            yield
        finally:
            self._callback = None

    def add(self, results: Iterable[tuple[TrialSpec, TrialResult]]) -> None:
        """Write finished trials as `StudyFile.add` does, then tell of them."""
        results = list(results)
        ended = [spec.number for spec, result in results if result.state != PAUSED]
        fresh = [] if self._callback is None else [number for number in ended if self._is_open(number)]
        super().add(results)
        for spec, result in results:
            if result.state == DIVERGED:
                log.info("trial %d diverged in step %s: %s", spec.number, result.diverged_step, spec.text)
            elif result.state == FAILED:
                log.warning("trial %d failed: %s; %s", spec.number, result.error, spec.text)
        self._tell(fresh)

    def prune(self, over: Callable[[int], bool]) -> None:
        """End paused trials as `StudyFile.prune` does, then tell of them."""
        pruned: list[int] = []

        def seen(number: int) -> bool:
            ends = over(number)
            if ends:
                pruned.append(number)
            return ends

        super().prune(seen)
        if pruned:
            log.info("%d trials pruned", len(pruned))
        self._tell([] if self._callback is None else pruned)

    def _is_open(self, number: int) -> bool:
        standing = self.standing(number)
        return standing is None or standing[1] == PAUSED

    def _tell(self, numbers: Iterable[int]) -> None:
        """Call the callback with these trials; what it raises is warned of, and changes nothing."""
        if self._callback is None:
            return
        self._waiting.extend(numbers)
        while self._waiting:
            trial = self.trial(self._waiting.popleft())
            assert trial is not None
            try:
                self._callback(trial)
            except Exception as error:
                what = f"callback failed at trial {trial.number}: {type(error).__name__}: {error}"
                log.warning("%s; %s", what, setting_text(trial.params), exc_info=True)
                if not self._warned:
                    self._warned = True
                    warnings.warn(f"{what}; the study goes on, and nothing is lost", RuntimeWarning, stacklevel=2)


def check_callback(callback: Any) -> Callback | None:
    """Return a callback, or None; raises TypeError for what can't be called."""
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be a function of a finished trial, but got {brief(callback)}")
    known: Callback | None = callback
    return known
