"""Record PyTorch's training of small networks, for the tests to replay without PyTorch.

    python scripts/records/record_torch.py            writes tests/nn/torch_replay.npz and prints its SHA-256
    python scripts/records/record_torch.py --check    compares the file with a new recording; status 1 if they differ

For each pair of a network and an optimizer: the start parameters, and from 200 steps in float64 the loss of each
mini-batch before its update and the parameters at the end. All share the same examples and the same mini-batches.
Parameters are laid out as nn does it: for each layer the weights (n_in, n_out), row by row, then the biases.
Needs PyTorch, which the project itself does not.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

try:
    import torch
except ImportError:
    raise SystemExit("record_torch.py needs PyTorch, which is not installed; pip install torch") from None

PATH = Path(__file__).resolve().parents[2] / "tests" / "nn" / "torch_replay.npz"
EXAMPLES, FEATURES, STEPS, BATCH = 48, 5, 200, 8

NETWORKS: dict[str, dict[str, Any]] = {
    "relu softmax": {"layer_sizes": [5, 7, 6, 3], "activation": "relu", "targets": "classes"},
    "tanh binary": {"layer_sizes": [5, 8, 1], "activation": "tanh", "targets": "binary"},
    "gelu labels": {"layer_sizes": [5, 9, 4], "activation": "gelu", "targets": "labels"},
    "gelu squared": {"layer_sizes": [5, 6, 5, 2], "activation": "gelu", "targets": "values"},
    "linear softmax": {"layer_sizes": [5, 3], "activation": "relu", "targets": "classes"},
}
# `penalty` is PyTorch's weight_decay of the weights; in AdamW it is decoupled from the gradient.
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {"kind": "SGD", "lr": 0.1},
    "sgd momentum": {"kind": "SGD", "lr": 0.03, "momentum": 0.9},
    "sgd momentum l2": {"kind": "SGD", "lr": 0.03, "momentum": 0.9, "penalty": 0.02},
    "nesterov": {"kind": "SGD", "lr": 0.03, "momentum": 0.9, "nesterov": True},
    "adam": {"kind": "Adam", "lr": 0.01},
    "adam l2": {"kind": "Adam", "lr": 0.01, "betas": [0.8, 0.99], "eps": 1e-6, "penalty": 0.02},
    "adamw": {"kind": "AdamW", "lr": 0.01, "penalty": 0.1},
    "rmsprop": {"kind": "RMSprop", "lr": 0.003},
    "rmsprop momentum l2": {
        "kind": "RMSprop",
        "lr": 0.001,
        "alpha": 0.9,
        "eps": 1e-6,
        "momentum": 0.9,
        "penalty": 0.02,
    },
}


def examples() -> dict[str, NDArray[Any]]:
    """Return features, all kinds of targets, and the rows of each mini-batch."""
    rng = np.random.default_rng(20)
    X = rng.normal(size=(EXAMPLES, FEATURES))
    hidden = np.tanh(X @ rng.normal(size=(FEATURES, 4)))
    return {
        "X": X,
        "classes": hidden[:, :3].argmax(axis=1),
        "binary": (hidden[:, 0] > 0).astype(np.int64),
        "labels": (hidden > 0.2).astype(np.int64),
        "values": hidden[:, :2] + 0.1 * rng.normal(size=(EXAMPLES, 2)),
        "indices": rng.integers(0, EXAMPLES, size=(STEPS, BATCH)),
    }


def network(layer_sizes: list[int], activation: str) -> torch.nn.Sequential:
    """Return the network with PyTorch's own initial values."""
    kinds = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh, "gelu": torch.nn.GELU}
    parts: list[torch.nn.Module] = []
    for n_in, n_out in itertools.pairwise(layer_sizes):
        parts += [torch.nn.Linear(n_in, n_out, dtype=torch.float64), kinds[activation]()]
    return torch.nn.Sequential(*parts[:-1])


def loss_of(outputs: torch.Tensor, y: torch.Tensor, targets: str) -> torch.Tensor:
    """Return the loss, summed over outputs and averaged over examples."""
    if targets == "classes":
        return torch.nn.functional.cross_entropy(outputs, y)
    values = y.to(torch.float64).reshape(len(outputs), -1)
    if targets == "values":
        return 0.5 * ((outputs - values) ** 2).sum() / len(outputs)
    return torch.nn.functional.binary_cross_entropy_with_logits(outputs, values, reduction="sum") / len(outputs)


def flat(net: torch.nn.Sequential) -> NDArray[np.float64]:
    """Return all parameters (P,) in the layout of nn."""
    layers = [layer for layer in net if isinstance(layer, torch.nn.Linear)]
    parts = [p for layer in layers for p in (layer.weight.T, layer.bias)]
    return np.concatenate([p.detach().numpy().ravel() for p in parts])


def optimizer_of(net: torch.nn.Sequential, kind: str, penalty: float = 0.0, **options: Any) -> torch.optim.Optimizer:
    """Return the optimizer, with the penalty on weights and not on biases."""
    named = list(net.named_parameters())
    groups = [
        {"params": [p for name, p in named if name.endswith("weight")], "weight_decay": penalty},
        {"params": [p for name, p in named if name.endswith("bias")], "weight_decay": 0.0},
    ]
    chosen: torch.optim.Optimizer = getattr(torch.optim, kind)(groups, **options)
    return chosen


def record() -> dict[str, NDArray[Any]]:
    """Train every network with every optimizer, and return the arrays of the file."""
    torch.set_num_threads(1)
    torch.manual_seed(7)
    arrays = examples()
    arrays["about"] = np.array(json.dumps({"networks": NETWORKS, "optimizers": OPTIMIZERS}))
    X = torch.from_numpy(arrays["X"])
    for name, about in NETWORKS.items():
        net = network(about["layer_sizes"], about["activation"])
        start = {key: value.clone() for key, value in net.state_dict().items()}
        arrays[f"{name}/start"] = flat(net)
        y = torch.from_numpy(arrays[about["targets"]])
        for how, options in OPTIMIZERS.items():
            net.load_state_dict(start)
            optimizer = optimizer_of(net, **options)
            losses = []
            for rows in arrays["indices"]:
                optimizer.zero_grad()
                loss = loss_of(net(X[rows]), y[rows], about["targets"])
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            arrays[f"{name}/{how}/losses"] = np.array(losses)
            arrays[f"{name}/{how}/theta"] = flat(net)
    return arrays


def main() -> int:
    """Write the file, or compare it with a new recording."""
    parser = argparse.ArgumentParser(description="Record PyTorch's training of small networks for the tests.")
    parser.add_argument("--check", action="store_true", help="compare with the file instead of writing it")
    asked = parser.parse_args()
    arrays = record()
    if not asked.check:
        np.savez(PATH, **arrays)
        content = PATH.read_bytes()
        print(f"{PATH.name}: {len(content):,} bytes, sha256 {hashlib.sha256(content).hexdigest()}")
        return 0
    with np.load(PATH, allow_pickle=False) as file:
        names = set(file.files) ^ set(arrays)
        worst = {k: np.abs(file[k] - a).max() for k, a in arrays.items() if a.dtype.kind == "f" and k not in names}
        others = [k for k, a in arrays.items() if a.dtype.kind != "f" and k not in names and (file[k] != a).any()]
    furthest = max(worst, key=lambda name: float(worst[name]))
    print(f"largest difference {worst[furthest]:.1e}, in {furthest}; missing or other: {sorted(names) + others}")
    return int(bool(names or others or worst[furthest] > 1e-12))


if __name__ == "__main__":
    raise SystemExit(main())
