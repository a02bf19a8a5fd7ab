"""Tunes a network that somebody wrote in NumPy: `python scripts/own_models/numpy_network.py`.

`train` is that network, as it was. It yields its losses after each epoch, so that halving can end poor settings early,
curves are kept, and verdicts say what happened. All that is random comes from the seed.
"""

import numpy as np

from nn import load_dataset
from tuning import LogUniform, Study, sweep

split = load_dataset("digits").split(seed=0)
X, y = split.train.X, np.eye(10)[split.train.y]
X_held, y_held = split.validation.X, np.eye(10)[split.validation.y]


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def train(params, seed, epochs):
    rng = np.random.default_rng(seed)
    hidden, rate, size = params["hidden_units"], params["learning_rate"], params["batch_size"]
    W1, b1 = rng.normal(0, np.sqrt(2 / 64), (64, hidden)), np.zeros(hidden)
    W2, b2 = rng.normal(0, np.sqrt(1 / hidden), (hidden, 10)), np.zeros(10)

    def forward(X):
        A = np.maximum(X @ W1 + b1, 0)
        return A, softmax(A @ W2 + b2)

    def loss(X, y):
        return -np.log((forward(X)[1] * y).sum(axis=1) + 1e-12).mean()

    for _ in range(epochs):
        order = rng.permutation(len(X))
        for start in range(0, len(X), size):
            batch = order[start : start + size]
            A, P = forward(X[batch])
            dZ2 = (P - y[batch]) / len(batch)
            dZ1 = dZ2 @ W2.T * (A > 0)
            W2 -= rate * A.T @ dZ2
            b2 -= rate * dZ2.sum(axis=0)
            W1 -= rate * X[batch].T @ dZ1
            b1 -= rate * dZ1.sum(axis=0)
        accuracy = (forward(X_held)[1].argmax(axis=1) == y_held.argmax(axis=1)).mean()
        yield {"train_loss": loss(X, y), "validation_loss": loss(X_held, y_held), "validation_accuracy": accuracy}


def main(**changes) -> Study:
    space = {"learning_rate": LogUniform(1e-3, 3.0), "hidden_units": [16, 32], "batch_size": [32]}
    options = {"method": "halving", "points": 5, "epochs": 9, "metric": "validation_loss", **changes}
    return sweep(space=space, objective=train, **options)


if __name__ == "__main__":
    study = main()
    print(study.table(5))
    print(*study.verdicts()[:3], sep="\n")
