"""Optimizers: immutable descriptions of what a gradient does to the parameters. The arithmetic is in `reference.py`.

What is known of an optimizer elsewhere follows from its class here and from the table `OPTIMIZERS`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from nn import reference
from nn.checks import brief, check_fields, real

DECAY, POSITIVE, NOT_NEGATIVE = partial(real, low=0.0, below=1.0), partial(real, above=0.0), partial(real, low=0.0)


def _tunable(default: Any, about: str, example: str, most: float = math.inf, check: Any = None, **more: Any) -> Any:
    """Return a field that can be tuned: its name in words, a range to search, and the end that no search may pass."""
    metadata = {"about": about, "example": example, "most": most, "check": check}
    return field(default=default, metadata=metadata, **more)


# The fields that several optimizers have, but for their defaults.
WEIGHT_DECAY = "decoupled decay of the weights in each step", "1e-6:1e-2:log", math.inf, NOT_NEGATIVE
MOMENTUM = "momentum", "0:0.95", 0.999, DECAY
BETA2 = "decay of the mean squared gradient", "0.9,0.99,0.999", 0.999_999, DECAY
EPSILON = "what is added to the root of the mean squared gradient", "1e-10:1e-6:log", math.inf, POSITIVE


@dataclass(frozen=True, slots=True)
class Optimizer:
    """The base of all optimizers: the settings that they share.

    Args:
        learning_rate: η > 0. A number; how it changes over the steps is a schedule's business (`nn.schedules`).
        weight_decay: Each step first shrinks the weights, not the biases, by the factor 1 − η·weight_decay (Loshchilov
            & Hutter 2019). This is *decoupled* decay: it bypasses the momentum. The L2 penalty, which goes through the
            gradient as `weight_decay` does in PyTorch's SGD, is `MLP(l2=…)`.
        clip_norm: A gradient with a longer Euclidean norm is shortened to this one (Pascanu et al. 2013).
        rate_multipliers: For each layer, its multiple of the learning rate; 0 freezes the layer.
    """

    # A class also has its `kind`, the number by which the kernels know it.
    adaptive = False  # whether steps are divided by √s, the root of the mean squared gradient

    learning_rate: float
    weight_decay: float = _tunable(0.0, *WEIGHT_DECAY, kw_only=True)
    clip_norm: float | None = _tunable(
        None, "the longest gradient that is not shortened", "none,1,10", check=POSITIVE, kw_only=True
    )
    rate_multipliers: tuple[float, ...] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "learning_rate", POSITIVE("learning_rate", self.learning_rate))
        check_fields(self)
        given = self.rate_multipliers
        if given is not None:
            if isinstance(given, str) or not isinstance(given, Iterable):
                raise ValueError(f"rate_multipliers must be numbers, one a layer, but got {brief(given)}")
            object.__setattr__(self, "rate_multipliers", tuple(NOT_NEGATIVE("rate_multipliers", m) for m in given))

    def update(self) -> reference.Update:
        """Return the numbers that the kernels work with. Raises TypeError for a class that they do not know."""
        kind = getattr(self, "kind", None)
        if kind not in reference.KINDS:
            raise TypeError(
                f"an optimizer must be SGD, Adam, AdamW or RMSprop, or derived from one and of its kind, but "
                f"{type(self).__name__} is of kind {kind!r}"
            )
        own = {name: getattr(self, name) for name in reference.Update._fields if hasattr(self, name)}
        own["clip_norm"] = math.inf if self.clip_norm is None else self.clip_norm
        return reference.Update(**{name: +value for name, value in own.items()})  # +True is 1

    def moments(self) -> tuple[bool, bool]:
        """Return whether the first and whether the second of `reference.Moments` is needed."""
        return getattr(self, "momentum", 0.0) > 0, self.adaptive

    def check(self) -> None:
        """Raise TypeError where a class derived from this one has left its constructor or its update unfinished."""
        missing = [name for name in self.__dataclass_fields__ if not hasattr(self, name)]
        if missing:
            raise TypeError(
                f"an optimizer must have its {missing[0]}, but {type(self).__name__} was made without; call "
                "super().__init__(learning_rate)"
            )
        if not isinstance(update := self.update(), reference.Update) or update.kind not in reference.KINDS:
            raise TypeError(
                f"update of an optimizer must return a reference.Update of a known kind, but that of "
                f"{type(self).__name__} returns {brief(update)}"
            )

    @property
    def inertia(self) -> float:
        """The share of its last step that a step repeats: the momentum, or Adam's β₁."""
        update = self.update()
        return max(update.momentum, update.beta1)

    def __repr__(self) -> str:
        """Show the learning rate, and whatever else differs from its default."""
        fields = self.__dataclass_fields__.items()
        others = {name: value for name, f in fields if (value := getattr(self, name)) != f.default}
        shown = {"learning_rate": self.learning_rate} | others
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


@dataclass(frozen=True, slots=True, repr=False)
class SGD(Optimizer):
    """Stochastic gradient descent, with momentum on request.

        v ← βv + g;    θ ← θ − ηv                     (Polyak 1964)
        θ ← θ − η(g + βv)                             Nesterov's form (Sutskever et al. 2013)

    The velocity is not damped by 1 − β, as in PyTorch: with momentum β a long-lasting gradient moves θ by η/(1 − β).

    Args:
        learning_rate: η > 0.
        momentum: β in [0, 1).
        nesterov: Whether to step along g + βv, which needs a momentum above 0.
        weight_decay, clip_norm, rate_multipliers: See `Optimizer`.

    >>> SGD(learning_rate=0.1, momentum=0.9)
    SGD(learning_rate=0.1, momentum=0.9)
    """

    kind = reference.SGD

    learning_rate: float = 0.1
    momentum: float = _tunable(0.0, *MOMENTUM)
    nesterov: bool = _tunable(False, "Nesterov's form of momentum", "true,false")

    def __post_init__(self) -> None:
        Optimizer.__post_init__(self)
        if not isinstance(self.nesterov, bool):
            raise ValueError(f"nesterov must be True or False, but got {brief(self.nesterov)}")
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov=True needs a momentum above 0, but got momentum=0; give momentum=0.9, say")


@dataclass(frozen=True, slots=True, repr=False)
class Adam(Optimizer):
    """Adam (Kingma & Ba 2015); with `weight_decay` it is AdamW (Loshchilov & Hutter 2019).

        m ← β₁m + (1 − β₁)g;    s ← β₂s + (1 − β₂)g²
        θ ← θ − η · m̂/(√ŝ + ε)    with    m̂ = m/(1 − β₁ᵗ),  ŝ = s/(1 − β₂ᵗ),  t = 1, 2, …

    Args:
        learning_rate: η > 0; about the length of a step in each parameter.
        beta1, beta2: β₁ and β₂ in [0, 1): the decay of the mean gradient and of the mean squared gradient.
        epsilon: ε > 0.
        weight_decay, clip_norm, rate_multipliers: See `Optimizer`.

    >>> Adam(learning_rate=1e-3)
    Adam(learning_rate=0.001)
    """

    kind = reference.ADAM
    adaptive = True

    learning_rate: float = 1e-3
    beta1: float = _tunable(0.9, "decay of the mean gradient", "0.8:0.99", 0.999, DECAY)
    beta2: float = _tunable(0.999, *BETA2)
    epsilon: float = _tunable(1e-8, *EPSILON)

    def moments(self) -> tuple[bool, bool]:
        """Return that both are needed, whatever β₁."""
        return True, True


@dataclass(frozen=True, slots=True, repr=False)
class AdamW(Adam):
    """Adam with decoupled weight decay, 0.01 unless given (Loshchilov & Hutter 2019).

        θ ← (1 − η·weight_decay)·θ − η · m̂/(√ŝ + ε)

    Parameters are those of `Adam`.

    >>> AdamW(learning_rate=1e-3, weight_decay=0.1)
    AdamW(learning_rate=0.001, weight_decay=0.1)
    """

    weight_decay: float = _tunable(0.01, *WEIGHT_DECAY, kw_only=True)


@dataclass(frozen=True, slots=True, repr=False)
class RMSprop(Optimizer):
    """RMSprop (Tieleman & Hinton 2012), with momentum on request: gradients divided by their root mean square.

        s ← β₂s + (1 − β₂)g²;    v ← βv + g/(√s + ε);    θ ← θ − ηv

    As in PyTorch, whose α is β₂ here, ε stands outside the root, and s starts at 0 without a correction of its bias.

    Args:
        learning_rate: η > 0.
        beta2: β₂ in [0, 1): the decay of the mean squared gradient.
        epsilon: ε > 0.
        momentum: β in [0, 1).
        weight_decay, clip_norm, rate_multipliers: See `Optimizer`.

    >>> RMSprop(learning_rate=1e-3, momentum=0.9)
    RMSprop(learning_rate=0.001, momentum=0.9)
    """

    kind = reference.RMSPROP
    adaptive = True

    learning_rate: float = 0.01
    beta2: float = _tunable(0.99, *BETA2)
    epsilon: float = _tunable(1e-8, *EPSILON)
    momentum: float = _tunable(0.0, *MOMENTUM)


OPTIMIZERS: dict[str, type[Optimizer]] = {"sgd": SGD, "adam": Adam, "adamw": AdamW, "rmsprop": RMSprop}
"""The optimizers by the names that sweeps and the command line know them by; each takes the fields of its class."""
