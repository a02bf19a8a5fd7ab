from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nn import MLP, SGD, Adam, Dataset, load_dataset, sharpness, train
from nn.optimizers import Optimizer
from tuning import sweep
from tuning.cli.main import main
from tuning.learning_rate import RangeTest, StabilityLimit, range_test, stability_limit
from tuning.learning_rate.range_test import _smoothed, learning_rate_interval, suggest_range
from tuning.learning_rate.stability import _limit
from tuning.learning_rate.trainings import train_with_rates
from tuning.objective import Objective

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 5))
LINEAR = Dataset(X, X @ RNG.normal(size=5), task="regression")
DIGITS = load_dataset("digits").split()
NET = MLP((64, 32, 10))


@pytest.mark.parametrize("init", ["zeros", "he"])
@pytest.mark.parametrize("start", [0.01, 0.1, 50.0])
def test_on_a_quadratic_the_stability_limit_is_two_over_the_sharpness(init: str, start: float) -> None:
    model = MLP((5, 1), dtype="float64", init=init)
    expected = 2 / sharpness(model, model.init(), LINEAR.X, LINEAR.y)
    found = stability_limit(model, LINEAR, SGD(start), batch_size="full", seeds=2)
    assert found.limits == pytest.approx([expected] * 2, rel=0.01)
    assert found.interval is not None
    assert found.interval[0] <= found.limit <= found.interval[1]


def test_momentum_moves_the_stability_limit_of_a_quadratic_as_polyak_says() -> None:
    model = MLP((5, 1), dtype="float64", init="zeros")
    expected = 2 * (1 + 0.5) / sharpness(model, model.init(), LINEAR.X, LINEAR.y)
    found = stability_limit(model, LINEAR, SGD(0.1, momentum=0.5), batch_size="full", seeds=1, steps=1000)
    assert found.limit == pytest.approx(expected, rel=0.01)
    assert found.interval is None


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_mini_batches_end_below_their_start_under_the_limit_and_above_it_over_the_limit(activation: str) -> None:
    net = NET.replace(activation=activation)
    found = stability_limit(net, DIGITS, SGD(0.1), batch_size=32, seeds=3, steps=200)
    for seed, limit in zip(found.seeds, found.limits, strict=True):
        ends = []
        for rate in (0.7 * limit, 1.5 * limit):  # nearer to it, mini-batches make stability come and go
            run = train_with_rates(net, DIGITS, SGD(rate), np.full(200, rate), 32, seed, None)
            assert run.history.step_loss is not None
            ends.append(run.status == "diverged" or run.history.step_loss[-20:].mean() > run.state.start_loss)
        assert ends == [False, True]
    again = stability_limit(net, DIGITS, SGD(0.1), batch_size=32, seeds=[2, 1, 0], steps=200)
    assert again.limits == found.limits[::-1]


def test_limits_that_do_not_exist_are_infinite_or_0_and_no_exception() -> None:
    assert _limit(lambda rate: True, 0.1, 0.01) == np.inf
    assert _limit(lambda rate: False, 0.1, 0.01) == 0.0
    assert _limit(lambda rate: rate < 3, 0.1, 0.001) == pytest.approx(3, rel=0.001)
    assert _limit(lambda rate: rate < 3, 1e5, 0.001) == pytest.approx(3, rel=0.001)


def test_a_limit_that_the_seeds_do_not_agree_on_says_that_it_cannot_tell() -> None:
    wine = load_dataset("wine").split()
    wide = stability_limit(MLP((13, 16, 3), "tanh"), wine, SGD(0.1), steps=200, seeds=3, tolerance=0.1)
    assert wide.interval is not None
    assert wide.interval[1] > 100 * wide.interval[0]
    assert wide.doubt.startswith("stability comes and goes, the limits of 3 seeds lie between ")
    assert str(wide).endswith(f" seeds, 200 steps); can't tell: {wide.doubt}")
    sure = stability_limit(NET, DIGITS, SGD(0.1), steps=50, seeds=2, tolerance=0.5)
    assert sure.doubt == ""
    assert "can't" not in str(sure)


def test_a_network_that_has_died_is_stable_and_the_limit_says_that_it_does_not_learn() -> None:
    labels = Dataset(np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 2)
    dead = MLP((3, 4, 2), "relu").init(0)
    dead[12:16] = -1e6  # the biases of the hidden units
    found = stability_limit(MLP((3, 4, 2), "relu"), labels, SGD(0.1), steps=100, seeds=2, theta=dead, tolerance=0.5)
    assert all(part > 0.9 for part in found.left)
    assert found.doubt == "below it 2 of 2 seeds keep over 90% of their loss: stable, but not learning"


def test_seeds_without_a_limit_are_counted() -> None:
    def limit(*limits: float) -> StabilityLimit:
        return StabilityLimit(limits[0], None, limits, tuple(range(len(limits))), 32, 100, 0.1, (0.1,) * len(limits))

    assert limit(0.5, 0.0, np.inf).doubt == "2 of 3 seeds have no limit between 1e-09 and 1e+06"
    assert limit(0.5, 0.6).doubt == ""


def test_a_range_test_does_not_depend_on_the_order_of_its_seeds() -> None:
    one = range_test(NET, DIGITS, seeds=[0, 1, 2])
    other = range_test(NET, DIGITS, seeds=[2, 0, 1])
    assert np.array_equal(one.losses[[2, 0, 1]], other.losses)
    assert (one.suggestion, one.search_range) == (other.suggestion, other.search_range)


def test_the_loss_stands_beside_the_rate_of_its_own_update() -> None:
    test = range_test(NET, DIGITS, low=1e-4, high=1.0, steps=50, seeds=1, batch_size="full")
    theta = NET.init(0)
    assert test.losses[0, 0] == pytest.approx(NET.for_task("classification").loss(theta, *examples()), rel=1e-5)
    run = train(NET, DIGITS.train, SGD(float(test.rates[0])), batch_size="full", epochs=1, theta=theta)
    assert test.losses[0, 1] == pytest.approx(NET.for_task("classification").loss(run.theta, *examples()), rel=1e-5)
    assert (test.rates[0], test.rates[-1]) == pytest.approx((1e-4, 1.0))


def examples() -> Any:
    return DIGITS.train.X, DIGITS.train.targets


def test_seeds_differ_in_their_batches_and_not_only_in_their_start() -> None:
    test = range_test(NET, DIGITS, seeds=2, theta=NET.init(0))
    assert not np.array_equal(test.losses[0], test.losses[1])
    objective = Objective.prepare("diabetes")
    assert len({suggest_range(objective, seed=seed, seeds=1) for seed in range(6)}) > 1


def test_smoothing_has_no_pull_towards_its_own_start() -> None:
    assert _smoothed(np.full(30, 2.3), np.full(30, 2.0), 5.0) == pytest.approx(np.full(30, 2.3))


@pytest.mark.parametrize("bad", [np.nan, np.inf, 100.0])
def test_a_curve_ends_for_good_where_its_loss_is_no_number_or_far_above_its_start(bad: float) -> None:
    losses = np.array([2.0, 1.9, bad, 1.0, 1.0])
    assert np.isposinf(_smoothed(losses, np.full(5, 2.0), 0.1)).tolist() == [False, False, True, True, True]


def curve(middle: list[float], momentum: float = 0.0) -> RangeTest:
    """Return a test at the rates 1, 2, 3, … of one seed whose smoothed loss is this."""
    smoothed = np.array([middle])
    return RangeTest(np.arange(1.0, len(middle) + 1), smoothed, smoothed, (0,), "SGD", 8, momentum)


def test_the_edge_is_the_last_rate_whose_loss_is_not_above_the_start() -> None:
    assert curve([2.0, 1.0, 2.1, 1.5, 2.0, 2.5, np.inf]).edge == 5.0
    assert curve([2.0, 1.0, 1.5]).edge == 3.0
    assert curve([2.0, 2.1, 2.2]).edge is None
    assert curve([2.0, 2.1, 2.2]).suggestion is None


@pytest.mark.parametrize(("optimizer", "left"), [(SGD(), 1.0), (SGD(momentum=0.9), 0.1), (Adam(beta1=0.5), 0.5)])
def test_the_suggestion_is_a_tenth_of_the_edge_less_what_momentum_adds(optimizer: Optimizer, left: float) -> None:
    test = range_test(NET, DIGITS, optimizer, seeds=3)
    assert test.edge is not None
    assert test.suggestion == pytest.approx(left * test.edge / 10)
    assert test.search_range is not None
    assert test.search_range[0] <= test.suggestion <= test.search_range[1]


@pytest.mark.parametrize("name", ["wine", "breast_cancer", "moons", "diabetes"])
@pytest.mark.parametrize("optimizer", [SGD(0.1), SGD(0.1, momentum=0.9), Adam(0.1)], ids=["sgd", "momentum", "adam"])
def test_a_smoothed_loss_stays_within_the_losses_it_smooths(name: str, optimizer: Optimizer) -> None:
    data = load_dataset(name).split().train
    model = MLP((data.n_features, 32, data.n_outputs))
    test = range_test(model, data, optimizer, seeds=3)
    for losses, smoothed in zip(test.losses, test.smoothed, strict=True):
        known = smoothed[np.isfinite(smoothed)]
        assert 0 <= min(losses.min(), test.smoothed[:, 0].max()) <= known.min()


@given(
    st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)), min_size=1, max_size=30),
    st.floats(0.1, 20),
)
def test_no_smoothing_leaves_the_range_of_its_losses(pairs: list[tuple[float, float]], reach: float) -> None:
    losses, still = np.array(pairs).T
    known = _smoothed(losses, still, reach)
    known = known[np.isfinite(known)]
    both = np.concatenate([losses, still])
    assert ((both.min() <= known) & (known <= both.max())).all()


def test_a_loss_that_still_falls_at_the_end_after_hardly_any_fall_gives_no_suggestion(
    capsys: pytest.CaptureFixture[str],
) -> None:
    low = curve([2.0, 1.9999, 1.9997, 1.9996])
    assert low.still_falling
    assert low.suggestion is None
    assert low.search_range is not None
    for fine in ([2.0, 1.9, 1.2, 0.9], [2.0, 1.9, 1.95, 2.1], [2.0, 1.99, 1.98, 1.99, 2.1]):
        assert not curve(fine).still_falling
        assert curve(fine).suggestion is not None
    assert main(["lr-range", "wine", "--high", "1e-4", "--steps", "20", "--seeds", "1"]) == 0
    out = capsys.readouterr().out
    assert "still falling at the end: raise --high" in out
    assert "suggestion" not in out


def test_a_loss_that_hardly_moves_in_the_test_does_not_mislead_the_suggestion() -> None:
    spirals = load_dataset("spirals").split(seed=7)
    test = range_test(MLP((2, 32, 2)), spirals, SGD(), batch_size=32, seeds=range(70, 75))
    assert test.suggestion is not None
    space = {"learning_rate": "1e-3:10:log", "hidden_units": 32}
    found = sweep("spirals", space, points=9, metric="validation_loss", repeats=2, seed=7, progress=False)
    assert 1 / 5 < test.suggestion / found.best.params["learning_rate"] < 5


def test_where_nothing_moves_the_smoothed_loss_is_flat_though_batches_differ() -> None:
    test = range_test(NET, DIGITS, low=1e-12, high=1e-9, steps=60, batch_size=8)
    for row in test.smoothed:
        assert row == pytest.approx(np.full(60, row[0]), rel=1e-3)
    assert test.end is None


def test_data_and_model_are_left_as_they_were() -> None:
    before, theta = DIGITS.train.X.copy(), NET.init(3)
    kept = theta.copy()
    range_test(NET, DIGITS, Adam(), seeds=2, theta=theta)
    stability_limit(NET, DIGITS, SGD(0.1), seeds=1, steps=20, theta=theta)
    assert np.array_equal(DIGITS.train.X, before)
    assert np.array_equal(theta, kept)


@pytest.mark.parametrize("scale", [1e4, 1e12])
def test_a_start_that_diverges_at_once_is_a_result(scale: float) -> None:
    data = Dataset(scale * X, LINEAR.y, task="regression")
    test = range_test(MLP((5, 8, 1)), data, low=1.0, high=10.0, steps=20)
    assert test.ended == 5
    assert (test.minimum, test.suggestion, test.search_range) == (None, None, None)
    assert stability_limit(MLP((5, 8, 1)), data, steps=20, seeds=1).limit < 1e-3


def test_the_search_range_holds_the_best_rate_and_the_suggestion_trains_well() -> None:
    for data, hidden, optimizer in (("digits", 32, SGD()), ("digits", 32, Adam()), ("diabetes", 16, SGD())):
        split = load_dataset(data).split()
        model = MLP((split.train.n_features, hidden, split.train.n_outputs))
        test = range_test(model, split, optimizer, batch_size=32)
        assert test.search_range is not None
        assert test.suggestion is not None
        losses = {}
        for rate in [*np.logspace(-5, 1, 13), test.suggestion]:
            run = train(model, split, dataclasses.replace(optimizer, learning_rate=float(rate)), epochs=20)
            losses[float(rate)] = run.metrics["validation_loss"] if run.status == "completed" else np.inf
        best = min(losses, key=lambda rate: losses[rate])
        assert test.search_range[0] < best < test.search_range[1]
        assert losses[test.suggestion] < 3 * losses[best]


def test_suggest_range_spans_all_settings_and_is_the_same_again() -> None:
    objective = Objective.prepare("digits")
    each = [suggest_range(objective, {"batch_size": size}) for size in (16, 128)]
    both = suggest_range(objective, [{"batch_size": 16, "learning_rate": 9.0, "schedule": "step"}, {"batch_size": 128}])
    assert both == (min(low for low, _ in each), max(high for _, high in each))
    assert suggest_range(objective) == suggest_range(objective, [{}])
    assert suggest_range(objective, seed=5)[0] < 0.1 < suggest_range(objective, seed=5)[1]


def test_suggest_range_says_when_there_is_nothing_to_find() -> None:
    still = Dataset(X, np.zeros(200), task="regression").split(scale=False)
    with pytest.raises(ValueError, match="must find a rate"):
        suggest_range(Objective.prepare(still), {"init": "zeros"})


def test_the_interval_of_a_studys_best_rate_holds_it_and_the_best_rate_tried() -> None:
    study = sweep("iris", {"learning_rate": "1e-4:1:log", "batch_size": [8, 16]}, epochs=10, repeats=4, progress=False)
    found = learning_rate_interval(study)
    assert found.tried == study.best.params["learning_rate"]
    assert found.low is not None
    assert found.high is not None
    assert 1e-4 < found.low <= found.learning_rate <= found.high
    with pytest.raises(ValueError, match="learning_rate"):
        learning_rate_interval(sweep("iris", {"batch_size": [8, 16]}, epochs=2, progress=False))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"low": 1.0, "high": 0.1}, "low must be below high"),
        ({"low": 0.0}, "low must be"),
        ({"steps": 3}, "steps must be"),
        ({"seeds": 0}, "seeds must be"),
        ({"seeds": [1, 1]}, "different seeds"),
        ({"batch_size": 5000}, "between 1 and the 1,078"),
        ({"optimizer": "sgd"}, "optimizer must be one such as"),
        ({"data": 3}, "data must be a Split"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(changes: dict[str, Any], words: str) -> None:
    arguments = {"model": NET, "data": DIGITS, "optimizer": None, **changes}
    with pytest.raises((ValueError, TypeError), match=words) as caught:
        range_test(arguments.pop("model"), arguments.pop("data"), arguments.pop("optimizer"), **arguments)
    assert "\n" not in str(caught.value)
    if not {"low", "high"} & set(changes):
        arguments = {"model": NET, "data": DIGITS, "optimizer": None, **changes}
        with pytest.raises((ValueError, TypeError), match=words):
            stability_limit(arguments.pop("model"), arguments.pop("data"), arguments.pop("optimizer"), **arguments)


def test_the_command_prints_a_table_and_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lr-range", "digits", "--hidden-units", "32", "--batch-size", "32"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "suggestion: --learning-rate" in out
    assert "half of the seeds have diverged" in out


def test_the_command_speaks_json_and_csv_without_nan(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["lr-range", "iris", "--seeds", "2", "--steps", "50", "--high", "1000"]
    assert main([*words, "--format", "json", "--limit"]) == 0

    def refuse(name: str) -> None:
        raise AssertionError(name)

    found = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert len(found["rates"]) == len(found["middle"]) == 50
    assert found["search_range"][0] < found["suggestion"] < found["search_range"][1]
    assert {"limit", "interval", "limits", "doubt"} == set(found["stability_limit"])
    assert main([*words, "--format", "csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "learning_rate,loss,band_low,band_high"
    assert len(lines) == 51
    assert "nan" not in " ".join(lines)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--low", "1", "--high", "0.1"], "low must be below high"),
        (["--batch-size", "0"], "--batch-size must be between 1 and the 90"),
        (["--learning-rate", "0.1"], "must go without --learning-rate"),
        (["--hidden-units", "8,16"], "must be one value"),
        (["--steps", "x"], "must be a whole number"),
        (["--format", "jsn"], "did you mean 'json'"),
        (["--seed", "1"], "did you mean '--seeds'"),
    ],
)
def test_errors_of_the_command_are_one_line_with_status_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["lr-range", "iris", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert message in err
