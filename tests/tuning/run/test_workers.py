"""Where trials run changes nothing about them, and a worker that dies loses nothing."""

from __future__ import annotations

import multiprocessing
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.patience import PATIENCE
from tests.tuning.fakes import a_study, noisy, same_trials
from tests.tuning.faults import Deadly, Heavy, Unloadable, broken_start, ends, failing
from tuning.run import Workers, WorkersError, runner
from tuning.run.delivery import FileFunction
from tuning.run.workers import QUEUE_PER_WORKER

FORK = multiprocessing.get_context("fork")
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def pool() -> Iterator[ProcessPoolExecutor]:
    """Two forked workers: they start at once."""
    with ProcessPoolExecutor(2, FORK) as pool:
        yield pool


class Inline(Executor):
    """An executor of no known kind: it runs everything at once in the caller's thread."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def test_same_bits_in_threads_in_processes_and_on_an_executor_of_ones_own(pool: ProcessPoolExecutor) -> None:
    alone = a_study(repeats=3, folds=2).run(n_jobs=1)
    with ThreadPoolExecutor(2) as threads:
        for executor in (threads, pool, Inline()):
            assert same_trials(alone, a_study(repeats=3, folds=2).run(executor=executor))


def test_a_spawned_pool_gets_the_data_once_for_each_process(tmp_path: Path) -> None:
    heavy = Heavy(tmp_path)
    with ProcessPoolExecutor(2, SPAWN) as pool:
        study = a_study(heavy, repeats=8).run(executor=pool)
    assert same_trials(a_study(repeats=8).run(), study)
    loads = heavy.loads()
    assert 1 <= len(loads) == len(set(loads)) <= 2


def test_what_goes_out_with_each_trial_is_small_and_the_data_leave_no_file(tmp_path: Path) -> None:
    sent = FileFunction(Heavy(tmp_path))
    assert len(pickle.dumps(sent.call)) < 300
    path = sent.call.path  # type: ignore[attr-defined]
    assert Path(path).stat().st_size > 4_000_000
    sent.close()
    assert not Path(path).exists()


@pytest.mark.parametrize("context", [FORK, SPAWN], ids=["fork", "spawn"])
def test_a_worker_that_dies_loses_no_trial(tmp_path: Path, context: Any) -> None:
    with ProcessPoolExecutor(2, context) as pool:
        study = a_study(Deadly(tmp_path, once=(5, 17)), repeats=3).run(executor=pool)
    assert same_trials(a_study(repeats=3).run(), study)
    assert study.stopped == "finished"


def test_a_trial_that_kills_every_worker_has_failed_and_those_beside_it_have_not(tmp_path: Path) -> None:
    with ProcessPoolExecutor(2, FORK) as pool:
        study = a_study(Deadly(tmp_path, always=(9,)), repeats=3).run(executor=pool)
    plain = a_study(repeats=3).run()
    assert len(study.trials) == 30
    assert [trial.number for trial in study.trials if trial.state == "failed"] == [9]
    error = study.trials[9].error
    assert error is not None
    assert error.startswith("WorkerDied: its worker died 2 times while it ran alone")
    assert all(a.exactly_equals(b) for a, b in zip(plain.trials, study.trials, strict=True) if a.number != 9)


def test_trials_that_were_not_handed_out_yet_follow_one_that_kills_every_worker(tmp_path: Path) -> None:
    """The first of eight that are out is run again last of them, and nothing else is out when it has failed."""
    with ProcessPoolExecutor(1, FORK) as pool:
        study = a_study(Deadly(tmp_path, always=(0,)), repeats=3).run(executor=pool)
    assert [trial.state for trial in study.trials] == ["failed", *["completed"] * 29]
    assert study.stopped == "finished"


def test_a_trial_that_kills_every_worker_has_failed_however_often_one_looks_while_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a patience of 0, the workers are asked for news thousands of times before a death is known."""
    (tmp_path / "marks").mkdir()
    fresh, renew = [], Workers._renew

    def counted(self: Workers[Any, Any], error: BaseException) -> None:
        fresh.append(error)
        assert len(fresh) < 10
        renew(self, error)

    monkeypatch.setattr(Workers, "_renew", counted)
    monkeypatch.setattr(runner, "COMMIT_SECONDS", 0.0)
    with ProcessPoolExecutor(1, FORK) as pool:
        study = a_study(Deadly(tmp_path / "marks", always=(7,))).run(executor=pool)
    assert [trial.number for trial in study.trials if trial.state == "failed"] == [7]
    assert len(study.trials) == len(a_study().run().trials)


def test_a_pool_that_was_broken_before_is_replaced(tmp_path: Path, pool: ProcessPoolExecutor) -> None:
    first = a_study(Deadly(tmp_path, once=(2,))).run(executor=pool)
    again = a_study().run(executor=pool)  # still the broken one: ours was closed with the first study
    assert same_trials(first, again)


def test_a_pool_whose_workers_can_not_start_ends_the_study_and_fails_no_trial() -> None:
    with ProcessPoolExecutor(1, FORK, initializer=broken_start) as pool:
        study = a_study()
        with pytest.raises(WorkersError, match="did not start") as error:
            study.run(executor=pool)
    assert "\n" not in str(error.value)
    assert len(study.trials) == 0


def test_data_that_workers_can_not_load_end_the_study_and_fail_no_trial(pool: ProcessPoolExecutor) -> None:
    study = a_study(Unloadable())
    with pytest.raises(WorkersError, match=r"must be able to load the study's data, but: FileNotFoundError") as error:
        study.run(executor=pool)
    assert "\n" not in str(error.value)
    assert len(study.trials) == 0


def test_an_executor_that_was_shut_down_is_refused_in_one_line() -> None:
    threads, processes = ThreadPoolExecutor(1), ProcessPoolExecutor(1, FORK)
    for executor in (threads, processes):
        executor.shutdown()
        with pytest.raises(WorkersError, match="the executor takes no more trials: cannot schedule"):
            a_study().run(executor=executor)


def test_what_can_not_be_pickled_is_refused_in_one_line(pool: ProcessPoolExecutor) -> None:
    with pytest.raises(TypeError, match="must be picklable") as error:
        a_study(lambda spec: noisy(spec)).run(executor=pool)
    assert "\n" not in str(error.value)


def test_a_trial_that_fails_far_away_is_recorded_with_its_reason(pool: ProcessPoolExecutor) -> None:
    trials = a_study(failing).run(executor=pool).trials
    assert [(t.number, t.state, t.error) for t in trials if t.state != "completed"] == [
        (3, "failed", "ZeroDivisionError: far away")
    ]
    assert len(trials) == 10


def test_few_trials_are_in_flight_to_a_pool(pool: ProcessPoolExecutor) -> None:
    workers = Workers(abs, pool)
    most = done = 0
    for arrival in workers.run(iter(range(1, 400)), lambda: False, 5.0):
        most = max(most, workers.in_flight + 1)
        done += arrival is not None
    workers.close()
    assert done == 399
    assert most == 2 * QUEUE_PER_WORKER


def test_a_pool_survives_its_study_and_serves_the_next(pool: ProcessPoolExecutor) -> None:
    assert same_trials(a_study().run(executor=pool), a_study().run(executor=pool))
    assert pool.submit(abs, -3).result(PATIENCE) == 3


# Python's own thread of a pool that breaks fails, now and then, at a future that has just been cancelled.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_broken_pool_is_not_renewed_once_a_study_is_stopping(pool: ProcessPoolExecutor) -> None:
    workers, taken = Workers(ends, pool), []

    def items() -> Iterator[int]:
        for number in range(1, 100):
            taken.append(number)
            yield number

    assert list(workers.run(items(), lambda: len(taken) >= 4, 5.0)) == []
    assert (workers.dropped, workers.in_flight) == (len(taken), 0)
    assert workers._executor is pool
    workers.close()


def test_what_has_finished_and_was_not_fetched_is_handed_over_on_request() -> None:
    ended = threading.Semaphore(0)

    def counted(number: int) -> int:
        ended.release()
        return number * number

    workers = Workers(counted, n_jobs=2)
    running = workers.run(iter(range(10)), lambda: False, 5.0)
    assert next(running) is not None
    for _ in range(10):
        assert ended.acquire(timeout=PATIENCE)
    workers.close(wait=True)  # each future has told so by now
    rest = {item: future.result() for item, future in workers.arrived()}
    assert len(rest) == 9
    assert all(square == number * number for number, square in rest.items())
    assert workers.in_flight == 0
