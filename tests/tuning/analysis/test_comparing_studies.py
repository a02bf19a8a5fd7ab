"""Two studies are compared by the pairs of their best settings; the interval allows for shared training rows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tuning.analysis import compared

FIRST, SECOND = np.array([0.5, 0.4, 0.6, 0.5]), np.array([0.3, 0.3, 0.2, 0.4])


@pytest.mark.parametrize(("unit", "share"), [("repeats", 1 / 4), ("folds", 1 / 4 + 1 / 3)])
def test_the_interval_is_students_with_the_variance_of_means_over_folds(unit: str, share: float) -> None:
    found = compared("validation_loss", ("a", "b"), FIRST, SECOND, unit)
    worse = FIRST - SECOND
    reach = stats.t.ppf(0.975, 3) * np.sqrt(worse.var(ddof=1) * share)
    assert found.difference == pytest.approx(-worse.mean())
    assert (found.low, found.high) == pytest.approx((-worse.mean() - reach, -worse.mean() + reach))
    assert (found.count, found.unit) == (4, unit)


def test_better_is_who_is_so_beyond_chance() -> None:
    assert compared("validation_accuracy", ("a", "b"), FIRST + 1, SECOND, "folds").better == "a"
    assert compared("validation_loss", ("a", "b"), FIRST + 1, SECOND, "folds").better == "b"
    assert compared("validation_accuracy", ("a", "b"), SECOND, SECOND[::-1], "folds").better is None
    assert compared("validation_r2", ("a", "b"), SECOND, SECOND, "folds").better is None


def test_steps_of_an_accuracy_hide_no_variance() -> None:
    found = compared("validation_accuracy", ("a", "b"), np.array([0.5, 0.5]), np.array([0.4, 0.4]), "folds")
    assert found.low is not None
    assert found.low < 0 < found.difference


def test_one_pair_tells_nothing_of_chance() -> None:
    found = compared("validation_loss", ("a", "b"), FIRST[:1], SECOND[:1], "repeats")
    assert (found.low, found.better) == (None, None)
    assert str(found) == (
        "a is 0.2000 worse in validation loss than b; whether that is chance can't be told: one repeat tells nothing "
        "about chance; give repeats=5 or folds=5"
    )


def test_what_is_said_is_a_line() -> None:
    better = compared("validation_accuracy", ("a", "b"), FIRST + 1, SECOND, "folds")
    unknown = compared("validation_accuracy", ("a", "b"), SECOND, SECOND[::-1], "folds")
    assert str(better).startswith("a is 1.2000 better in validation accuracy than b (95% interval of the difference 0.")
    assert str(unknown).startswith("a and b can't be told apart: a is 0.0000 better in validation accuracy (95% inter")
