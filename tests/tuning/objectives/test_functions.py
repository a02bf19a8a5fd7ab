"""A function of one's own as an objective: the same bits anywhere, and whatever goes wrong is a line in the study."""

from __future__ import annotations

import importlib.util
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tuning.fakes import run_until_killed, same_trials
from tests.tuning.objectives.own import KIND, Descent, descent, faulty, forgetful, hanging, short, square
from tuning import Space, Study, report, sweep
from tuning.export import analysis_lines, study_lines, verdict
from tuning.store import COMPLETED, FAILED, PRUNED, StudyFileError

RATES = [0.05 * i for i in range(1, 10)]


def halving(objective: Any = descent, **options: Any) -> Study:
    """A study of nine settings, one of which is trained for all nine epochs."""
    return sweep(space={"x": RATES}, objective=objective, metric="loss", method="halving", epochs=9, **options)


def test_a_function_is_searched_and_its_best_setting_found() -> None:
    study = sweep(space={"x": [1, 2, 3]}, objective=square, metric="loss", repeats=2)
    assert study.best.params == {"x": 2}
    assert study.trials[0].metrics == {"loss": square({"x": 1}, study.trials[0].seed)}
    assert study.definition.epochs == 1


@pytest.mark.parametrize("objective", [descent, Descent, Descent()])
def test_every_place_and_every_way_of_going_on_gives_the_same_bits(objective: Any) -> None:
    whole = sweep(space={"x": RATES}, objective=descent, metric="loss", epochs=9, n_jobs=1)
    study = halving(objective, n_jobs=2)
    assert [t.epochs for t in study.trials if t.state == COMPLETED] == [9]
    assert {t.state for t in study.trials} == {COMPLETED, PRUNED}
    for trial, known in zip(study.trials, whole.trials, strict=True):
        for name, curve in trial.curves.items():
            assert curve.tobytes() == known.curves[name][: trial.epochs].tobytes()
    with ThreadPoolExecutor(2) as threads, ProcessPoolExecutor(2) as processes:
        assert same_trials(halving(objective, executor=threads), study)
        assert same_trials(halving(objective, executor=processes), study)


def test_hyperband_goes_on_with_what_steps_and_repeats_no_step() -> None:
    Descent.steps = 0
    with ThreadPoolExecutor(1) as one:
        study = sweep(
            space={"x": "0.01:0.5"}, objective=Descent, metric="loss", method="hyperband", epochs=9, executor=one
        )
    assert Descent.steps == sum(trial.epochs for trial in study.trials)


def test_what_was_killed_is_resumed_to_the_same_bits(tmp_path: Path) -> None:
    lines = [
        "import os, signal",
        "from tests.tuning.objectives.test_functions import halving, Descent",
        "def kill(trial): os.kill(os.getpid(), signal.SIGKILL)",
        f"halving(Descent, storage={str(tmp_path / 'a.db')!r}, n_jobs=1, callback=kill)",
    ]
    run_until_killed(lines)
    study = Study.open(tmp_path / "a.db")
    assert len(study.trials) > 0
    assert same_trials(study.resume(objective=Descent, n_jobs=2), halving(Descent))


def test_whatever_goes_wrong_in_a_trial_is_a_line_with_its_traceback(tmp_path: Path) -> None:
    study = sweep(space={"x": list(range(9))}, objective=faulty, metric="loss", storage=tmp_path / "a.db", n_jobs=2)
    study = Study.open(tmp_path / "a.db")
    assert [trial.state for trial in study.trials] == [COMPLETED, *[FAILED] * len(KIND)]
    lines = {KIND[t.params["x"]]: t.error for t in study.trials if t.error}  # type: ignore[index]
    assert lines == {
        "an exception": "KeyError: 'no such\\nthing'",
        "sys.exit": "SystemExit: 3",
        "NaN": "ValueError: loss must be a finite number, but is nan after epoch 1",
        "a text": "TypeError: an objective must return a number or a dict of numbers, or yield such, one an epoch, "
        "but gave str '0.5'",
        "a list": "TypeError: an objective must return a number or a dict of numbers, or yield such, one an epoch, "
        "but gave list [1, 2]",
        "no metric": "ValueError: an objective must give the metric 'loss', but gave accuracy",
        "a kill": "ProcessDied: its process died 2 times while it ran (killed by signal 9)",
        "nothing": "TypeError: an objective must return a number or a dict of numbers, or yield such, one an epoch, "
        "but gave nothing",
    }
    assert 'raise KeyError("no such\\nthing")' in str(study.trials[1].traceback)
    assert study.trials[0].metrics == {"loss": 0.25, "rounds": 3.0}
    assert "KeyError: 'no such\\nthing'" in study.describe_states()
    assert "\n" not in study.describe_states()


def test_a_trial_that_hangs_is_ended_and_the_others_go_on() -> None:
    study = sweep(space={"x": [0, 1, 2]}, objective=hanging, metric="loss", trial_timeout=0.2, n_jobs=2)
    assert [trial.state for trial in study.trials] == [COMPLETED, FAILED, COMPLETED]
    assert study.trials[1].error == "TrialTimeout: it must end within trial_timeout=0.2 seconds, but did not"


def test_what_draws_from_no_seed_is_told_so_where_it_is_run_again() -> None:
    with pytest.raises(ValueError, match=r"no setting|must have a setting"):
        _ = halving(forgetful).best
    errors = {trial.error for trial in halving(forgetful).trials if trial.error}
    assert errors
    assert all("must give the same metrics for the same seed, but loss of epoch 1 was" in error for error in errors)


def test_what_ends_early_by_itself_competes_with_its_end() -> None:
    study = halving(short)
    assert study.best.params == {"x": RATES[-1]}
    assert [trial.epochs for trial in study.trials] == [1, 1, 1, 1, 1, 1, 3, 3, 2]  # and none got nine in its place


@pytest.mark.parametrize(
    "function",
    [
        lambda config: config["x"],
        lambda seed, setting: setting["x"],
        lambda params, epochs, seed: params["x"],
        lambda params, /, scale=1: params["x"] * scale,
        partial(lambda params, data: params["x"] * data, data=1),
    ],
)
def test_a_function_takes_what_it_names_and_runs_in_threads_where_nobody_can_import_it(function: Any) -> None:
    with pytest.warns(UserWarning, match=r"run in threads, .* put it into a file"):
        study = sweep(space={"x": [2, 1]}, objective=function, metric="time")
    assert study.best.params == {"x": 1}


def test_values_reach_a_function_as_they_were_given() -> None:
    values = [None, True, "sigmoid", (64, 32), 7, 0.1 + 0.2, 1e-300]
    seen: list[Any] = []
    given = {"activation": values, "batch_size": "0.5:1.5", "x": "relu"}
    with pytest.warns(UserWarning, match=r"threads"):
        study = sweep(space=given, objective=lambda p: seen.append(p) or 1.0, metric="loss", points=2)
    assert {(type(p["activation"]), p["activation"]) for p in seen} == {(type(value), value) for value in values}
    assert {p["batch_size"] for p in seen} == {0.5, 1.5}
    assert study.space == Space(given, own=True)
    assert [t.params["activation"] for t in study.trials][::2] == values


def test_table_pictures_report_and_text_work_with_what_it_returned(tmp_path: Path) -> None:
    plots = pytest.importorskip("tuning.plots", reason="needs the extra plot")
    space = {"x": RATES[:3], "learning_rate": "1e-3:1:log"}
    study = sweep(space=space, objective=descent, metric="validation_loss", epochs=6, points=2, repeats=2)
    for draw in (plots.learning_rate_curve, plots.learning_curves, plots.heatmap, plots.validation_vs_train):
        plots.close(draw(study).figure)
    assert study.verdicts()[0].name != "unclear"
    assert {"mean_loss", "mean_validation_loss"} <= {*study.to_csv().partition("\n")[0].split(",")}
    shown = "\n".join([*study_lines(study), verdict(study), *analysis_lines(study)])
    assert "own.descent, grid, 6 epochs, 2 repeats" in shown
    assert "with validation loss" in shown
    if importlib.util.find_spec("plotly"):
        assert report.write(study, tmp_path / "a.html").stat().st_size > 1000


@pytest.mark.parametrize(
    ("options", "law"),
    [
        ({"metric": None}, "metric must name what the objective returns"),
        ({"metric": "speediness"}, "the last word of a metric's name must say whether more is better"),
        ({"space": None}, "space must be given for a model of your own"),
        ({"objective": None}, "data must be given, a file or a data set; or pass objective=FUNCTION"),
        ({"ensemble": 3}, "ensemble must be None with an objective"),
        ({"minutes": 3}, "minutes must be left out where it is said what to search"),
        ({"folds": 3}, "folds must be None with an objective"),
        ({"data": "iris"}, "data must be None with an objective"),
        ({"curves": "layers"}, "curves must be None with an objective"),
        ({"early_stopping": 3}, "early_stopping must be None with an objective"),
        ({"epochs": 5}, "epochs must be None with an objective that neither takes nor yields epochs"),
        ({"method": "halving"}, "must have trials that can be trained for more epochs"),
        ({"trial_timeout": 0}, "trial_timeout must be a finite number > 0"),
        ({"objective": lambda params, verbose: 1.0}, "must take params, seed and epochs, or some of .* verbose"),
        ({"objective": 3}, "objective must be a function of params, seed and epochs"),
        ({"objective": lambda p: 1.0, "trial_timeout": 1}, "trial_timeout must go with trials in processes"),
    ],
)
def test_what_can_not_be_is_refused_in_a_line_before_anything_runs(options: dict[str, Any], law: str) -> None:
    with pytest.raises((TypeError, ValueError), match=law) as error:
        sweep(**{"space": {"x": [1]}, "objective": square, "metric": "loss", **options})
    assert "\n" not in str(error.value)


def test_changed_source_is_refused_unless_it_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "def objective(params):\n    return params['x'] * scale()\n\n\ndef scale():\n    return 2.0\n"
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    path = tmp_path / "mine.py"

    def mine(text: str) -> Any:
        path.write_text(text)
        sys.modules.pop("mine", None)
        importlib.invalidate_caches()
        return importlib.import_module("mine").objective

    def run(objective: Any, **options: Any) -> Study:
        return sweep(space={"x": [1, 2]}, objective=objective, metric="loss", storage=tmp_path / "a.db", **options)

    run(mine(text))
    assert run(mine(f"# a comment\n\n{text}")).new_trials == 0
    changed = mine(text.replace("2.0", "3.0"))
    for go_on in (run, lambda objective: Study.open(tmp_path / "a.db").resume(objective=objective)):
        with pytest.raises(StudyFileError, match=r"must be continued with the same code, but has the source .* there"):
            go_on(changed)
    study = run(changed, allow_changed=True)
    assert (study.new_trials, len(study.trials)) == (0, 2)
    assert run(changed).new_trials == 0
    with pytest.raises(
        ValueError, match=r"objective must be given for a study of mine.objective, .* pass objective=objective"
    ):
        Study.open(tmp_path / "a.db").resume()


def test_a_function_has_no_model_to_return() -> None:
    study = sweep(space={"x": [1]}, objective=square, metric="loss")
    for ask in (study.test, study.best_run, study.final_run):
        with pytest.raises(ValueError, match=r"the study is of a function; call it with study.best.params"):
            ask()


def test_states_come_back_as_they_were() -> None:
    from tuning.objectives.outcome import packed, unpacked

    state = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3), "n": [1, 2.5, None, True, "x\n"], "b": b"\n\x00",
        "t": (2**70,),
        "rng": np.random.default_rng(0).bit_generator.state,
    }  # fmt: skip
    back = unpacked(packed(state))
    assert back["a"].tolist() == state["a"].tolist()  # type: ignore[union-attr]
    assert back["a"].dtype == np.float32
    assert {**back, "a": 0} == {**state, "a": 0}
    with pytest.raises(TypeError, match=r"a state must be made of arrays"):
        packed({"model": object()})
