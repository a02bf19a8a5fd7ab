"""The best learning rate of a narrow network, used for a wide one (Yang, Hu, Babuschkin, Sidor, Liu, Farhi, Ryder,
Pachocki, Chen & Gao 2022, Tensor Programs V: Tuning Large Neural Networks via Zero-Shot Hyperparameter Transfer).

In the standard parametrisation the sharpness of a network grows with its width w, and the best learning rate η* falls.
Under μP, which scales the initialisation, the multipliers and the learning rates of the layers with w/64, it stays:

    standard   η* ∝ 1/w           μP   η* ∝ 1

A coordinate check shows why: at one learning rate, a few steps change each layer's activations alike at any width under
μP; in the standard parametrisation the output moves ∝ w in the first step, and later no layer moves alike.

Setting: 512 standardised digits, 64-w-w-10 relu without biases, squared error on one-hot targets, zero readout, 40
steps on all examples, w = 64 … 512 with the base width 64, so that the narrowest is the same in both. Rates are scanned
upwards in factors of 2^(1/3), from five starts. η* is the first local minimum of the loss after the last step, between
the rates by a parabola; a squared error often has another beyond the edge of stability, after a catapult. Slopes are
those of a line through the means over the starts of log₂ η*, or of log₂ of the root mean square change of a layer's
activations, against log₂ w. The coordinate check is at η = 2⁻⁷, below every η*, after 10 steps, from twelve starts.

What differs from the paper: its networks are Transformers and ResNets trained with Adam, here a perceptron with
gradient descent. 64 units are few: η* under μP still rises from 64 to 128, and is level from there. For the same
reason the coordinate check is flat to 0.05 at a moderate rate only: nearer to η*, at 2⁻⁵, slopes get to 0.2 in the
first steps, and at any of these rates those of the second layer drift to 0.1 by step 40.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from nn import MLP, SGD, Dataset, Snapshot, reference
from tuning.laboratory.digits import standardised_digits
from tuning.laboratory.findings import Array, Claim
from tuning.laboratory.parallel import grid_in_threads, seeds_of
from tuning.laboratory.sharpening import descend

PARAMETRISATIONS = ("standard", "mup")
LAYERS = ("first hidden layer", "second hidden layer", "output")
OCTAVE = 3
"""Learning rates that are scanned between one and its double."""


@dataclass(frozen=True, eq=False)
class Measured:
    """One parametrisation at all widths (W,), rising, from all starts.

    `loss` (W, starts, R) after the last step at each of the `learning_rates` (R,) is infinite where training diverged,
    and NaN where the scan had ended before. `best` (W, starts) are the η*, NaN where there was none. `change` (W, check
    starts, T, 3) is the root mean square, over examples and units, of how far each layer's activations are from the
    start after each number of `check_steps` (T,) at the learning rate `check_rate`.
    """

    parametrisation: str
    widths: Array
    learning_rates: Array
    loss: Array
    best: Array
    change: Array
    check_rate: float
    check_steps: tuple[int, ...]


def network(width: int, parametrisation: str, base_width: int = 64) -> MLP:
    """Return the network 64-w-w-10: relu, squared error, no biases, zero readout."""
    return MLP(
        (64, width, width, 10),
        output="identity",
        loss="squared_error",
        std=(None, None, 0.0),
        bias=False,
        parametrisation=parametrisation,
        base_width=base_width,
    )


def first_minimum(learning_rates: Array, losses: ArrayLike) -> float:
    """Return the learning rate of the first local minimum of the loss, scanning upwards; NaN where there is none.

    Between the learning rates (R,), it is the vertex of the parabola through three points of log loss against log rate.
    A loss that is not lower at the second rate than at the first has no minimum here: that lies below the scan.

    >>> rates = 2.0 ** np.arange(5)
    >>> first_minimum(rates, [4.0, 2.0, 4.0, 1.0, 3.0]), first_minimum(rates, [1.0, 2.0, 1.0, 2.0, 3.0])
    (2.0, nan)
    """
    logs = np.log(losses)
    for i, (low, here, high) in enumerate(zip(logs, logs[1:], logs[2:], strict=False), start=1):
        if not low > here:
            break
        if here < high:
            shift = 0.5 * (low - high) / (low - 2 * here + high) if np.isfinite(high) else 0.0
            return float(learning_rates[i] * (learning_rates[i + 1] / learning_rates[i]) ** shift)
    return float("nan")


def scan(model: MLP, data: Dataset, learning_rates: Array, steps: int, beyond: int, seed: int) -> tuple[Array, float]:
    """Return the losses (R,) after `steps` full-batch steps, rate by rate upwards, and the first minimum.

    The scan ends where training diverges, or `beyond` rates after one at which the loss is higher than at the last; the
    losses of rates that it does not come to are NaN.
    """
    start, losses, left = model.init(seed), np.full(len(learning_rates), np.nan), beyond
    for i, rate in enumerate(learning_rates):
        run = descend(model, data, SGD(float(rate)), steps, start)
        losses[i] = np.inf if run.status == "diverged" else run.evaluate(data)["loss"]
        risen = i > 0 and losses[i] > losses[i - 1]
        left -= risen or left < beyond
        if left < 0 or np.isinf(losses[i]):
            break
    return losses, first_minimum(learning_rates, losses)


def coordinates(model: MLP, data: Dataset, learning_rate: float, steps: Sequence[int], seed: int) -> Array:
    """Return how far each layer's activations are from the start, (T, layers), after so many `steps` (T,), rising.

    It is the root mean square over examples and units; the last layer is the output.
    """
    start, X = model.init(seed), np.asarray(data.X, dtype=model.dtype)
    before = reference.forward(model.network, start, X)[0][1:]
    changes: list[list[float]] = []

    def look(snapshot: Snapshot) -> None:
        if snapshot.step not in steps:
            return
        after = reference.forward(model.network, snapshot.theta, X)[0][1:]
        changes.append([float(np.sqrt(np.mean((a - b) ** 2))) for a, b in zip(after, before, strict=True)])

    descend(model, data, SGD(learning_rate), max(steps), start, callback=look)
    return np.array(changes)


def measure(
    seed: int = 0,
    *,
    widths: Sequence[int] = (64, 128, 256, 512),
    base_width: int = 64,
    examples: int = 512,
    steps: int = 40,
    starts: int = 5,
    check_starts: int = 12,
    lowest: float = 2.0**-8,
    beyond: int = 2,
    check_rate: float = 2.0**-7,
    check_steps: Sequence[int] = (1, 10),
) -> tuple[Measured, Measured]:
    """Scan the learning rates from `lowest` upwards, in the standard parametrisation and under μP.

    All networks are trained on the same examples. The start s of every width is drawn with the same seed.
    """
    data = standardised_digits(examples, seed)
    rates = lowest * 2.0 ** (np.arange(12 * OCTAVE) / OCTAVE)
    # The widest first: what takes longest must not begin last.
    axes = sorted(widths, reverse=True), PARAMETRISATIONS

    def scan_one(width: int, parametrisation: str, start: int) -> list[float]:
        losses, best = scan(network(width, parametrisation, base_width), data, rates, steps, beyond, start)
        return [*losses, best]

    def check_one(width: int, parametrisation: str, start: int) -> Array:
        return coordinates(network(width, parametrisation, base_width), data, check_rate, check_steps, start)

    scans = grid_in_threads(scan_one, *axes, seeds_of(seed, starts), words="scans")[::-1]
    checks = grid_in_threads(check_one, *axes, seeds_of(seed, check_starts), words="coordinate check")[::-1]
    sizes, at = np.sort(np.array(widths)), tuple(check_steps)
    standard, mup = (
        Measured(name, sizes, rates, scans[:, i, :, :-1], scans[:, i, :, -1], checks[:, i], check_rate, at)
        for i, name in enumerate(PARAMETRISATIONS)
    )
    return standard, mup


def rate_slope(measured: Measured) -> tuple[float, float]:
    """Return the slope of log₂ η* against log₂ w, and its standard error over the starts."""
    each = _slopes(measured.widths, np.log2(measured.best))
    error = float(each.std(ddof=1) / np.sqrt(len(each))) if len(each) > 1 else float("nan")
    return float(each.mean()), error


def change_slopes(measured: Measured) -> Array:
    """Return the slopes (T, 3) of log₂ of the change of each layer's activations against log₂ w.

    A row for each of `check_steps`; NaN where a layer has not moved: with a zero readout, hidden layers stay at first.
    """
    logs = np.log2(measured.change, out=np.full_like(measured.change, np.nan), where=measured.change > 0)
    return _slopes(measured.widths, logs).mean(axis=0)


def _slopes(widths: Array, values: Array) -> Array:
    """Return the least-squares slopes of values (W, starts, …) against log₂ w, (starts, …)."""
    x = np.log2(widths) - np.log2(widths).mean()
    return np.tensordot(x, values, axes=1) / (x @ x)


# -- what was published ----------------------------------------------------------------------------------------


def claims(both: Sequence[Measured]) -> list[Claim]:
    """Hold both parametrisations against Yang et al. 2022: slopes −1 ± 0.15 and 0 ± 0.2; coordinates 0 ± 0.05."""
    standard, mup = both
    first, last = mup.check_steps[0], mup.check_steps[-1]
    check = f"coordinate check, η = {mup.check_rate:.2g}, step {last}"
    flat, steep = change_slopes(mup)[-1], change_slopes(standard)
    return [
        Claim("slope of log₂ η* against log₂ w, standard", "-1", rate_slope(standard)[0], -1.15, -0.85),
        Claim("slope of log₂ η* against log₂ w, μP", "0", rate_slope(mup)[0], -0.2, 0.2),
        *(
            Claim(f"{check}, μP: slope, {layer}", "0", float(slope), -0.05, 0.05)
            for layer, slope in zip(LAYERS, flat, strict=True)
        ),
        Claim(f"{check}, standard: slope farthest from 0, its size", "> 0", float(np.abs(steep[-1]).max()), low=0.05),
        Claim(f"coordinate check, step {first}, standard: slope, output", "1", float(steep[0, -1]), 0.85, 1.15),
    ]
