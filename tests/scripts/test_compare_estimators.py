"""The script that fits the estimators of both packages: what it prints, and when it finds a difference."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scripts.loading import load_script


def test_the_comparison_finds_no_difference(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    script = load_script("compare_estimators")
    monkeypatch.setattr(script, "SETTINGS", {"sgd": {"solver": "sgd", "max_iter": 5}})
    assert script.main(["--data", "iris", "diabetes", "--seeds", "2"]) == 0
    table = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in table] == ["scikit-learn", "data", "iris", "diabetes", "Faster", "Scores"]


def test_the_comparison_names_what_differs_by_more_than_chance(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    script = load_script("compare_estimators")
    scores = {"nn.estimators": 0.8, "sklearn.neural_network": 0.9}

    def fit(package: Any, data: Any, settings: Any, seed: int) -> tuple[float, float]:
        return scores[package.__name__] + seed / 50, 1.0

    monkeypatch.setattr(script, "SETTINGS", {"sgd": {}})
    monkeypatch.setattr(script, "fit", fit)
    assert script.main(["--data", "iris", "--seeds", "3"]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "Scores apart by more than chance: iris with sgd."
    scores["nn.estimators"] = 0.89  # the scores of the seeds are 0.02 apart
    assert script.main(["--data", "iris", "--seeds", "3"]) == 0


def test_one_seed_is_not_enough_to_tell_chance_from_merit(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        load_script("compare_estimators").main(["--seeds", "1"])
    assert "--seeds must be at least 2" in capsys.readouterr().err
