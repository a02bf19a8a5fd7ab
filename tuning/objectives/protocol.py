"""The one door through which the engine knows what it tunes: what it asks of an objective, of any kind."""

from __future__ import annotations

from typing import Any, Protocol

from nn.metrics import Metric
from tuning.source import Source
from tuning.space import Space
from tuning.store import DataDescription, TrialResult, TrialSpec


class TrialObjective(Protocol):
    """Runs a `TrialSpec` and returns its `TrialResult`: `Objective`, `FunctionObjective` or `EstimatorObjective`.

    The same spec must give the same result, to the last bit, in any thread or process; what goes wrong in a trial is a
    result too. Whoever runs in other processes must be picklable.

    Attributes:
        metrics: The names of what every trial is scored by; a trial may have more.
        folds: The number of folds, None where there are none.
        source: Where the data can be loaded from again, None where there are none or they were given.
        sizes: The numbers of examples in training, validation and test; None without data.
        guess: The scores of the best constant answer, by metric; None where that is not known.
        description: The identity of the data.
        model: The identity of what is trained, where that is not a network of `nn`: its "kind", the argument of
            `sweep` that it was, its "name", and under "source" or "version" what may be allowed to change.
        early_stopping, class_weight: How a network is trained; None for what is none.
        own_metric: The metric that decides, where it is a function of the user's for a network.
        trains: Whether more epochs make another result.
        in_processes: Whether trials hold the GIL, and are run in processes where nothing else is said.
    """

    @property
    def metrics(self) -> tuple[str, ...]: ...
    @property
    def folds(self) -> int | None: ...
    @property
    def source(self) -> Source | None: ...
    @property
    def sizes(self) -> dict[str, int] | None: ...
    @property
    def guess(self) -> dict[str, float] | None: ...
    @property
    def description(self) -> DataDescription: ...
    @property
    def model(self) -> dict[str, Any] | None: ...
    @property
    def early_stopping(self) -> int | None: ...
    @property
    def class_weight(self) -> str | None: ...
    @property
    def own_metric(self) -> Metric | None: ...
    @property
    def trains(self) -> bool: ...
    @property
    def in_processes(self) -> bool: ...

    def portable(self) -> TrialObjective:
        """Return the objective that, pickled, has all that it needs on a machine without its files."""

    def conditioned(self, space: Space) -> Space:
        """Return the space with each parameter under the choices that take it."""

    def check(self, space: Space) -> None:
        """Raise ValueError or TypeError unless every setting of the space can be tried."""

    def __call__(self, spec: TrialSpec) -> TrialResult:
        """Run one trial."""
