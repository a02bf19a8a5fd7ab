from __future__ import annotations

import numpy as np
import pytest
from scipy.special import stdtrit
from scipy.stats import binomtest

from tuning.analysis import mean_intervals, share_interval
from tuning.analysis.intervals import student_t_quantile
from tuning.analysis.variances import _digamma, _inverse_trigamma, _trigamma, moderated


@pytest.mark.parametrize(("n", "low"), [(2, 0.93), (3, 0.93), (4, 0.93), (5, 0.90), (8, 0.925), (20, 0.93)])
def test_the_interval_of_a_mean_covers_it_as_often_as_it_says(n: int, low: float) -> None:
    values = np.random.default_rng(n).normal(0.9, 0.02, (2000, n))
    ends = mean_intervals(values)
    covered = np.mean((ends[:, 0] <= 0.9) & (ends[:, 1] >= 0.9))
    assert low <= covered <= 0.97


def test_the_same_scores_give_the_same_interval_and_one_value_none() -> None:
    values = np.random.default_rng(0).random((3, 7))
    assert np.array_equal(mean_intervals(values), mean_intervals(values.copy()))
    assert np.array_equal(mean_intervals(values)[1:2], mean_intervals(values[1:2]))
    assert np.isnan(mean_intervals(values[:, :1])).all()
    assert mean_intervals(np.full((1, 6), 0.5)).tolist() == [[pytest.approx(0.5), pytest.approx(0.5)]]


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 9, 30, 101])
@pytest.mark.parametrize("p", [0.6, 0.975, 0.9995, 1 - 1e-6])
def test_students_t_is_that_of_scipy(p: float, freedom: int) -> None:
    assert student_t_quantile(p, freedom) == pytest.approx(stdtrit(freedom, p), rel=1e-8)


@pytest.mark.parametrize(("right", "n"), [(351, 360), (0, 10), (10, 10), (5, 10)])
def test_the_interval_of_a_share_is_wilsons(right: int, n: int) -> None:
    known = binomtest(right, n).proportion_ci(method="wilson")
    assert share_interval(right / n, n) == pytest.approx((known.low, known.high), abs=1e-12)


def test_digamma_and_trigamma_are_those_of_scipy() -> None:
    from scipy.special import digamma, polygamma

    for x in (0.01, 0.5, 1.0, 2.5, 9.0, 100.0):
        assert _digamma(x) == pytest.approx(digamma(x), rel=1e-8)
        assert _trigamma(x) == pytest.approx(polygamma(1, x), rel=1e-8)
        assert _inverse_trigamma(_trigamma(x)) == pytest.approx(x, rel=1e-6)


def test_equal_variances_are_pooled_and_different_ones_keep_their_own() -> None:
    rng = np.random.default_rng(0)
    raw = rng.normal(size=(200, 4)).var(axis=1, ddof=1)
    alike, freedom = moderated(raw, 3)
    assert freedom >= 10
    assert alike.std() < 0.3 * raw.std()
    own = rng.normal(size=(200, 4)).var(axis=1, ddof=1) * np.exp(rng.normal(0, 4, 200))
    kept, freedom = moderated(own, 3)
    assert freedom <= 4
    large = own > np.median(own)
    assert np.median(kept[large] / own[large]) > 0.7
