"""The laws that every method keeps when it really trains; a new one has to be added to METHODS only."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.tuning.fakes import Clock, a_study, files, noisy, same_trials
from tuning import Study, sweep
from tuning.methods import METHODS, make_sampler
from tuning.run import Limits
from tuning.space import Space
from tuning.store import TrialResult, TrialSpec
from tuning.study import StudyInterrupted

pytest.importorskip("optuna", reason="needs the extra optuna")

SPACE: dict[str, Any] = {
    "learning_rate": "1e-2:3:log",
    "optimizer": {"sgd": {"momentum": [0.0, 0.9]}, "adam": {}},
    "schedule": [None, "cosine"],
    "hidden_units": 4,
}
SETTINGS = {"points": 2}
LIMITED = {"random", "sobol", "tpe", "hyperband", "refine"}


def arguments(method: str, **more: Any) -> dict[str, Any]:
    """What makes a small sweep with this method: 12 to 16 settings with 2 repeats and 2 folds."""
    given: dict[str, Any] = {"epochs": 4, "repeats": 2, "folds": 2, "seed": 5}
    if method in LIMITED:
        given["n_trials"] = 15 * 4
    if "points" in METHODS[method].own_options():
        given["points"] = 2
    if METHODS[method].budgets:
        given["eta"] = 2
    return {"data": "iris", "space": SPACE, "method": method, **given, **more}


@pytest.fixture(params=sorted(METHODS))
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        yield executor


def test_same_bits_for_one_and_two_threads_and_a_process_pool(method: str, pool: ProcessPoolExecutor) -> None:
    alone = sweep(**arguments(method), n_jobs=1)
    assert {trial.state for trial in alone.trials} >= {"completed"}
    assert 40 <= len(alone.trials) <= 64
    assert {(trial.repeat, trial.fold) for trial in alone.trials} == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert same_trials(alone, sweep(**arguments(method), n_jobs=2))
    assert same_trials(alone, sweep(**arguments(method), executor=pool))


FAKE: dict[str, Any] = {"space": {"learning_rate": "0.001:1:log", "batch_size": "16,32"}, "epochs": 4, "repeats": 2}


def fake(method: str) -> tuple[dict[str, Any], Limits]:
    """A definition for objectives that cost nothing, and limits that end it."""
    budgets, limited = METHODS[method].budgets, METHODS[method].budgets or method == "grid"
    options = {"points": 4, "rounds": 4} if method == "refine" else {"points": 4} if method == "grid" else {}
    if budgets:
        options = {"eta": 2, "n_settings": 16}
    return {**FAKE, "method": method, "method_options": options}, Limits(None if limited else 32)


@pytest.mark.parametrize("stop_at", [0, 3, 15, 21])
def test_interrupted_anywhere_and_resumed_is_uninterrupted(method: str, stop_at: int, tmp_path: Path) -> None:
    changes, limits = fake(method)
    whole = a_study(noisy, None, limits, **changes).run(n_jobs=1)
    calls = iter(range(10_000))

    def interrupting(spec: TrialSpec) -> TrialResult:
        if next(calls) == stop_at:
            raise KeyboardInterrupt
        return noisy(spec)

    try:
        a_study(interrupting, tmp_path / "a.db", limits, **changes).run(n_jobs=2).close()
    except StudyInterrupted:
        pass
    else:
        assert len(whole.trials) <= stop_at
    assert same_trials(whole, a_study(noisy, tmp_path / "a.db", limits, **changes).run(n_jobs=2))


def test_after_a_timeout_a_target_and_a_total_of_epochs_the_rest_follows(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes, limits = fake(method)
    whole = a_study(noisy, None, limits, **changes).run(n_jobs=1)
    clock = Clock()
    monkeypatch.setattr("tuning.run.runner.time", clock)

    def slow(spec: TrialSpec) -> TrialResult:
        clock.now += 3.0
        return noisy(spec)

    path = tmp_path / "a.db"
    stops = [
        Limits(limits.n_trials, 20.0),
        Limits(limits.n_trials, target=0.0),
        Limits(limits.n_trials, total_epochs=60),
    ]
    reasons = ["timeout", "target", "total_epochs"]
    for stop, reason in zip(stops, reasons, strict=True):
        study = a_study(slow, path, stop, **changes).run(n_jobs=1)
        assert study.stopped == reason
        assert len(study.trials) < len(whole.trials) or METHODS[method].budgets
        study.close()
    assert same_trials(whole, a_study(noisy, path, limits, **changes).run(n_jobs=2))


def test_ctrl_c_between_the_threads_of_a_round_loses_nothing(method: str, tmp_path: Path) -> None:
    changes, limits = fake(method)
    whole = a_study(noisy, None, limits, **changes).run(n_jobs=1)
    calls = iter(range(10_000))

    def pressing(spec: TrialSpec) -> TrialResult:
        if next(calls) == 9:
            os.kill(os.getpid(), signal.SIGINT)
        return noisy(spec)

    with pytest.raises(StudyInterrupted):
        a_study(pressing, tmp_path / "a.db", limits, **changes).run(n_jobs=2)
    assert same_trials(whole, a_study(noisy, tmp_path / "a.db", limits, **changes).run(n_jobs=1))


def test_a_number_of_trials_is_kept_and_can_be_raised(method: str, tmp_path: Path) -> None:
    if METHODS[method].budgets:
        assert len(sweep(**arguments(method, n_trials=21)).trials) == 20
        return
    few = sweep(**arguments(method, n_trials=23, storage=tmp_path / "a.db"))
    assert len(few.trials) == 20
    few.close()
    more = Study.open(tmp_path / "a.db").resume(n_trials=41)
    assert len(more.trials) == 40
    assert same_trials(more, sweep(**arguments(method, n_trials=40)))


def test_nan_never_wins(method: str) -> None:
    changes, limits = fake(method)

    def objective(spec: TrialSpec) -> TrialResult:
        result = noisy(spec)
        if float(spec.params["learning_rate"]) > 0.05:  # type: ignore[arg-type]
            for curve in result.curves.values():
                curve[:] = float("nan")
            result.metrics.update(dict.fromkeys(result.metrics, float("nan")))
        return result

    best = a_study(objective, None, limits, **changes).run(n_jobs=2).best
    assert float(best.params["learning_rate"]) <= 0.05  # type: ignore[arg-type]
    assert 0 <= best.metrics["validation_accuracy"] <= 1


@pytest.mark.parametrize("space", [{}, {"optimizer": {"sgd": {"learning_rate": 0.1}}, "learning_rate": 0.1}])
def test_an_empty_or_contradictory_space_is_refused(method: str, space: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"at least one parameter|must stand beside"):
        sweep(**arguments(method, space=space, storage=tmp_path / "a.db"))
    assert files(tmp_path) == []


def test_a_study_that_would_go_on_for_ever_is_refused(method: str) -> None:
    sampler, space = make_sampler(method), Space({"learning_rate": "1e-3:1:log"})
    if not sampler.endless(space):
        assert method not in ("random", "sobol", "tpe")
        return
    with pytest.raises(ValueError, match=f"method {method} over a continuous range must have an end"):
        Limits().check_end(sampler, space, method)
    for end in (Limits(timeout=1.0), Limits(target=1.0), Limits(total_epochs=9)):
        end.check_end(sampler, space, method)


def test_momentum_is_searched_where_there_is_momentum_however_it_is_written(method: str) -> None:
    flat = {"learning_rate": "0.01:0.1:log", "optimizer": "sgd,adam", "momentum": "0:0.9", "hidden_units": 4}
    nested = {"learning_rate": "0.01:0.1:log", "optimizer": "sgd(momentum=0:0.9),adam", "hidden_units": 4}
    one, two = (sweep(**arguments(method, space=space, folds=None, repeats=1, n_trials=12)) for space in (flat, nested))
    assert same_trials(one, two)
    assert {trial.params["optimizer"] for trial in one.trials} == {"sgd", "adam"}
    assert all(("momentum" in t.params) == (t.params["optimizer"] == "sgd") for t in one.trials)
    assert all(trial.error is None for trial in one.trials)


def test_the_automatic_range_is_found_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"epochs": 2, "points": 3, "storage": tmp_path / "a.db"}
    space = {"learning_rate": "auto", "hidden_units": [4, 8]}
    first = sweep("iris", space, **options)
    low, high = (float(end) for end in first.definition.space["learning_rate"].split(":")[:2])
    assert 1e-6 < low < 0.1 < high
    first.close()

    def never(*arguments: Any, **options: Any) -> None:
        raise AssertionError("must not be tested again")

    monkeypatch.setattr("tuning.learning_rate.range_test", never)
    again = sweep("iris", space, **options)
    assert (again.new_trials, again.space) == (0, first.space)
    again.close()
    with pytest.raises(ValueError, match=r"learning_rate .* there and 0.1:1 here"):
        sweep("iris", {**space, "learning_rate": "0.1:1"}, **options)


def test_the_automatic_range_of_each_optimizer_is_its_own() -> None:
    parts = {"sgd": {"learning_rate": "auto"}, "adam": {"learning_rate": "auto"}}
    study = sweep("iris", {"optimizer": parts, "hidden_units": 4}, epochs=2, points=2)
    sgd, adam = ({t.params["learning_rate"] for t in study.trials if t.params["optimizer"] == name} for name in parts)
    assert len(sgd) == len(adam) == 2
    assert max(adam) < max(sgd)  # type: ignore[type-var]
    with pytest.raises(ValueError, match="learning_rate must be auto or values"):
        sweep("iris", {"learning_rate": ["auto", 0.1]})
