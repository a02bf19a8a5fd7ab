from __future__ import annotations

import numpy as np
import pytest

from tests.tuning.fakes import METRICS, a_study
from tuning import plots
from tuning.store import COMPLETED, TrialResult, TrialSpec


def linear_rule(spec: TrialSpec) -> TrialResult:
    """The best rate is 0.001 times the batch size."""
    params: dict[str, float] = spec.params  # type: ignore[assignment]
    off = np.log10(params["learning_rate"] / (1e-3 * params["batch_size"]))
    accuracy = 0.9 - 0.1 * off**2 + 1e-3 * np.random.default_rng(spec.seed).normal()
    curves = {name: np.linspace(2, 1, 3) for name in METRICS}
    return TrialResult(COMPLETED, dict(zip(METRICS, (1.0, 1.0, float(accuracy)), strict=True)), curves, 3, 0.1)


@pytest.mark.parametrize("repeats", [1, 5])
def test_the_slope_of_the_best_rate_is_fitted_and_rates_at_the_edge_are_left_out(repeats: int) -> None:
    space = {"learning_rate": "0.001:1:log", "batch_size": "4,16,64,2048", "momentum": "0,0.9"}
    study = a_study(linear_rule, space=space, method_options={"points": 13}, repeats=repeats).run()
    ax = plots.best_rate(study, x="batch_size", by="momentum")
    labels = ax.get_legend_handles_labels()[1]
    assert labels == ["momentum 0, slope 1.00", "momentum 0.9, slope 1.00"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("batch size", "best learning rate")
    hollow = [line for line in ax.get_lines() if line.get_markerfacecolor() == "white"]
    assert [line.get_xdata().tolist() for line in hollow] == [[2048], [2048]]
    plots.close(ax)


def test_what_has_no_numbers_above_0_and_what_is_no_study_are_refused() -> None:
    study = a_study(linear_rule, space={"learning_rate": "0.01,0.1", "batch_size": "16", "optimizer": "sgd,adam"}).run()
    with pytest.raises(ValueError, match="positive numbers"):
        plots.best_rate(study, x="optimizer")
    with pytest.raises(ValueError, match="did you mean 'batch_size'"):
        plots.best_rate(study, x="batch_sizes")
    with pytest.raises(TypeError, match="best_rate must get a Study"):
        plots.best_rate("study.db")  # type: ignore[arg-type]
