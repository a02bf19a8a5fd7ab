"""Adaptive search through Optuna's samplers."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.patience import PATIENCE
from tests.tuning.fakes import a_study, definition, noisy, same_trials
from tests.tuning.methods.test_samplers import MIXED, PARTS, proposals, stream
from tuning import Study, sweep
from tuning.methods import OptunaSampler, Score, make_sampler
from tuning.run import Limits
from tuning.store import TrialResult, TrialSpec
from tuning.study import Study as _Study

optuna = pytest.importorskip("optuna", reason="needs the extra optuna")

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
IRIS: dict[str, Any] = {"learning_rate": "1e-2:1:log", "batch_size": [8, 32], "hidden_units": [4, (4, 4)]}


def test_it_learns_from_what_it_is_told() -> None:
    def score(proposal: Any) -> Score:
        return Score(-abs(math.log10(proposal.setting["learning_rate"]) + 2), 0.0)

    found = stream(make_sampler("tpe", 60, 0), MIXED)
    late = proposals(make_sampler("tpe", 60, 0), MIXED, 60, score)[40:]
    near = sum(abs(math.log10(p.setting["learning_rate"]) + 2) < 0.5 for p in late)  # type: ignore[arg-type]
    assert near > 12  # of 20; a third would be chance
    assert len(found) == 60


def test_what_is_told_is_told_in_the_order_of_asking_and_nothing_else_counts() -> None:
    one = proposals(OptunaSampler(30, 0, batch=6), PARTS)
    assert one == proposals(OptunaSampler(30, 0, batch=6), PARTS)
    assert one != proposals(OptunaSampler(30, 0, batch=5), PARTS)


def test_a_sampler_object_gives_the_same_bits_for_one_and_two_threads_and_is_left_as_it_was() -> None:
    sampler = optuna.samplers.TPESampler(seed=3)
    studies = [sweep("iris", IRIS, sampler, n_trials=24, epochs=2, repeats=2, n_jobs=n) for n in (1, 2)]
    assert same_trials(*studies)
    other = sweep("iris", IRIS, optuna.samplers.TPESampler(seed=4), n_trials=24, epochs=2, repeats=2)
    assert not same_trials(studies[0], other)


def test_a_study_resumes_with_the_same_sampler_and_with_no_other(tmp_path: Path) -> None:
    def tpe(seed: int = 3) -> Any:
        return optuna.samplers.TPESampler(seed=seed)

    whole = sweep("iris", IRIS, tpe(), n_trials=20, epochs=2)
    sweep("iris", IRIS, tpe(), n_trials=11, epochs=2, storage=tmp_path / "a.db").close()
    part = Study.open(tmp_path / "a.db")
    with pytest.raises(ValueError, match=r"study.resume\(sampler=TPESampler\(seed=…\)\)"):
        part.resume(n_trials=20)
    with pytest.raises(ValueError, match="sampler TPESampler there and RandomSampler here"):
        part.resume(n_trials=20, sampler=optuna.samplers.RandomSampler(seed=3))
    with pytest.raises(ValueError, match="must be what the method proposes again"):
        part.resume(n_trials=20, sampler=tpe(4))
    assert len(part.trials) == 11
    assert same_trials(whole, part.resume(n_trials=20, sampler=tpe()))


def test_a_sampler_without_a_seed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must be seeded, but TPESampler .*; make it with TPESampler\(seed=0\)"):
        sweep("iris", IRIS, optuna.samplers.TPESampler(), n_trials=9, storage=tmp_path / "a.db")
    assert not (tmp_path / "a.db").exists()


def test_nothing_is_trained_twice_though_optuna_asks_twice() -> None:
    trained: list[str] = []

    def objective(spec: TrialSpec) -> TrialResult:
        trained.append(spec.text)
        return noisy(spec)

    few = {"batch_size": "16,32", "nesterov": "true,false", "activation": "relu,tanh"}
    options: dict[str, Any] = {"method": "tpe", "method_options": {"batch": 3}, "space": few}
    study = a_study(objective, **options).run(n_jobs=1)
    assert len(set(trained)) == len(trained) == len(study.trials) == 8


def test_what_diverged_counts_as_the_worst(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    tell = optuna.study.Study.tell

    def noted(self: Any, trial: Any, values: Any = None, **options: Any) -> Any:
        told.append(values)
        return tell(self, trial, values, **options)

    monkeypatch.setattr(optuna.study.Study, "tell", noted)
    scores = iter([math.nan, 3.0, 2.0, math.nan, 1.0, math.nan])
    proposals(OptunaSampler(6, 0, batch=2), MIXED, 7, lambda proposal: Score(next(scores), 0.0))
    assert told == [3.0, 3.0, 2.0, 2.0, 1.0, 1.0]


def test_optuna_is_quiet_and_its_verbosity_stays_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    before = optuna.logging.get_verbosity()
    limits = Limits(n_trials=9)
    study = _Study.create(noisy, definition(method="tpe", method_options={"batch": 8}), limits, None)
    study.run()
    assert capfd.readouterr().err == ""
    assert optuna.logging.get_verbosity() == before


# -- every sampler that Optuna ships -------------------------------------------------------------------------------


def test_each_runs_to_its_end_is_killed_and_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.tuning.methods.killed_samplers", str(tmp_path)],
        cwd=Path(__file__).parents[3], capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ended = done.stdout.split()
    assert {"BruteForceSampler", "GridSampler", "NSGAIISampler", "PartialFixedSampler"} <= {*ended}


def test_a_grid_of_optunas_over_a_part_of_the_space_ends_with_it() -> None:
    rates = {"learning_rate": [0.01, 0.1], "batch_size": [8, 32], "hidden_units": ["4x4"]}
    study = sweep("iris", IRIS, optuna.samplers.GridSampler(rates, seed=0), epochs=1, n_jobs=1)
    found = {tuple(trial.params.values()) for trial in study.trials}
    assert found == {(rate, size, (4, 4)) for rate in (0.01, 0.1) for size in (8, 32)}
    assert study.stopped == "finished"


def test_what_is_fixed_stays_so() -> None:
    base = optuna.samplers.TPESampler(seed=0)
    sampler = optuna.samplers.PartialFixedSampler({"batch_size": 32, "hidden_units": "4x4"}, base)
    study = sweep("iris", IRIS, sampler, n_trials=12, epochs=1, n_jobs=1)
    assert {(t.params["batch_size"], t.params["hidden_units"]) for t in study.trials} == {(32, (4, 4))}
    assert len(study.trials) == 12


@pytest.mark.filterwarnings("ignore:The value", "ignore:Fixed parameter")
@pytest.mark.parametrize(
    ("sampler", "law"),
    [
        ("GridSampler({**LISTS, 'learning_rate': [0.1, 3.0]})", "learning_rate must be between 0.01 and 1, .* 3$"),
        ("GridSampler({**LISTS, 'batch_size': [9]})", "GridSampler must be able .* '9' not in"),
        ("GridSampler({'learning_rate': [0.1]})", "GridSampler must be able .* batch_size"),
        ("PartialFixedSampler({'learning_rate': 3.0}, TPESampler(seed=0))", "between 0.01 and 1, .* 3$"),
        ("PartialFixedSampler({'batch_size': '8'}, TPESampler(seed=0))", "must be able .* '8' not in"),
        ("BruteForceSampler(seed=0)", "BruteForceSampler must be able to search the space, but says: "),
    ],
)
def test_a_sampler_that_does_not_fit_the_space_is_refused_before_anything_is_trained(
    sampler: str, law: str, tmp_path: Path
) -> None:
    made = eval(
        sampler, {**vars(optuna.samplers), "LISTS": {"learning_rate": [0.1], "batch_size": [8], "hidden_units": [4]}}
    )
    with pytest.raises(ValueError, match=law) as seen:
        sweep("iris", IRIS, made, n_trials=9, epochs=1, storage=tmp_path / "a.db")
    assert "\n" not in str(seen.value)
    assert not (tmp_path / "a.db").exists()
