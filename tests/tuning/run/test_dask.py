"""A Dask cluster on this machine: a real scheduler and real worker processes, some of which are killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

distributed = pytest.importorskip("distributed", reason="needs the extra dask")

from tests.patience import PATIENCE  # noqa: E402
from tests.tuning.fakes import a_study, files, same_trials  # noqa: E402
from tests.tuning.faults import Deadly, Heavy, Unloadable, failing  # noqa: E402
from tests.tuning.objectives.own import Descent  # noqa: E402
from tuning import sweep  # noqa: E402
from tuning.cli.main import main  # noqa: E402
from tuning.run import WorkersError, runner  # noqa: E402
from tuning.run.dask import DaskFunction, connected  # noqa: E402
from tuning.study import Study  # noqa: E402

ROOT = Path(__file__).parents[3]
IRIS: dict[str, Any] = {"learning_rate": "1e-2:1:log", "batch_size": [8, 32], "hidden_units": [4, (4, 4)]}

pytestmark = pytest.mark.filterwarnings("ignore")  # what distributed and tornado warn of is theirs


class Cluster:
    """A scheduler and its workers, as `dask scheduler` and `dask worker` start them, on ports that the system chose."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self._readers: list[threading.Thread] = []
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", "0")
        self.address = self._hear(self.scheduler, "Scheduler at:").split()[-1]

    def work(self, count: int = 1, nanny: str = "--no-nanny") -> None:
        """Start workers with one thread each, and wait until they have registered."""
        arguments = (self.address, "--nthreads", "1", "--local-directory", str(self._folder), nanny)
        for process in [self._start("worker", *arguments) for _ in range(count)]:
            self._hear(process, "Registered to:")

    def close(self) -> None:
        """End all."""
        for process in reversed(self._processes):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # a nanny's worker too
        for reader in self._readers:
            reader.join(PATIENCE)
        for process in self._processes:
            process.wait(PATIENCE)
            assert process.stderr is not None
            process.stderr.close()

    def _start(self, kind: str, *arguments: str) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "ignore",
            # For so long the scheduler looks for a result at the address of a worker that was killed.
            "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "10s",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", kind, *arguments, "--no-dashboard"],
            cwd=self._folder, env=environment, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        self._processes.append(process)
        return process

    def _hear(self, process: subprocess.Popen[bytes], word: str) -> str:
        """Return the line with this word that the process writes once it is ready."""
        assert process.stderr is not None
        watchdog = threading.Timer(PATIENCE, process.kill)
        watchdog.start()
        said: list[str] = []
        for line in process.stderr:
            said.append(line.decode(errors="replace").strip())
            if word in said[-1]:
                break
        watchdog.cancel()
        assert word in said[-1], said
        self._readers.append(threading.Thread(target=process.stderr.read, daemon=True))  # a full pipe would stop it
        self._readers[-1].start()
        return said[-1]


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler with two workers of one thread each."""
    cluster = Cluster(tmp_path_factory.mktemp("dask"))
    try:
        cluster.work(2)
        yield cluster
    finally:
        cluster.close()


def at_first_save(monkeypatch: pytest.MonkeyPatch, what: Callable[[], None]) -> list[int]:
    """Have something done when the first trials have been saved; the list returned tells how many they were."""
    counted: list[int] = []

    class Watching(runner.Progress):
        def update(self, count: int, leader: Any) -> None:
            super().update(count, leader)
            if not counted:
                counted.append(count)
                what()

    monkeypatch.setattr("tuning.run.runner.Progress", Watching)
    monkeypatch.setattr(runner, "COMMIT_SECONDS", 0.0)
    return counted


def test_a_cluster_that_loses_all_its_workers_ends_the_study_and_what_was_saved_goes_on(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"points": 4, "epochs": 4, "repeats": 4}
    monkeypatch.setattr("tuning.run.dask.ALONE_SECONDS", 2.0)
    with connected(cluster.address) as executor:
        pids = list(executor._client.run(os.getpid).values())  # type: ignore[attr-defined]
        at_first_save(monkeypatch, lambda: [os.kill(pid, signal.SIGKILL) for pid in pids])
        with pytest.raises(WorkersError, match="must have a worker"):
            sweep("iris", IRIS, executor=executor, storage=tmp_path / "a.db", **options)
    again = sweep("iris", IRIS, storage=tmp_path / "a.db", **options)
    assert same_trials(sweep("iris", IRIS, **options), again)


def test_a_cluster_that_loses_a_worker_in_the_middle_gives_the_same_bits_as_threads(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"points": 4, "epochs": 4, "folds": 2, "repeats": 4}
    alone = sweep("iris", IRIS, **options)
    with connected(cluster.address) as executor:
        whole = sweep("iris", IRIS, executor=executor, **options)
        assert same_trials(alone, whole)
        pids = list(executor._client.run(os.getpid).values())  # type: ignore[attr-defined]
        counted = at_first_save(monkeypatch, lambda: os.kill(pids[0], signal.SIGKILL))
        hurt = sweep("iris", IRIS, executor=executor, storage=tmp_path / "a.db", **options)
    assert len(pids) == 2
    assert 0 < counted[0] < 128
    assert same_trials(alone, hurt)
    assert hurt.stopped == "finished"


def test_data_reach_each_worker_once_and_one_that_joins_later_too(cluster: Cluster, tmp_path: Path) -> None:
    heavy = Heavy(tmp_path)
    with connected(cluster.address) as executor:
        sent = DaskFunction(heavy, executor)
        cluster.work()
        client = executor._client  # type: ignore[attr-defined]
        specs = list(a_study(repeats=90).definition.trials_of({"learning_rate": 0.1, "batch_size": 16}))
        results = client.gather(
            [client.submit(sent.call, spec, pure=False, workers=[worker])
             for spec, worker in zip(specs, list(client.nthreads()) * 30, strict=True)]
        )  # fmt: skip
        sent.close()
        assert client.run(lambda dask_worker: [n for n in dask_worker.plugins if n.startswith("nn-tuning")]) == {
            worker: [] for worker in client.nthreads()
        }
    assert len(results) == 90
    loads = heavy.loads()
    assert len(loads) == len(set(loads)) == 3


def test_a_trial_that_kills_every_worker_has_failed_and_a_restarted_worker_runs_the_others(tmp_path: Path) -> None:
    (tmp_path / "marks").mkdir()
    (tmp_path / "dask").mkdir()
    cluster = Cluster(tmp_path / "dask")
    try:
        cluster.work(nanny="--nanny")
        with connected(cluster.address) as executor:
            executor._client.run_on_scheduler(allow_no_failure)  # type: ignore[attr-defined]
            study = a_study(Deadly(tmp_path / "marks", once=(2,), always=(7,))).run(executor=executor)
    finally:
        cluster.close()
    assert [trial.number for trial in study.trials if trial.state == "failed"] == [7]
    assert all(a.exactly_equals(b) for a, b in zip(a_study().run().trials, study.trials, strict=True) if a.number != 7)


def allow_no_failure(dask_scheduler: Any) -> None:
    """Have Dask report a lost worker at once, where it would try three more."""
    dask_scheduler.allowed_failures = 0


def test_faults_far_away_are_recorded_or_end_the_study(cluster: Cluster, tmp_path: Path) -> None:
    with connected(cluster.address) as executor:
        trials = a_study(failing).run(executor=executor).trials
        assert (trials[3].state, trials[3].error) == ("failed", "ZeroDivisionError: far away")
        with pytest.raises(WorkersError, match="must be able to load the study's data, but: FileNotFoundError"):
            a_study(Unloadable()).run(executor=executor)


def test_the_command_runs_on_a_cluster_and_ends_when_the_scheduler_does(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.db"
    line = ["--learning-rate", "1e-2:1:log", "--points", "150", "--hidden-units", "4", "--epochs", "3", "--quiet"]
    counted = at_first_save(monkeypatch, cluster.scheduler.kill)
    assert main(["sweep", "iris", *line, "--storage", str(path), "--dask", cluster.address]) == 1
    said = capsys.readouterr()
    errors = [each for each in said.err.splitlines() if each.startswith("nn-tuning: error:")]
    assert errors == [
        f"nn-tuning: error: the Dask scheduler at {cluster.address} closed the connection; finished trials are saved, "
        "run again"
    ]
    monkeypatch.undo()
    part = Study.open(path)
    assert counted[0] <= len(part.trials) < 150
    part.close()
    assert files(tmp_path) == ["a.db"]
    assert main(["resume", str(path), "--quiet"]) == 0
    assert same_trials(
        Study.open(path), sweep("iris", {"learning_rate": "1e-2:1:log", "hidden_units": 4}, points=150, epochs=3)
    )


def test_no_scheduler_no_worker_and_no_dask_are_each_one_line_and_leave_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["sweep", "iris", "--learning-rate", "0.1", "--storage", str(tmp_path / "runs" / "a.db"), "--dask"]

    def said(address: str) -> str:
        assert main([*line, address]) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        return lines[0]

    monkeypatch.setattr("tuning.run.dask.CONNECT_SECONDS", 0.3)
    assert "dask must be the address of a running scheduler" in said("tcp://127.0.0.1:1")
    for nonsense in ("nonsense://x", "somewhere", "tcp://somewhere"):
        assert "dask must be the address of a running scheduler" in said(nonsense)
    with contextlib.closing(Cluster(tmp_path)) as empty:
        connect = partial(distributed.Client, empty.address)
        monkeypatch.setattr("tuning.run.dask._Client", lambda _, **options: connect(**{**options, "timeout": PATIENCE}))
        assert f"must have a worker, but '{empty.address}' has none; start one with: dask worker" in said(empty.address)
    for name in ("distributed", "tuning.run.dask"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert 'pip install "nn-tuning[dask]"' in said("tcp://127.0.0.1:1")
    assert not (tmp_path / "runs").exists()


def test_every_method_gives_the_bits_of_threads_on_a_cluster(cluster: Cluster) -> None:
    methods: dict[str, dict[str, Any]] = {
        "grid": {"points": 3},
        "random": {"n_trials": 24},
        "sobol": {"n_trials": 32},
        "refine": {"points": 3, "rounds": 3},
        "halving": {"points": 3},
        "hyperband": {},
    }
    with connected(cluster.address) as executor:
        for method, own in methods.items():
            options: dict[str, Any] = {"method": method, "epochs": 9, "folds": 2, "repeats": 2, **own}
            there = sweep("iris", IRIS, executor=executor, **options)
            assert same_trials(sweep("iris", IRIS, n_jobs=1, **options), there), method
            assert len(there.trials) > 4, method
        own_function: dict[str, Any] = {"objective": Descent, "metric": "loss", "method": "halving", "epochs": 9}
        there = sweep(space={"x": "0.1:0.5"}, points=9, executor=executor, **own_function)
        assert same_trials(sweep(space={"x": "0.1:0.5"}, points=9, n_jobs=1, **own_function), there)
