"""Objectives as people write them, good and bad, in a module that other processes import."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

SCALE = 0.3
KIND = {1: "an exception", 2: "sys.exit", 3: "NaN", 4: "a text", 5: "a list", 6: "no metric", 7: "a kill", 8: "nothing"}


def square(params: dict[str, Any], seed: int) -> float:
    """One number: the metric."""
    return (params["x"] - 2) ** 2 + helper(seed)


def helper(seed: int) -> float:
    """A part of `square` that stands by itself."""
    return 1e-3 * np.random.default_rng(seed).random() * SCALE


def descent(params: dict[str, Any], seed: int, epochs: int) -> Iterator[dict[str, float]]:
    """Losses epoch by epoch, of which every bit depends on the setting and the seed."""
    rng, w = np.random.default_rng(seed), 1.0
    for epoch in range(epochs):
        w -= params["x"] * w * (1 - epoch / epochs) + rng.normal() * 1e-3
        yield {"loss": w * w, "train_loss": w * w, "validation_loss": w * w + 0.01}


class Descent:
    """The same as `descent`, step by step; it counts the steps of this process."""

    steps = 0

    def start(self, params: dict[str, Any], seed: int, epochs: int) -> None:
        """Begin."""
        self.rate, self.epochs, self.epoch = params["x"], epochs, 0
        self.rng, self.w = np.random.default_rng(seed), np.ones(1)

    def step(self) -> dict[str, Any]:
        """One epoch."""
        Descent.steps += 1
        self.w -= self.rate * self.w * (1 - self.epoch / self.epochs) + self.rng.normal() * 1e-3
        self.epoch += 1
        loss = self.w * self.w
        return {"loss": loss, "train_loss": loss, "validation_loss": loss + 0.01}

    def state(self) -> dict[str, Any]:
        """What it needs to go on."""
        return {"w": self.w, "epoch": self.epoch, "rng": self.rng.bit_generator.state}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on."""
        self.w, self.epoch, self.rng.bit_generator.state = state["w"], state["epoch"], state["rng"]


def faulty(params: dict[str, Any]) -> Any:
    """Fails in the way that x says."""
    match KIND.get(params["x"]):
        case "an exception":
            raise KeyError("no such\nthing")
        case "sys.exit":
            sys.exit(3)
        case "NaN":
            return float("nan")
        case "a text":
            return "0.5"
        case "a list":
            return [1, 2]
        case "no metric":
            return {"accuracy": 0.5}
        case "a kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "nothing":
            return None
    return {"loss": 0.25, "rounds": np.int64(3)}


def hanging(params: dict[str, Any]) -> float:
    """Hangs at 1, and ends at once otherwise."""
    while params["x"] == 1:
        time.sleep(0.01)
    return 0.0


def forgetful(params: dict[str, Any], epochs: int) -> Iterator[float]:
    """Draws from nobody's seed."""
    for _ in range(epochs):
        yield float(np.random.default_rng().random())


def short(params: dict[str, Any], epochs: int) -> Iterator[float]:
    """The best one ends after two epochs."""
    for epoch in range(2 if params["x"] > 0.4 else epochs):
        yield 3.0 - params["x"] - epoch / 100
