"""The edge of stability (Cohen, Kaur, Li, Kolter & Talwalkar 2021, Gradient Descent on Neural Networks Typically Occurs
at the Edge of Stability).

Full-batch gradient descent at a constant learning rate η first sharpens: λ, the largest eigenvalue of the Hessian,
rises. It stops at the limit beyond which gradient descent on the local quadratic model would diverge, and hovers there,
while the loss goes up and down from step to step and falls in the long run. With momentum β the limit is another:

    gradient descent   λ = 2/η
    heavy ball         λ = (2 + 2β)/η
    Nesterov           λ = (2 + 2β)/(η·(1 + 2β))

Setting: 20 evenly spaced points on [−1, 1] with the Chebyshev polynomial T₄, a 1-50-50-1 tanh network with PyTorch's
initialisation, squared error, float64, 2/η = 20 and 40 and β = 0.5, five starts, 6,000 steps. The second problem is
1,000 standardised digits, 64-32-32-10 tanh, squared error on one-hot targets, with 2/η = 5, which lies between the
sharpness at the start, 2.4, and where sharpening there ends by itself, near 9. "First crossing" is the first time that
λ, looked at after every few steps, is at its limit or above.

What differs from the paper: most of its networks are larger and its images are CIFAR-10, where here it is the digits.

What does not reproduce: sharpening ends by itself once the loss is small, so that not every start meets a limit far up.
At 2/η = 40, one of five starts of gradient descent stays just below for all 6,000 steps (λ gets to 39.3), and four of
five of the heavy ball, whose limit there is 60, end below it (λ gets to between 41 and 55).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev

from nn import MLP, SGD, Dataset
from tuning.laboratory.digits import standardised_digits
from tuning.laboratory.findings import Claim
from tuning.laboratory.parallel import map_in_threads, seeds_of
from tuning.laboratory.sharpening import Sharpening, follow_sharpness


@dataclass(frozen=True, eq=False)
class Measured:
    """All trainings: for each problem, "chebyshev" or "digits", by optimiser, by learning rate, and by start."""

    trainings: tuple[Sharpening, ...]

    def of(self, problem: str) -> list[list[Sharpening]]:
        """Return the trainings of a problem, those that differ in their start alone together."""
        groups: dict[SGD, list[Sharpening]] = {}
        for each in self.trainings:
            if each.data == problem:
                groups.setdefault(each.optimizer, []).append(each)
        return list(groups.values())


def chebyshev_problem(points: int = 20, width: int = 50) -> tuple[MLP, Dataset]:
    """Return the network 1-w-w-1 and the points (N, 1) on [−1, 1] with T₄(x) = 8x⁴ − 8x² + 1."""
    x = np.linspace(-1.0, 1.0, points)
    data = Dataset(x[:, None], chebyshev.chebval(x, [0, 0, 0, 0, 1]), task="regression", name="chebyshev")
    return MLP((1, width, width, 1), "tanh", init="torch", dtype="float64"), data


def digits_problem(examples: int = 1000, width: int = 32, seed: int = 0) -> tuple[MLP, Dataset]:
    """Return the network 64-w-w-10 with squared error, and `examples` of the standardised digits, drawn with `seed`."""
    model = MLP((64, width, width, 10), "tanh", "identity", "squared_error", init="torch", dtype="float64")
    return model, standardised_digits(examples, seed)


def optimizers(two_over_rate: float, momentum: float) -> list[SGD]:
    """Return gradient descent, the heavy ball and Nesterov's method at the learning rate 2/`two_over_rate`."""
    rate = 2 / two_over_rate
    return [SGD(rate), SGD(rate, momentum=momentum), SGD(rate, momentum=momentum, nesterov=True)]


def measure(
    seed: int = 0,
    *,
    two_over_rates: Sequence[float] = (20.0, 40.0),
    digits_two_over_rates: Sequence[float] = (5.0,),
    momentum: float = 0.5,
    starts: int = 5,
    steps: int = 6000,
    digits_steps: int = 1500,
    every: int = 5,
) -> Measured:
    """Follow every training: `starts` on the Chebyshev problem, one on the digits.

    Each of the learning rates, given as 2/η, is run by gradient descent, the heavy ball and Nesterov's method. The
    digits are looked at half as often, since theirs is the dearer Hessian.
    """
    small, large = chebyshev_problem(), digits_problem(seed=seed)
    jobs = [
        (*large, optimizer, digits_steps, 2 * every, seed)
        for level in digits_two_over_rates
        for optimizer in optimizers(level, momentum)
    ]
    jobs += [
        (*small, optimizer, steps, every, start)
        for level in two_over_rates
        for optimizer in optimizers(level, momentum)
        for start in seeds_of(seed, starts)
    ]
    return Measured(tuple(map_in_threads(lambda job: follow_sharpness(*job), jobs, "edge of stability")))


# -- what was published ----------------------------------------------------------------------------------------


def limit(optimizer: SGD) -> float:
    """Return the λ above which the optimiser diverges on a quadratic (Cohen et al. 2021, section 2 and appendix B).

    >>> limit(SGD(0.1)), limit(SGD(0.1, momentum=0.5)), limit(SGD(0.1, momentum=0.5, nesterov=True))
    (20.0, 30.0, 15.0)
    """
    beta = optimizer.momentum
    return (2 + 2 * beta) / (optimizer.learning_rate * (1 + 2 * beta * optimizer.nesterov))


def name(optimizer: SGD) -> str:
    """Return the name of the optimiser: gradient descent, heavy ball or Nesterov."""
    return "Nesterov" if optimizer.nesterov else "heavy ball" if optimizer.momentum else "gradient descent"


def first_crossing(training: Sharpening) -> int | None:
    """Return the first position in `steps` at which the sharpness is at its limit or above; None where it never is."""
    above = np.flatnonzero(training.sharpness >= limit(training.optimizer))
    return int(above[0]) if len(above) else None


def settled(training: Sharpening) -> float:
    """Return the median of sharpness/limit from the first crossing on; NaN where there was none."""
    first = first_crossing(training)
    return float("nan") if first is None else float(np.median(training.sharpness[first:]) / limit(training.optimizer))


def rises(training: Sharpening) -> tuple[float, float]:
    """Return the share of steps that raised the loss, before the first crossing and from there on.

    A training that never crosses is all before. A part without steps has the share NaN.
    """
    up = np.diff(training.loss) > 0
    first = first_crossing(training)
    at = len(up) if first is None else int(training.steps[first])
    before, after = (float(part.mean()) if len(part) else float("nan") for part in (up[:at], up[at:]))
    return before, after


def long_run(training: Sharpening) -> float:
    """Return the median loss of the last tenth of the steps, which a peak at the very end does not move."""
    return float(np.median(training.loss[-max(1, len(training.loss) // 10) :]))


def claims(measured: Measured) -> list[Claim]:
    """Hold the trainings against Cohen et al. 2021; the tolerances are 0.96 to 1.04, with momentum 0.95 to 1.04."""
    table = []
    for problem in ("chebyshev", "digits"):
        for starts in measured.of(problem):
            optimizer = starts[0].optimizer
            level = limit(optimizer)
            case = f"{problem}, {name(optimizer)}, limit {level:g}"
            medians = np.array([settled(each) for each in starts])
            reached = medians[np.isfinite(medians)]
            table.append(Claim(f"{case}: starts that reach it", "all", len(reached), len(starts), len(starts)))
            farthest = float(reached[np.argmax(np.abs(reached - 1))]) if len(reached) else float("nan")
            low = 0.95 if optimizer.momentum else 0.96
            table.append(Claim(f"{case}: median λ/limit after that, farthest from 1", "1", farthest, low, 1.04))
    crossed = [
        (each, first)
        for each in measured.trainings
        if not each.optimizer.momentum and (first := first_crossing(each)) is not None
    ]
    shares = np.array([rises(each) for each, _ in crossed]).reshape(-1, 2)
    changes = [long_run(each) / float(each.loss[each.steps[first]]) for each, first in crossed]
    unknown = [float("nan")] * 3
    before, after, change = (shares[:, 0].max(), shares[:, 1].min(), max(changes)) if crossed else unknown
    return [
        *table,
        Claim("gradient descent: steps that raise the loss, before crossing, largest share", "0", before, high=0.001),
        Claim("gradient descent: steps that raise the loss, after crossing, smallest share", "> 0", after, low=0.001),
        Claim("gradient descent: median loss of the last tenth / at the crossing, largest", "< 1", change, high=1.0),
    ]
