"""Optimizers: immutable descriptions of what a gradient does to the parameters. The arithmetic is in `reference.py`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from nn import reference
from nn.checks import brief, real


@dataclass(frozen=True, slots=True)
class Optimizer:
    """What all optimizers share.

    Parameters
    ----------
    learning_rate : float
        η > 0. A number; how it changes over the steps is a schedule's business (`nn.schedules`).
    weight_decay : float
        Each step first shrinks the weights, not the biases, by the factor 1 − η·weight_decay (Loshchilov & Hutter
        2019). This is *decoupled* decay: it bypasses the momentum. The L2 penalty, which goes through the gradient
        as `weight_decay` does in PyTorch's SGD, is `MLP(l2=…)`.
    clip_norm : float, optional
        A gradient with a longer Euclidean norm is shortened to this one (Pascanu et al. 2013).
    rate_multipliers : tuple of float, optional
        For each layer, its multiple of the learning rate; 0 freezes the layer.
    """

    learning_rate: float
    weight_decay: float = field(default=0.0, kw_only=True)
    clip_norm: float | None = field(default=None, kw_only=True)
    rate_multipliers: tuple[float, ...] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        def put(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        put("learning_rate", real("learning_rate", self.learning_rate, above=0.0))
        put("weight_decay", real("weight_decay", self.weight_decay, 0.0))
        if self.clip_norm is not None:
            put("clip_norm", real("clip_norm", self.clip_norm, above=0.0))
        if self.rate_multipliers is not None:
            if isinstance(self.rate_multipliers, str) or not isinstance(self.rate_multipliers, Iterable):
                raise ValueError(
                    f"rate_multipliers must be numbers, one a layer, but got {brief(self.rate_multipliers)}"
                )
            put("rate_multipliers", tuple(real("rate_multipliers", m, 0.0) for m in self.rate_multipliers))

    def update(self) -> reference.Update:
        """The numbers that the kernels work with."""
        raise NotImplementedError

    @property
    def inertia(self) -> float:
        """The share of its last step that a step repeats: the momentum, or Adam's β₁."""
        update = self.update()
        return max(update.momentum, update.beta1)

    def _clip_norm(self) -> float:
        return math.inf if self.clip_norm is None else self.clip_norm


@dataclass(frozen=True, slots=True)
class SGD(Optimizer):
    """Stochastic gradient descent, with momentum on request.

        v ← βv + g;    θ ← θ − ηv                     (Polyak 1964)
        θ ← θ − η(g + βv)                             Nesterov's form (Sutskever et al. 2013)

    The velocity is not damped by 1 − β, as in PyTorch: with momentum β a long-lasting gradient moves θ by η/(1 − β).

    >>> SGD(learning_rate=0.1, momentum=0.9)
    SGD(learning_rate=0.1, momentum=0.9)
    """

    learning_rate: float = 0.1
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        Optimizer.__post_init__(self)
        object.__setattr__(self, "momentum", real("momentum", self.momentum, 0.0, below=1.0))
        if not isinstance(self.nesterov, bool):
            raise ValueError(f"nesterov must be True or False, but got {brief(self.nesterov)}")
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov=True needs a momentum above 0, but got momentum=0; give momentum=0.9, say")

    def update(self) -> reference.Update:
        return reference.Update(reference.SGD, self.weight_decay, self._clip_norm(), self.momentum, int(self.nesterov))

    def __repr__(self) -> str:
        return _short_repr(self)


@dataclass(frozen=True, slots=True)
class Adam(Optimizer):
    """Adam (Kingma & Ba 2015); with `weight_decay` it is AdamW (Loshchilov & Hutter 2019).

        m ← β₁m + (1 − β₁)g;    s ← β₂s + (1 − β₂)g²
        θ ← θ − η · m̂/(√ŝ + ε)    with    m̂ = m/(1 − β₁ᵗ),  ŝ = s/(1 − β₂ᵗ),  t = 1, 2, …

    >>> Adam(learning_rate=1e-3)
    Adam(learning_rate=0.001)
    """

    learning_rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        Optimizer.__post_init__(self)
        for name in ("beta1", "beta2"):
            object.__setattr__(self, name, real(name, getattr(self, name), 0.0, below=1.0))
        object.__setattr__(self, "epsilon", real("epsilon", self.epsilon, above=0.0))

    def update(self) -> reference.Update:
        return reference.Update(
            reference.ADAM,
            self.weight_decay,
            self._clip_norm(),
            beta1=self.beta1,
            beta2=self.beta2,
            epsilon=self.epsilon,
        )

    def __repr__(self) -> str:
        return _short_repr(self)


@dataclass(frozen=True, slots=True)
class AdamW(Adam):
    """Adam with decoupled weight decay, 0.01 unless given (Loshchilov & Hutter 2019)."""

    weight_decay: float = field(default=0.01, kw_only=True)

    def __repr__(self) -> str:
        return _short_repr(self)


def _short_repr(optimizer: Optimizer) -> str:
    """The learning rate, and whatever else differs from its default."""
    fields = type(optimizer).__dataclass_fields__
    shown = [
        f"{name}={getattr(optimizer, name)!r}"
        for name in ("learning_rate", *(name for name in fields if name != "learning_rate"))
        if name == "learning_rate" or getattr(optimizer, name) != fields[name].default
    ]
    return f"{type(optimizer).__name__}({', '.join(shown)})"
