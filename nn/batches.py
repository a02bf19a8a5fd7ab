"""The examples of each mini-batch, and their way to the kernels: from memory, or in pieces from a mapped file."""

from __future__ import annotations

import hashlib
import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nn import checks, compiled, kernels, reference
from nn._arrays import as_array
from nn.checks import brief, integer
from nn.data import Dataset, LazyRows
from nn.kernels import Feed
from nn.model import MLP

Array = NDArray[Any]

# So much of a mapped file is held in memory at a time.
PIECE_BYTES = 1 << 26


@dataclass(frozen=True, eq=False)
class Plan:
    """The steps of a run, and the rows of its mini-batches."""

    examples: int
    batch_size: int
    steps_per_epoch: int
    epochs: int
    mode: int  # reference.IN_ORDER, SHUFFLED or REPLACED
    indices: NDArray[np.int64] | None  # (steps · B,) rows given by the user

    @property
    def steps(self) -> int:
        """The number of steps in all epochs."""
        return self.steps_per_epoch * self.epochs

    @property
    def words(self) -> str:
        """In words, what a continuation must have in common with the run that it continues."""
        how = ("in order", "shuffled", "with replacement")[self.mode] if self.indices is None else "by indices"
        return f"batch_size={self.batch_size}, {how}, {self.steps_per_epoch} steps an epoch"

    def digest(self, learning_rates: Array) -> str:
        """Return a digest of the learning rates of the first steps, and of the indices given for them."""
        given = np.empty(0, np.int64) if self.indices is None else self.indices
        rows = given[: len(learning_rates) * self.batch_size]
        return _digest(np.ascontiguousarray(learning_rates, np.float64), rows)

    def new_order(self) -> NDArray[np.int64]:
        """Return room for the rows of the batches of one epoch; they are in order."""
        if self.mode == reference.REPLACED:
            return np.zeros(self.steps_per_epoch * self.batch_size, np.int64)
        return np.arange(self.examples)


def steps_per_epoch(words: str) -> int:
    """Return the number of steps of an epoch from a plan in words.

    >>> steps_per_epoch("batch_size=32, shuffled, 34 steps an epoch")
    34
    """
    return int(words.rpartition(", ")[2].split()[0])


def plan(
    examples: int, batch_size: Any, epochs: Any, shuffle: bool, replacement: bool, indices: ArrayLike | None
) -> Plan:
    """Lay out the steps of a run by the arguments of `train`. Raises ValueError for what does not fit."""
    for name, value in (("shuffle", shuffle), ("replacement", replacement)):
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be True or False, but got {brief(value)}")
    epochs = None if epochs is None else integer("epochs", epochs, 1)
    if indices is not None:
        rows = as_array("indices", indices)
        if rows.ndim != 2 or rows.size == 0 or rows.dtype.kind not in "iu":
            raise ValueError(f"indices must be whole numbers (steps, B), but got {rows.dtype} {rows.shape}")
        if rows.min() < 0 or rows.max() >= examples:
            wrong = rows[(rows < 0) | (rows >= examples)][0]
            raise ValueError(
                f"indices must be rows between 0 and {examples - 1:,} of the training part, but got {wrong}"
            )
        steps, size = rows.shape
        epochs = epochs or 1
        if steps % epochs:
            raise ValueError(f"epochs must divide the {steps:,} steps of indices, but got {epochs}")
        flat = np.ascontiguousarray(rows, np.int64).ravel()
        return Plan(examples, size, steps // epochs, epochs, reference.IN_ORDER, flat)
    epochs = epochs or 20
    size = checks.batch_size(batch_size, examples)
    if size == "full":
        if replacement:
            raise ValueError('replacement must be False with batch_size="full", the whole of the data, but got True')
        return Plan(examples, examples, 1, epochs, reference.IN_ORDER, None)
    mode = reference.REPLACED if replacement else reference.SHUFFLED if shuffle else reference.IN_ORDER
    return Plan(examples, size, -(-examples // size), epochs, mode, None)


def digest(part: Dataset, validation: Dataset | None, w: Array | None) -> str:
    """Return a digest that tells data sets apart: by all targets, the sample weights, and some rows of the features."""
    texts = [_digest_of(data) for data in (part, validation) if data is not None]
    return " ".join(texts if w is None else [*texts, _digest(w)])


# A data set does not change, and a sweep trains on the same one again and again.
_digests: weakref.WeakKeyDictionary[Dataset, str] = weakref.WeakKeyDictionary()


def _digest_of(data: Dataset) -> str:
    known = _digests.get(data)
    if known is None:
        rows = np.arange(0, len(data), -(-len(data) // 16))
        X = data.X.take(rows) if isinstance(data.X, LazyRows) else data.X[rows]
        known = _digests[data] = _digest(X, data.targets)
    return known


def _digest(*arrays: Array) -> str:
    total = hashlib.blake2b(digest_size=8)
    for array in arrays:
        total.update(f"{array.dtype.str} {array.shape}".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


class InMemory:
    """Batches from arrays: the kernel gathers them, and scores the validation part by itself."""

    def __init__(self, model: MLP, part: Dataset, validation: Dataset | None, w: Array | None, plan: Plan) -> None:
        data = compiled.examples_of(model, part)
        self.held_out = validation
        self.data = data if w is None else data._replace(w=compiled.sample_weights(model, len(part), w))
        self.validation = compiled.nothing(model) if validation is None else compiled.examples_of(model, validation)
        self.order = plan.new_order() if plan.indices is None else plan.indices
        cycle = plan.steps_per_epoch if plan.indices is None else plan.steps
        self.feed = Feed(self.data, self.order, 0, cycle, plan.mode)

    def reach(self, step: int, stop: int) -> int:
        """Return the step that a call which starts at `step` may go on to, `stop` at most."""
        return stop

    def batches(self, step: int, stop: int, seed: int) -> Feed:
        """Return the feed of the steps `step` … `stop` − 1."""
        return self.feed

    def score(self, theta: Array) -> tuple[float, float] | None:
        """Return validation loss and accuracy where the kernel can't work them out, None where it does."""
        return None


class Streamed:
    """Batches from a mapped file: the rows of the next steps are read, scaled and handed on as small arrays.

    It has the methods of `InMemory`, and every bit of the result is the same.
    """

    def __init__(self, model: MLP, part: Dataset, validation: Dataset | None, w: Array | None, plan: Plan) -> None:
        assert isinstance(part.X, LazyRows)
        self.model, self.plan, self.held_out = model, plan, validation
        self.X = part.X.astype(model.dtype)
        none = np.empty((len(part), 0), model.dtype)
        self.data = compiled.examples(model, none, compiled.targets(model, part), w)
        self.validation = compiled.nothing(model)
        self.order = plan.new_order() if plan.indices is None else plan.indices
        self.epoch = -1
        batch_bytes = plan.batch_size * self.X.shape[1] * np.dtype(model.dtype).itemsize
        self.steps = max(1, PIECE_BYTES // batch_bytes)

    def reach(self, step: int, stop: int) -> int:
        size = self.plan.steps_per_epoch
        return min(stop, step + self.steps, (step // size + 1) * size)

    def batches(self, step: int, stop: int, seed: int) -> Feed:
        plan = self.plan
        epoch, position = divmod(step, plan.steps_per_epoch)
        if plan.indices is not None:
            position = step
        elif epoch != self.epoch:
            kernels.epoch_rows(self.order, plan.examples, plan.mode, seed, epoch)
            self.epoch = epoch
        begin = position * plan.batch_size
        rows = self.order[begin : begin + (stop - step) * plan.batch_size]
        data = self.data.take(rows)._replace(X=self.X.take(rows))
        return Feed(data, np.arange(len(rows)), step, stop - step, reference.IN_ORDER)

    def score(self, theta: Array) -> tuple[float, float] | None:
        if self.held_out is None:
            return None
        return compiled.score(self.model, theta, self.held_out)


def source(model: MLP, part: Dataset, validation: Dataset | None, w: Array | None, plan: Plan) -> InMemory | Streamed:
    """Return the source of a run's batches. Raises ValueError where model and data do not fit together."""
    mapped = isinstance(part.X, LazyRows)
    return (Streamed if mapped else InMemory)(model, part, validation, w, plan)
