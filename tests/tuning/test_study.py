from __future__ import annotations

import math
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from tests.tuning.fakes import Clock, a_study, noisy, same_trials, scored
from tuning.run import Limits, Workers, runner
from tuning.run.workers import QUEUE_PER_WORKER
from tuning.store import DIVERGED, TrialResult, TrialSpec, seed_of
from tuning.study import Study, StudyInterrupted


def test_same_bits_for_any_number_of_threads_and_any_executor() -> None:
    alone = a_study(repeats=2).run(n_jobs=1)
    assert same_trials(alone, a_study(repeats=2).run(n_jobs=4))
    with ThreadPoolExecutor(3) as pool:
        assert same_trials(alone, a_study(repeats=2).run(executor=pool))


def test_same_bits_in_whatever_order_trials_end() -> None:
    ended: list[int] = []
    even_waits = [threading.Event() for _ in range(11)]

    def objective(spec: TrialSpec) -> TrialResult:
        if spec.number % 2 == 0:
            assert even_waits[spec.number // 2].wait(PATIENCE)
        ended.append(spec.number)
        even_waits[spec.number // 2].set()
        return noisy(spec)

    assert same_trials(a_study(repeats=2).run(), a_study(objective, repeats=2).run(n_jobs=2))
    assert ended != sorted(ended)
    assert sorted(ended) == list(range(20))


def test_an_interrupted_and_resumed_study_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = a_study(repeats=2, folds=3).run(n_jobs=1)
    for stop_at in (0, 7, 23):

        def interrupting(spec: TrialSpec, stop_at: int = stop_at) -> TrialResult:
            if spec.number == stop_at:
                raise KeyboardInterrupt
            return noisy(spec)

        path = tmp_path / f"{stop_at}.db"
        with pytest.raises(StudyInterrupted, match="of 60 trials are saved"):
            a_study(interrupting, path, repeats=2, folds=3).run(n_jobs=2)
        part = Study.open(path)
        assert len(part.trials) < 60
        part.close()
        resumed = a_study(noisy, path, repeats=2, folds=3).run(n_jobs=2)
        assert resumed.new_trials + len(part.trials) >= 60
        assert same_trials(whole, resumed)


def test_a_study_stopped_by_timeout_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, seen, clock = tmp_path / "a.db", [], Clock()
    monkeypatch.setattr("tuning.run.runner.time", clock)
    monkeypatch.setattr("tuning.run.workers.QUEUE_PER_WORKER", 1)

    def noted(spec: TrialSpec) -> TrialResult:
        clock.now += 5.0
        seen.append(spec.number)
        return noisy(spec)

    first = a_study(noted, path, Limits(timeout=24.0)).run(n_jobs=1)
    assert first.stopped == "timeout"
    assert [trial.number for trial in first.trials] == sorted(seen)
    assert len(seen) == 5
    first.close()
    second = a_study(noted, path).run(n_jobs=1)
    assert second.stopped == "finished"
    assert sorted(seen) == list(range(10))  # each was run exactly once
    assert same_trials(a_study().run(), second)


def test_a_finished_study_is_not_trained_again(tmp_path: Path) -> None:
    a_study(noisy, tmp_path / "a.db").run()

    def never(spec: TrialSpec) -> TrialResult:
        raise AssertionError("must not be called")

    again = a_study(never, tmp_path / "a.db").run()
    assert (again.stopped, again.new_trials, len(again.trials)) == ("finished", 0, 10)


def test_settings_share_their_seeds_across_a_repeat_and_nothing_else() -> None:
    trials = a_study(repeats=3, folds=2).run().trials
    by_part: dict[tuple[int, int | None], set[int]] = {}
    for trial in trials:
        by_part.setdefault((trial.repeat, trial.fold), set()).add(trial.seed)
    assert all(len(seeds) == 1 for seeds in by_part.values())
    assert len(set.union(*by_part.values())) == 6
    assert all(trial.seed == seed_of(0, trial.repeat, trial.fold) for trial in trials)
    assert seed_of(0, 1, None) != seed_of(1, 1, None)


def test_identity_and_seed_are_the_same_in_every_process() -> None:
    spec = TrialSpec(5, {"learning_rate": 0.1, "hidden_units": (8, 4)}, "", 2, None, 20, 0)
    other = TrialSpec(9, {"hidden_units": (8, 4), "learning_rate": 0.1}, "", 2, None, 40, 1)
    assert spec.identity == other.identity == "a16eb35b7476215d5ee9264572a6432f"
    assert spec._replace(fold=0).identity != spec.identity
    assert (seed_of(0, 0, None), seed_of(0, 1, 2)) == (3757552657, 1016617948)


@pytest.mark.parametrize("worst", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("metric", ["validation_accuracy", "validation_loss"])
def test_what_is_not_a_number_never_wins(metric: str, worst: float) -> None:
    def objective(spec: TrialSpec) -> TrialResult:
        good = spec.params["batch_size"] == 16 and spec.params["learning_rate"] == 0.001
        return TrialResult(
            "completed", {"validation_accuracy": 0.5, "validation_loss": 9.0, **({} if good else {metric: worst})}
        )

    study = a_study(objective, metric=metric).run()
    assert study.best.params == {"learning_rate": 0.001, "batch_size": 16}
    assert [row["rank"] for row in study.table()] == [1] + [None] * 9


def test_a_setting_that_diverged_in_any_repeat_never_wins_and_never_stops_a_study() -> None:
    def objective(spec: TrialSpec) -> TrialResult:
        if spec.params["batch_size"] == 32:
            return scored(0.6)
        return (
            scored(0.9) if spec.repeat else TrialResult(DIVERGED, {"validation_accuracy": 1.0}, {}, 1, diverged_step=17)
        )

    study = a_study(objective, repeats=2).run()
    assert study.best.params["batch_size"] == 32
    assert len(study.trials) == 20
    assert study.trials[0].diverged_step == 17
    assert study.table()[-1]["state"] == "1 of 2 completed, 1 diverged"


def test_a_trial_that_fails_is_recorded_with_its_error_and_the_others_run() -> None:
    def objective(spec: TrialSpec) -> TrialResult:
        if spec.number == 3:
            raise ZeroDivisionError("on\npurpose")
        return scored(0.5)

    study = a_study(objective).run()
    assert (study.trials[3].state, study.trials[3].error) == ("failed", "ZeroDivisionError: on purpose")
    assert len(study.trials) == 10


def test_nothing_wins_where_nothing_completed() -> None:
    with pytest.raises(ValueError, match="10 diverged"):
        _ = a_study(lambda spec: TrialResult(DIVERGED)).run().best


def test_the_best_is_the_mean_over_repeats_and_ties_go_to_the_lower_loss_then_the_first() -> None:
    def objective(spec: TrialSpec) -> TrialResult:
        accuracy = [0.9, 0.1][spec.repeat] if spec.params["batch_size"] == 16 else 0.6
        loss = {0.001: 2.0, 1.0: 1.0}.get(spec.params["learning_rate"], 1.0)  # type: ignore[arg-type]
        return TrialResult("completed", {"validation_accuracy": accuracy, "validation_loss": loss})

    best = a_study(objective, repeats=2).run(n_jobs=2).best
    assert (best.params["batch_size"], best.trials, best.metrics["validation_accuracy"]) == (32, 2, 0.6)
    assert best.params["learning_rate"] == 0.00562341325190


def test_a_loss_is_ranked_upwards() -> None:
    study = a_study(metric="validation_loss").run()
    losses = [row["mean_validation_loss"] for row in study.table()]
    assert losses == sorted(losses)
    assert study.best.metrics["validation_loss"] == losses[0]


def test_target_stops_the_study_once_the_mean_of_a_setting_reaches_it(tmp_path: Path) -> None:
    def objective(spec: TrialSpec) -> TrialResult:
        return scored(0.9 if spec.number % 2 else (0.8 if spec.number == 20 else 0.1))

    study = a_study(objective, tmp_path / "a.db", Limits(target=0.85), repeats=2, method_options={"points": 50}).run(
        n_jobs=1
    )
    assert study.stopped == "target"
    assert 22 <= len(study.trials) < 100
    assert study.best.metrics["validation_accuracy"] == pytest.approx(0.85)
    study.close()
    again = a_study(objective, tmp_path / "a.db", Limits(target=0.85), repeats=2, method_options={"points": 50}).run()
    assert (again.stopped, again.new_trials) == ("target", 0)


def test_n_trials_runs_whole_settings_and_can_be_raised_later(tmp_path: Path) -> None:
    a_study(noisy, tmp_path / "a.db", Limits(n_trials=7), repeats=3).run().close()
    part = Study.open(tmp_path / "a.db")
    assert (len(part.trials), part.planned) == (6, 6)
    part.close()
    assert same_trials(a_study(noisy, tmp_path / "a.db", repeats=3).run(), a_study(repeats=3).run())


def test_few_trials_are_in_flight_however_many_there_are() -> None:
    taken, done, most = count(), 0, 0
    last = 0

    def items() -> object:
        nonlocal last
        for last in taken:
            if last == 3000:
                return
            yield last

    workers: Workers[int, int] = Workers(lambda item: item, n_jobs=2)
    for arrival in workers.run(items(), lambda: False, 1.0):
        done += arrival is not None
        most = max(most, last - done)
    workers.close()
    assert done == 3000
    assert most <= 2 * QUEUE_PER_WORKER


def test_the_first_ctrl_c_finishes_what_runs_and_saves_it(tmp_path: Path) -> None:
    started, ended = [], []

    def objective(spec: TrialSpec) -> TrialResult:
        started.append(spec.number)
        if spec.number == 5:
            os.kill(os.getpid(), signal.SIGINT)
        ended.append(spec.number)
        return noisy(spec)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(StudyInterrupted) as stop:
        a_study(objective, tmp_path / "a.db", method_options={"points": 200}).run(n_jobs=2)
    assert sorted(started) == sorted(ended)
    assert [trial.number for trial in stop.value.study.trials] == sorted(ended)
    assert len(ended) < 400
    assert signal.getsignal(signal.SIGINT) is before


def test_the_second_ctrl_c_stops_now_and_saves_what_had_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard, release, ended = threading.Event(), threading.Event(), threading.Event()
    started: list[int] = []
    monkeypatch.setattr(runner.Progress, "say", lambda self, line: heard.set())

    def objective(spec: TrialSpec) -> TrialResult:
        started.append(spec.number)
        if len(started) == 5:
            os.kill(os.getpid(), signal.SIGINT)
            assert heard.wait(PATIENCE)
            os.kill(os.getpid(), signal.SIGINT)
            release.wait(PATIENCE)
            ended.set()
        return noisy(spec)

    try:
        with pytest.raises(KeyboardInterrupt) as stop:
            a_study(objective, tmp_path / "a.db").run(n_jobs=1)
        assert not ended.is_set()  # the fifth trial still runs
    finally:
        release.set()
    assert not isinstance(stop.value, StudyInterrupted)
    assert [trial.number for trial in Study.open(tmp_path / "a.db").trials] == sorted(started[:4])


def test_trials_are_counted_only_once_they_are_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []

    class Watching(runner.Progress):
        counted = 0

        def update(self, number: int, leader: object) -> None:
            self.counted += number
            with_file = Study.open(tmp_path / "a.db")
            seen.append((self.counted, len(with_file.trials)))
            with_file.close()

    monkeypatch.setattr("tuning.run.runner.Progress", Watching)
    monkeypatch.setattr(runner, "COMMIT_SECONDS", 0.0)
    a_study(noisy, tmp_path / "a.db").run(n_jobs=2)
    assert seen == [(count, count) for count in range(1, 11)]


def test_the_bar_is_quiet_where_there_is_no_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    a_study().run()
    assert capfd.readouterr().err == ""
    a_study().run(progress=True)
    assert "10/10" in capfd.readouterr().err


def test_tables_are_ranked_rows_in_every_format() -> None:
    import json

    import pandas as pd

    table = a_study(repeats=2).run().table()
    assert [row["rank"] for row in table] == list(range(1, 11))
    assert list(table[0])[:3] == ["rank", "param_learning_rate", "param_batch_size"]
    assert {"mean_validation_accuracy", "std_validation_accuracy", "trials", "state"} <= set(table[0])
    assert json.loads(table.to_json()) == list(table)
    assert table.to_csv().count("\n") == 11
    frame = a_study(repeats=2).run().to_pandas()
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == ["rank_validation_accuracy", *list(table[0])[1:]]
