from __future__ import annotations

import numpy as np
import pytest
from scipy.special import stdtrit
from scipy.stats import binomtest, ttest_1samp

from tuning.analysis import mean_intervals, share_interval
from tuning.analysis.intervals import student_t_quantile
from tuning.analysis.variances import _digamma, _inverse_trigamma, _trigamma, moderated


def test_the_same_scores_give_the_same_interval_and_one_value_none() -> None:
    values = np.random.default_rng(0).random((3, 7))
    assert np.array_equal(mean_intervals(values, "share"), mean_intervals(values.copy(), "share"))
    assert np.array_equal(mean_intervals(values, "share")[1:2], mean_intervals(values[1:2], "share"))
    assert np.isnan(mean_intervals(values[:, :1])).all()


@pytest.mark.parametrize("repeats", [2, 3, 5, 20])
@pytest.mark.parametrize("examples", [None, 30])
def test_intervals_of_accuracies_stay_within_0_and_1_hold_the_mean_and_have_a_width(
    repeats: int, examples: int | None
) -> None:
    rng = np.random.default_rng(repeats)
    values = np.concatenate([rng.binomial(30, p, (50, repeats)) / 30 for p in (0, 0.03, 0.5, 0.97, 1)])
    low, high = mean_intervals(values, "share", examples).T
    assert (low >= 0).all()
    assert (high <= 1).all()
    assert (low <= values.mean(axis=1) + 1e-12).all()
    assert (high >= values.mean(axis=1) - 1e-12).all()
    assert (high - low > 1e-3).all()  # 600 of 600 leave 0.6 %


def test_repeats_that_are_all_the_same_are_surer_the_more_examples_there_are() -> None:
    values = np.ones((1, 5))
    widths = [float(np.ptp(mean_intervals(values, "share", examples))) for examples in (None, 30, 3000)]
    assert widths == sorted(widths, reverse=True)


def test_intervals_of_losses_are_above_0_those_of_r2_below_1_and_mirrored() -> None:
    losses = np.random.default_rng(0).gamma(0.5, size=(200, 3))
    low, high = mean_intervals(losses, "loss").T
    assert (low >= 0).all()
    assert mean_intervals(1 - losses, "r2") == pytest.approx(np.stack([1 - high, 1 - low], axis=1))


def test_without_bounds_the_interval_is_students() -> None:
    values = np.random.default_rng(0).normal(size=(1, 6))
    known = ttest_1samp(values[0], 0).confidence_interval(0.95)
    assert mean_intervals(values)[0] == pytest.approx([known.low, known.high])


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
