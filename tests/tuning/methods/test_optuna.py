"""Adaptive search through Optuna's samplers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from tests.tuning.fakes import a_study, definition, noisy, same_trials
from tests.tuning.methods.test_samplers import MIXED, PARTS, proposals, stream
from tuning import Study, sweep
from tuning.methods import OptunaSampler, Score, make_sampler
from tuning.run import Limits
from tuning.store import TrialResult, TrialSpec
from tuning.study import Study as _Study

optuna = pytest.importorskip("optuna", reason="needs the extra optuna")

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
