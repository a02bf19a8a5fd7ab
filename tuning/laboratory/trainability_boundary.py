"""The boundary of trainability: the edge between learning rates that train and rates that diverge is a fractal.

Sohl-Dickstein (2024), "The boundary of neural network trainability is fractal". The rates of a network's two layers,

    f(x) = W₁ tanh(W₀ x);    W₀ ← W₀ − η₀ ∂J/∂W₀,    W₁ ← W₁ − η₁ ∂J/∂W₁,

span a plane. A point of it trains if the mean loss of the last fifth of the steps is below the first loss. The map of
all points is smooth from afar; the nearer one looks at its edge, the rougher it is. How rough is told by the
box-counting dimension d of the edge: the boxes of side s that it meets are

    N(s) ∝ s^−d,    d = 1 for a smooth curve, d → 2 for one that fills the plane.

Here d is the least-squares slope of log N against log 1/s, over sides of 1, 2, 4, … pixels up to an eighth of the map;
a pixel is on the edge if the next to its right or above comes to the other end. Each zoom is centred on a random pixel
of the plane's edge. A training is full-batch gradient descent through `nn.train`; no pixel of any map is interpolated.

The control has no two layers, so that its loss is convex: a linear model by least squares, whose rates are η₀ and η₁ in
turn. It trains where |(1 − η₀λ)(1 − η₁λ)| < 1 for every eigenvalue λ of the Hessian, which bounds a smooth region.

The paper has 16 inputs and hidden units, hundreds of steps, maps of 4,096 pixels a side, and long sequences of zooms,
each into the one before, down to the precision of its numbers; its dimensions, from 1.17 to 1.98 by the kind of
network, are medians over such a sequence. Here are 8 inputs and hidden units, 100 steps, and one 16-fold zoom at a
time, and so only the beginning of a sequence. The larger a map, the finer the folds that it shows, and the higher its
dimension: with seed 0, the whole plane has 0.99 on 64 pixels a side, 1.12 on 128, and 1.21 on 256. So the zooms, on 64
pixels, are compared with planes on more than that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from multiprocessing.pool import Pool
from typing import NamedTuple

import numpy as np

from nn import MLP, SGD, Dataset, Run
from tuning.laboratory.findings import Array, Claim, log_slope
from tuning.laboratory.parallel import map_in_processes
from tuning.laboratory.sharpening import descend

Trainer = Callable[[float, float], Run]
"""Trains with the two rates of a point of the plane, and records the loss of every step."""

INPUTS, HIDDEN, EXAMPLES, STEPS = 8, 8, 16, 100
ZOOM = 16
END = 5
"""The last 1/END of the steps decides whether a training worked."""


class Window(NamedTuple):
    """A square part of the plane: lower left corner and side, in decades of the rates."""

    x: float
    y: float
    side: float

    def centres(self, size: int) -> tuple[Array, Array]:
        """Return log10 of both rates at the centres of `size` pixels along each side, (size,) each."""
        places = (np.arange(size) + 0.5) / size * self.side
        return self.x + places, self.y + places

    def zoom(self, column: float, row: float, size: int, factor: float) -> Window:
        """Return the part, so many times smaller, whose centre is that of a pixel of this window."""
        side = self.side / factor
        middle_x, middle_y = ((place + 0.5) / size * self.side for place in (column, row))
        return Window(self.x + middle_x - side / 2, self.y + middle_y - side / 2, side)


PLANE = Window(0.0, -2.0, 4.0)
"""The plane of the network: η₀ from 1 to 10⁴, η₁ from 10⁻² to 10²."""
CONTROL_PLANE = Window(-3.0, -3.0, 4.0)


@dataclass(frozen=True, eq=False)
class Map:
    """Training at every pixel of a window.

    `pace` (size, size), rows by η₁ and columns by η₀: where it trains, the sum of all losses over the first one; where
    it does not, minus the sum of the first loss over each. Either is a number of steps, and a small one means fast.
    """

    window: Window
    pace: Array

    @property
    def trains(self) -> Array:
        """True where training works (size, size)."""
        return self.pace > 0

    @cached_property
    def edge(self) -> Array:
        """The pixels (size, size) whose neighbour to the right or above comes to the other end."""
        trains, edge = self.trains, np.zeros(self.pace.shape, bool)
        edge[:-1] |= trains[:-1] != trains[1:]
        edge[:, :-1] |= trains[:, :-1] != trains[:, 1:]
        return edge

    @cached_property
    def boxes(self) -> tuple[Array, Array]:
        """The sides of the boxes in pixels, and how many of them the edge meets."""
        sides = 2 ** np.arange(int(np.log2(len(self.edge) // 8)) + 1)
        return sides.astype(float), np.array([box_count(self.edge, side) for side in sides.tolist()], float)

    @property
    def dimension(self) -> float:
        """The box-counting dimension of the edge; NaN where there is none."""
        return dimension(*self.boxes)


@dataclass(frozen=True, eq=False)
class Measured:
    """The maps of each seed: the whole plane, and zooms into its edge; and those of the convex control."""

    planes: tuple[Map, ...]
    parts: tuple[tuple[Map, ...], ...]
    control: Map
    control_parts: tuple[Map, ...]

    @property
    def whole(self) -> Array:
        """The dimension of each seed's plane (seeds,)."""
        return np.array([plane.dimension for plane in self.planes])

    @property
    def zoomed(self) -> Array:
        """The dimensions of each seed's zooms (seeds, zooms)."""
        return np.array([[part.dimension for part in parts] for parts in self.parts])

    @property
    def controlled(self) -> Array:
        """The dimensions of the control: its plane, then its zooms (1 + zooms,)."""
        return np.array([part.dimension for part in (self.control, *self.control_parts)])


def box_count(edge: Array, side: int) -> int:
    """Return how many boxes of `side` pixels have a pixel of the edge in them; `side` must divide the map.

    >>> box_count(np.eye(8, dtype=bool), 2)
    4
    """
    boxes = len(edge) // side
    return int(edge.reshape(boxes, side, boxes, side).any(axis=(1, 3)).sum())


def dimension(sides: Array, counts: Array) -> float:
    """Return −d log N / d log s by least squares; NaN where a count is 0.

    >>> round(dimension(np.array([1.0, 2.0, 4.0]), np.array([64.0, 16.0, 4.0])), 9)
    2.0
    """
    return -log_slope(sides, counts) if counts.all() else float("nan")


def problem(seed: int) -> Dataset:
    """Return inputs (16, 8) and targets (16,) drawn from the normal distribution."""
    rng = np.random.default_rng([seed, 1])
    return Dataset(rng.normal(size=(EXAMPLES, INPUTS)), rng.normal(size=EXAMPLES), task="regression")


def network(seed: int, steps: int = STEPS) -> Trainer:
    """Return the trainer of a two-layer tanh network on targets that are drawn at random."""
    model = MLP((INPUTS, HIDDEN, 1), activation="tanh", init="lecun", bias=False, dtype="float64")
    return partial(_with_rates_by_layer, model, problem(seed), model.init(seed), steps)


def convex(seed: int, steps: int = STEPS) -> Trainer:
    """Return the trainer of a linear model whose steps have the two rates in turn."""
    model = MLP((INPUTS, 1), init="zeros", bias=False, dtype="float64")
    return partial(_with_rates_in_turn, model, problem(seed), model.init(seed), steps)


def _with_rates_by_layer(model: MLP, data: Dataset, theta: Array, steps: int, first: float, second: float) -> Run:
    optimizer = SGD(1.0, rate_multipliers=(first, second))
    return descend(model, data, optimizer, steps, theta, record_steps=True)


def _with_rates_in_turn(model: MLP, data: Dataset, theta: Array, steps: int, first: float, second: float) -> Run:
    rates = np.resize([first, second], steps)
    return descend(model, data, SGD(), steps, theta, schedule=rates, record_steps=True)


def pace(run: Run) -> float:
    """Return the pace of a run, as `Map` defines it."""
    losses = run.history.step_loss
    assert losses is not None
    relative = losses / losses[0]
    if run.status != "diverged" and relative[-len(losses) // END :].mean() < 1:
        return float(relative.sum())
    return -float((1 / relative[np.isfinite(relative)]).sum())


def survey(trainer: Trainer, window: Window, size: int, words: str, pool: Pool | None = None) -> Map:
    """Train at every pixel of a window, `size` by `size` of them; in this process, or in those of a pool.

    A training takes a quarter of a millisecond, half of it Python's, so that threads would stand in each other's way.
    """
    columns, rows = (10**centres for centres in window.centres(size))
    row = partial(_paces, trainer, columns)
    return Map(window, np.array(map_in_processes(pool, row, rows.tolist(), words)))


def _paces(trainer: Trainer, columns: Array, second: float) -> list[float]:
    """Return the paces of one row of a map."""
    return [pace(trainer(first, second)) for first in columns.tolist()]


def zooms(plane: Map, count: int, seed: int, factor: float = ZOOM) -> list[Window]:
    """Return windows into the edge of a map, each around a pixel of it drawn at random."""
    places = np.argwhere(plane.edge)
    chosen = np.random.default_rng([seed, 2]).choice(len(places), count, replace=False)
    return [plane.window.zoom(column, row, len(plane.edge), factor) for row, column in places[chosen].tolist()]


def measure(
    size: int = 128,
    zoom_size: int = 64,
    zoom_count: int = 5,
    seeds: int = 5,
    seed: int = 0,
    steps: int = STEPS,
    pool: Pool | None = None,
) -> Measured:
    """Survey the plane of `seeds` networks, with zooms into the edge of each, and that of the convex control.

    `size` and `zoom_size` are pixels a side of planes and zooms, powers of two, at least 16; `pool` as for `survey`.
    """

    def both(trainer: Trainer, window: Window, number: int, words: str) -> tuple[Map, tuple[Map, ...]]:
        plane = survey(trainer, window, size, words, pool)
        return plane, tuple(
            survey(trainer, part, zoom_size, f"{words}, zoom {i}", pool)
            for i, part in enumerate(zooms(plane, zoom_count, number), 1)
        )

    numbers = range(seed, seed + seeds)
    surveys = [both(network(each, steps), PLANE, each, f"network {each}") for each in numbers]
    control = both(convex(seed, steps), CONTROL_PLANE, seed, "convex control")
    return Measured(tuple(plane for plane, _ in surveys), tuple(parts for _, parts in surveys), *control)


# -- what was published ----------------------------------------------------------------------------------------


def claims(measured: Measured) -> list[Claim]:
    """Hold the dimensions against the paper's; the bounds are those of maps of this size."""
    whole, rough = measured.whole.max(), (np.median(measured.zoomed, axis=1) >= 1.3).mean()
    smooth = max(measured.controlled[0], np.median(measured.controlled[1:]))
    return [
        Claim("dimension of the whole plane's edge, the largest of the seeds", "smooth from afar", whole, high=1.2),
        Claim("part of the seeds whose 16-fold zooms have a median of at least 1.3", "1.17 to 1.98", rough, low=0.6),
        Claim("the convex control's edge: plane, or median of the zooms if larger", "1 in theory", smooth, high=1.03),
    ]
