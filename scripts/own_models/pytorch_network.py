"""Tunes a network of PyTorch: `python scripts/own_models/pytorch_network.py`; needs PyTorch.

`Training` can be continued: halving trains a setting that is promoted from where it was, to the last bit, and does not
repeat an epoch. What it has to remember is in `state`; PyTorch's own format for that is bytes.
"""

import io

import numpy as np
import torch
from torch import nn

from nn import load_dataset
from tuning import LogUniform, Study, sweep

split = load_dataset("digits").split(seed=0)
parts = (split.train, split.validation)
(X, y), held = ((torch.tensor(part.X, dtype=torch.float32), torch.tensor(part.y)) for part in parts)


class Training:
    def start(self, params, seed):
        torch.set_num_threads(1)  # each process has one core
        torch.manual_seed(seed)
        units = params["hidden_units"]
        self.model = nn.Sequential(nn.Linear(64, units), nn.ReLU(), nn.Linear(units, 10))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=params["learning_rate"])
        self.rng = np.random.default_rng(seed)
        self.loss = nn.CrossEntropyLoss()

    def step(self):
        for batch in np.array_split(self.rng.permutation(len(X)), len(X) // 32):
            self.optimizer.zero_grad()
            self.loss(self.model(X[batch]), y[batch]).backward()
            self.optimizer.step()
        with torch.no_grad():
            outputs = self.model(held[0])
            accuracy = (outputs.argmax(dim=1) == held[1]).float().mean()
            losses = {"train_loss": self.loss(self.model(X), y), "validation_loss": self.loss(outputs, held[1])}
        return {**losses, "validation_accuracy": accuracy}

    def state(self):
        buffer = io.BytesIO()
        torch.save([self.model.state_dict(), self.optimizer.state_dict()], buffer)
        return {"torch": buffer.getvalue(), "rng": self.rng.bit_generator.state}

    def restore(self, state):
        model, optimizer = torch.load(io.BytesIO(state["torch"]))
        self.model.load_state_dict(model)
        self.optimizer.load_state_dict(optimizer)
        self.rng.bit_generator.state = state["rng"]


def main(**changes) -> Study:
    space = {"learning_rate": LogUniform(1e-4, 0.1), "hidden_units": [16, 32]}
    options = {"method": "halving", "points": 5, "epochs": 9, "metric": "validation_loss", **changes}
    return sweep(space=space, objective=Training, **options)


if __name__ == "__main__":
    print(main().table(5))
