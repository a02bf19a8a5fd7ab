"""Record what scikit-learn's MLP reaches on wine and diabetes, for the tests to compare with.

    python scripts/records/record_sklearn.py          writes tests/nn/sklearn_scores.json

Splits, scaling and settings are those of the tests, which read them from the file: SGD with momentum, Glorot's
initial weights, mini-batches shuffled anew in each epoch, no early stopping. Scores are of the test part: accuracy for
wine, R² for diabetes, whose targets are standardised like its features. Needs scikit-learn.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from nn import load_dataset

try:
    import sklearn
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier, MLPRegressor
except ImportError:
    raise SystemExit("record_sklearn.py needs scikit-learn, which is not installed; pip install scikit-learn") from None

PATH = Path(__file__).resolve().parents[2] / "tests" / "nn" / "sklearn_scores.json"
SEEDS = 10
SETTINGS: dict[str, dict[str, Any]] = {
    "wine": {"hidden_units": 16, "learning_rate": 0.02, "momentum": 0.9, "batch_size": 16, "epochs": 40},
    "diabetes": {"hidden_units": 16, "learning_rate": 0.005, "momentum": 0.9, "batch_size": 32, "epochs": 30},
}


def score(name: str, seed: int) -> float:
    """Return the score on the test part of the split with this seed, of a network with this seed."""
    about = SETTINGS[name]
    split = load_dataset(name).split(validation=0.0, test=0.25, seed=seed)
    assert split.test is not None
    network = (MLPClassifier if name == "wine" else MLPRegressor)(
        hidden_layer_sizes=(about["hidden_units"],),
        solver="sgd",
        alpha=0.0,
        batch_size=about["batch_size"],
        learning_rate_init=about["learning_rate"],
        momentum=about["momentum"],
        nesterovs_momentum=False,
        max_iter=about["epochs"],
        n_iter_no_change=about["epochs"],
        tol=0.0,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(split.train.X, split.train.y)
    return float(network.score(split.test.X, split.test.y))


def main() -> int:
    """Write the file and print its means."""
    argparse.ArgumentParser(description="Record scikit-learn's scores for the tests.").parse_args()
    record: dict[str, Any] = {"scikit-learn": sklearn.__version__, "test": 0.25, "seeds": SEEDS, "sets": {}}
    for name, about in SETTINGS.items():
        scores = [score(name, seed) for seed in range(SEEDS)]
        mean, spread = float(np.mean(scores)), float(np.std(scores, ddof=1))
        found = {"scores": [round(value, 6) for value in scores], "mean": round(mean, 6), "spread": round(spread, 6)}
        record["sets"][name] = about | found
        print(f"{name}: mean {mean:.4f}, standard deviation {spread:.4f} over {SEEDS} seeds")
    PATH.write_text(json.dumps(record, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
