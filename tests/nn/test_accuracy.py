"""What networks reach on the test part of real data."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from nn import MLP, SGD, load_dataset, train
from nn.schedules import Cosine

RECORD = json.loads(Path(__file__).with_name("sklearn_scores.json").read_text())


def test_digits_reach_96_percent() -> None:
    """The settings were chosen on the splits of seeds 0 to 9; these are others."""
    digits, scores = load_dataset("digits"), []
    for seed in range(100, 110):
        split = digits.split(validation=0.2, test=0.2, seed=seed)
        assert split.test is not None
        run = train(
            MLP((64, 64, 10), dropout=0.2),
            split,
            SGD(0.05, momentum=0.9),
            batch_size=16,
            epochs=30,
            schedule=Cosine(),
            seed=seed,
        )
        scores.append(run.evaluate(split.test)["accuracy"])
    assert np.mean(scores) >= 0.96, scores


@pytest.mark.parametrize("name", ["wine", "diabetes"])
def test_the_score_of_scikit_learn_is_reached_with_its_settings(name: str) -> None:
    """To within the standard error that its recorded spread from seed to seed gives to a mean over the seeds."""
    about, data, scores = RECORD["sets"][name], load_dataset(name), []
    for seed in range(RECORD["seeds"]):
        split = data.split(validation=0.0, test=RECORD["test"], seed=seed)
        assert split.test is not None
        outputs, score = (data.n_outputs, "accuracy") if data.classes is not None else (1, "r2")
        run = train(
            MLP((data.n_features, about["hidden_units"], outputs), init="glorot"),
            split,
            SGD(about["learning_rate"], momentum=about["momentum"]),
            batch_size=about["batch_size"],
            epochs=about["epochs"],
            seed=seed,
        )
        scores.append(run.evaluate(split.test)[score])
    assert len(about["scores"]) == RECORD["seeds"]
    assert np.mean(scores) >= about["mean"] - about["spread"] / math.sqrt(RECORD["seeds"]), scores
