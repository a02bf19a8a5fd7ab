from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nn import metrics
from tests.tuning.fakes import METRICS, a_study
from tuning.analysis import Scores, Summary, best_rates, importance, optimism, tied_with_best, ties
from tuning.export import rate_cells
from tuning.store import COMPLETED, DIVERGED, TrialResult, TrialSpec


def ranked(values: NDArray[Any], unit: str = "repeats", metric: str = "validation_accuracy") -> tuple[Scores, Any]:
    """Scores with the best setting first, and the settings' old places."""
    sign = -1 if metric.endswith("loss") else 1
    order = np.argsort(-sign * values.mean(axis=1), kind="stable")
    return Scores([{"number": int(i)} for i in order], values[order], metric, unit), order


@pytest.mark.parametrize("units", [2, 3, 5, 10])
@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_the_ties_have_the_truly_best_setting_among_them(units: int, spread: float) -> None:
    rng = np.random.default_rng(units)
    truth = np.concatenate([np.zeros(3), -3 * rng.random(20)])
    hits = []
    for _ in range(200):
        noise = np.concatenate([np.ones(3), np.exp(spread * rng.normal(size=20))])
        values = truth[:, None] + noise[:, None] * rng.normal(size=(23, units)) + 5 * rng.normal(size=units)
        scores, order = ranked(values)
        hits.append(0 in order[tied_with_best(scores)])
    assert np.mean(hits) >= 0.92


def test_settings_that_are_clearly_worse_are_not_tied_for_scores_and_losses() -> None:
    rng = np.random.default_rng(0)
    values = np.array([0.0, 0.0, 10.0])[:, None] + 0.1 * rng.normal(size=(3, 5)) + rng.normal(size=5)
    for metric, same in (("validation_accuracy", {2}), ("validation_loss", {0, 1})):
        scores, order = ranked(values, metric=metric)
        tied = tied_with_best(scores)
        assert tied is not None
        assert set(order[tied]) == same


def test_one_column_says_nothing_of_ties_or_optimism() -> None:
    scores, _ = ranked(np.random.default_rng(0).random((4, 1)))
    assert tied_with_best(scores) is None
    assert optimism(scores).value is None
    assert "repeats=5" in optimism(scores).reason


@pytest.mark.parametrize(("settings", "units"), [(10, 2), (10, 5), (50, 5)])
def test_optimism_is_the_expected_maximum_of_the_noise_where_all_settings_are_the_same(
    settings: int, units: int
) -> None:
    rng = np.random.default_rng(0)
    found = [optimism(ranked(rng.normal(size=(settings, units)))[0]).value for _ in range(300)]
    expected = rng.normal(size=(20000, settings)).max(axis=1).mean() / math.sqrt(units)
    assert np.mean(found) == pytest.approx(expected, rel=0.12)  # type: ignore[arg-type]


def test_optimism_is_the_gap_to_the_truth_where_settings_differ_and_0_for_a_clear_winner() -> None:
    rng = np.random.default_rng(1)
    gaps, found = [], []
    for _ in range(1500):
        truth = 0.3 * rng.normal(size=20)
        scores, order = ranked(truth[:, None] + rng.normal(size=(20, 5)))
        gaps.append(scores.values[0].mean() - truth[order[0]])
        found.append(optimism(scores).value)
    assert np.mean(found) == pytest.approx(np.mean(gaps), rel=0.08)  # type: ignore[arg-type]
    clear, _ = ranked(np.array([[1.0], [0.0], [0.1]]) + 0.01 * rng.normal(size=(3, 5)))
    assert optimism(clear).value == pytest.approx(0, abs=1e-12)


GRID = [
    {"learning_rate": rate, "batch_size": size, "optimizer": name, "epsilon": 1}
    for rate, size, name in product((0.01, 0.1, 1.0), (16, 32), ("sgd", "adam"))
]


def test_importance_is_the_exact_share_of_an_additive_function_and_none_for_a_constant() -> None:
    effect = {0.01: 0.0, 0.1: 3.0, 1.0: 1.0, 16: 0.0, 32: 1.0, "sgd": 0.5, "adam": 0.0}
    scores = np.array([effect[s["learning_rate"]] + effect[s["batch_size"]] + effect[s["optimizer"]] for s in GRID])
    variances = np.array([np.var([0, 3, 1]), np.var([0, 1]), np.var([0.5, 0])])
    found = importance(GRID, scores)
    assert found.shares is not None
    assert list(found.shares.values()) == pytest.approx([*(variances / variances.sum())])
    assert found.rest == pytest.approx(0, abs=1e-9)


def test_a_pure_interaction_is_the_rest() -> None:
    scores = np.array([(1 if s["batch_size"] == 16 else -1) * (1 if s["optimizer"] == "sgd" else -1) for s in GRID])
    found = importance(GRID, scores.astype(float))
    assert found.rest == pytest.approx(1)


def test_beside_an_interaction_each_main_effect_is_its_exact_share() -> None:
    main = np.array([{0.01: 0.0, 0.1: 3.0, 1.0: 1.0}[s["learning_rate"]] for s in GRID])
    both = np.array([(1 if s["batch_size"] == 16 else -1) * (1 if s["optimizer"] == "sgd" else -1) for s in GRID])
    found = importance(GRID, main + both)
    assert found.shares is not None
    assert found.shares["learning_rate"] == pytest.approx(main.var() / (main + both).var())
    assert found.rest == pytest.approx(both.var() / (main + both).var())


def test_noise_alone_makes_nothing_important_however_fine_the_bins() -> None:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(60):
        settings: list[Any] = [{"learning_rate": float(a), "l2": float(b)} for a, b in rng.random((40, 2))]
        shares = importance(settings, rng.normal(size=40)).shares
        assert shares is not None
        found.append(list(shares.values()))
    assert np.mean(found) < 0.06


@pytest.mark.parametrize("seed", range(20))
def test_importances_of_drawn_settings_are_shares_that_sum_to_one_with_the_rest(seed: int) -> None:
    rng = np.random.default_rng(seed)
    settings: list[Any] = [
        {"learning_rate": float(10 ** rng.uniform(-4, 0)), "batch_size": int(rng.choice([16, 32])), "l2": float(u)}
        | ({"momentum": float(rng.random())} if u > 0.5 else {})
        for u in rng.random(int(rng.integers(4, 80)))
    ]
    found = importance(settings, rng.normal(size=len(settings)))
    assert found.shares is not None
    assert found.rest is not None
    assert all(0 <= share <= 1 for share in found.shares.values())
    assert sum(found.shares.values()) + found.rest == pytest.approx(1)


def test_importance_of_drawn_settings_is_near_that_of_the_function() -> None:
    rng = np.random.default_rng(0)
    rates, sizes = 10 ** rng.uniform(-3, 0, 150), rng.choice([16, 32, 64], 150)
    settings = [
        {"learning_rate": float(r), "batch_size": int(b), "l2": float(rng.random())}
        for r, b in zip(rates, sizes, strict=True)
    ]
    one, two = -((np.log10(rates) + 1.5) ** 2), sizes / 50
    found = importance(settings, one + two).shares
    assert found is not None
    assert found["learning_rate"] == pytest.approx(one.var() / (one + two).var(), abs=0.1)
    assert found["batch_size"] == pytest.approx(two.var() / (one + two).var(), abs=0.1)
    assert found["l2"] < 0.05


def test_nothing_is_important_where_nothing_varies() -> None:
    assert importance(GRID, np.ones(len(GRID))).shares is None
    assert importance([], np.empty(0)).shares is None


def a_u(best: float, repeats: int, noise: float = 0.1) -> tuple[Scores, list[Summary]]:
    """Scores with a parabola in the decades from the best rate, over rates from 0.001 to 1; the highest diverged."""
    rates = 10 ** np.arange(-3, 0.1, 0.5)
    rng = np.random.default_rng(0)
    values = (
        -(np.log10(rates[:-1, None] / best) ** 2) + noise * rng.normal(size=(6, repeats)) + rng.normal(size=repeats)
    )
    order = np.argsort(-values.mean(axis=1))
    params: list[Any] = [{"learning_rate": float(rates[i]), "batch_size": 16} for i in order]
    summaries = [Summary(p, {}, {}, repeats, COMPLETED, 1) for p in params]
    lost: Any = {"learning_rate": 1.0, "batch_size": 16}
    scores = Scores(params, values[order], "validation_accuracy", "repeats")
    return scores, [*summaries, Summary(lost, {}, {}, repeats, DIVERGED)]


@pytest.mark.parametrize("repeats", [3, 10])
def test_the_best_rate_is_the_vertex_between_those_tried_with_an_interval_that_holds_it(repeats: int) -> None:
    (found,) = best_rates(*a_u(0.02, repeats, noise=0.01))
    assert found.group == {"batch_size": 16}
    assert found.learning_rate == pytest.approx(0.02, rel=0.1)
    assert found.tried == pytest.approx(10**-1.5)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0.02 < found.high
    assert not found.at_edge
    assert ("bootstrap" in found.method) == (repeats >= 5)


def test_a_best_rate_at_the_edge_is_marked_and_one_repeat_has_no_interval() -> None:
    (low,) = best_rates(*a_u(1e-5, 6))
    assert (low.at_edge, low.learning_rate) == (True, low.tried)
    (beside,) = best_rates(*a_u(0.3, 6))  # the next rate diverged: it is not the highest that was tried
    assert not beside.at_edge
    (alone,) = best_rates(*a_u(0.02, 1))
    assert (alone.low, alone.high) == (None, None)
    scores, summaries = a_u(0.02, 6)
    (single,) = best_rates(scores.rows([0]), summaries[:1])
    assert not single.at_edge
    assert best_rates(Scores([{"momentum": 0.9}], scores.values[:1], "validation_accuracy", "repeats"), []) == []


def test_beside_a_cliff_nothing_tells_where_the_best_rate_lies_and_the_interval_reaches_to_its_foot() -> None:
    rates = 10.0 ** np.arange(-3, 0.1, 0.5)
    noise = 0.01 * np.random.default_rng(0).normal(size=(7, 6))
    params: list[Any] = [{"learning_rate": float(rate)} for rate in rates]

    def found(curve: Any) -> Any:
        order = np.argsort(-curve)
        summaries = [Summary(params[i], {}, {}, 6, COMPLETED, 1) for i in order]
        scores = Scores([params[i] for i in order], (curve[:, None] + noise)[order], "validation_r2", "repeats")
        return best_rates(scores, summaries, ())[0]

    decades = np.log10(rates) + 1.2  # the best is at 0.063, between 0.03 and 0.1
    smooth = found(-(decades**2))
    cliff = found(np.where(decades > 0, -3.0, 0.5 * decades))
    assert (smooth.fits, cliff.fits) == (True, False)
    assert smooth.learning_rate == pytest.approx(10**-1.2, rel=0.1)
    assert smooth.high < 0.12
    assert cliff.learning_rate == cliff.tried == pytest.approx(10**-1.5)
    assert cliff.low < 10**-1.2 < cliff.high
    assert "no parabola fits" in cliff.method
    assert rate_cells(cliff)[-1] == "between these, nothing tells where"
    assert rate_cells(smooth)[-1] == ""
    # Bent the same way on both sides, but four times as much above the best rate: no parabola either.
    steeper = found(np.where(decades > 0, -4.0, -1.0) * decades**2)
    assert not steeper.fits
    assert steeper.low < 10**-1.2 < steeper.high


def test_a_rate_of_zero_has_no_logarithm_and_still_a_best_rate() -> None:
    values = np.array([[0.9] * 6, [0.8] * 6, [0.1] * 6])
    params: list[Any] = [{"learning_rate": rate} for rate in (0.1, 1.0, 0.0)]
    summaries = [Summary(p, {}, {}, 6, COMPLETED, 1) for p in params]
    (found,) = best_rates(Scores(params, values, "validation_accuracy", "repeats"), summaries, ())
    assert found.learning_rate == 0.1


def test_best_rates_are_grouped_by_any_parameters_and_unknown_ones_are_refused() -> None:
    space = {"learning_rate": "0.001:1:log", "batch_size": "16,32", "momentum": "0,0.9"}
    study = a_study(space=space, repeats=2).run()
    assert [rate.group for rate in study.best_rates(by="momentum")] == [{"momentum": 0}, {"momentum": 0.9}]
    assert len(study.best_rates(by=("momentum", "batch_size"))) == 4
    assert [rate.group for rate in study.best_rates(by=())] == [{}]
    assert study.best_rates() == study.best_rates(by="batch_size") == study.analysis().learning_rates
    for wrong in ("momentun", ["batch_size", "momentun"]):
        with pytest.raises(ValueError, match="one of batch_size, momentum, but got 'momentun'; did you mean"):
            study.best_rates(by=wrong)
    with pytest.raises(ValueError, match="nothing but the learning rate"):
        a_study(space={"learning_rate": "0.1,1"}).run().best_rates(by="momentum")


def test_three_repeats_tell_a_setting_at_chance_from_a_good_one_however_many_there_are() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        truth = np.concatenate([rng.uniform(0.7, 0.95, 29), [0.1]])
        scores, order = ranked(rng.binomial(200, truth[:, None], (30, 3)) / 200)
        tied = tied_with_best(scores)
        assert tied is not None
        assert not tied[order == 29].any()


def test_the_repeats_needed_are_told_and_tell_as_often_as_they_promise() -> None:
    rng = np.random.default_rng(0)
    few = ties(ranked(np.array([[0.8, 0.5, 0.6], [0.5, 0.6, 0.1]]), metric="validation_r2")[0])
    assert few is not None
    assert few.same.all()
    assert 3 < few.needed[1] < 30
    told = []
    gap = np.array([[0.7], [0.0]])  # 8 repeats by the textbook, for noise of 0.5 each way: 2·0.25·(1.645 + 0.842)²/0.49
    for _ in range(300):
        found = ties(ranked(gap + 0.5 * rng.normal(size=(2, 8)), metric="validation_r2")[0])
        assert found is not None
        told.append(not found.same[1])
    assert 0.7 < np.mean(told) < 0.9
    same = ties(Scores([{"a": 1}, {"a": 2}], np.array([[0.5, 0.5], [0.5, 0.5]]), "validation_accuracy", "repeats"))
    assert same is not None
    assert same.needed.tolist() == [0, 0]  # no number of repeats tells what is the same


def test_the_interval_of_the_optimism_holds_its_value() -> None:
    rng = np.random.default_rng(0)
    for size in (1, 2, 20):
        found = optimism(ranked(rng.normal(size=(size, 4)), metric="validation_r2")[0])
        assert found.value is not None
        assert found.low is not None
        assert found.high is not None
        assert found.low <= found.value <= found.high


def objective(spec: TrialSpec) -> TrialResult:
    """Accuracy depends on the fold above all, and on the learning rate; the highest rate diverges."""
    rate, fold = float(spec.params["learning_rate"]), spec.fold or 0  # type: ignore[arg-type]
    if rate >= 1:
        return TrialResult(DIVERGED, {}, {}, 0, 0.1, diverged_step=3)
    accuracy = 0.5 + 0.08 * fold + 0.05 * math.log10(rate) + 1e-3 * (spec.seed % 7)
    curves = {name: np.linspace(2, 1, 8) for name in METRICS}
    return TrialResult(COMPLETED, dict(zip(METRICS, (1.0, 1.0, accuracy), strict=True)), curves, 8, 0.1)


def test_folds_are_the_units_and_their_repeats_are_averaged() -> None:
    analysis = a_study(objective, repeats=4, folds=3, epochs=8).run().analysis()
    assert analysis.interval is not None
    assert analysis.interval.method == "score interval by Student's t over 3 folds"
    # Counting the 12 trials as independent would give a third of this.
    assert analysis.interval.high - analysis.interval.low > 0.3


def test_a_study_with_one_repeat_says_that_it_knows_no_interval() -> None:
    analysis = a_study(objective, epochs=8).run().analysis()
    assert analysis.interval is None
    assert analysis.tied is None
    assert analysis.optimism.value is None
    assert all("give repeats=5" in text for text in (analysis.interval_reason, analysis.tied_reason))


def test_one_repeat_on_data_has_the_interval_of_a_held_out_share_and_names_it() -> None:
    from tuning import sweep

    analysis = sweep("iris", {"learning_rate": [0.01, 0.1]}, epochs=5, progress=False).analysis()
    assert analysis.interval is not None
    assert "Wilson" in analysis.interval.method
    assert "30 held-out examples" in analysis.interval.method


def test_a_study_in_which_all_diverged_concludes_nothing_and_fails_nowhere() -> None:
    study = a_study(objective, space={"learning_rate": "1,2"}, repeats=2, epochs=8).run()
    analysis = study.analysis()
    assert (analysis.best, analysis.interval, analysis.tied) == (None, None, None)
    assert analysis.verdicts == {"diverged": 4}
    assert "diverged" in str(study.table())


def test_more_trials_change_the_analysis() -> None:
    study = a_study(objective, repeats=2, epochs=8)
    assert study.analysis().best is None
    assert study.run().analysis().best is not None


def test_the_bounds_of_scores_are_those_of_their_metric_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors between 0 and 1 are no shares: an interval may reach above 1."""
    metric = metrics.Metric("error", None, larger_is_better=False, bounds=(0, np.inf))
    monkeypatch.setitem(metrics.METRICS, "error", metric)
    monkeypatch.setitem(metrics.METRICS, "gain", metrics.Metric("gain"))
    known = {"accuracy": "share", "f1_macro": "share", "loss": "loss", "r2": "r2", "error": "loss", "gain": ""}
    values = np.array([[0.2, 0.9, 0.4]])
    kinds = {name: Scores([{"a": 1}], values, f"validation_{name}", "repeats").kind for name in known}
    assert kinds == known
