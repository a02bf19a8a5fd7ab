"""Sweeps that really train."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nn import MLP, SGD, Dataset, load_dataset, train
from tests.tuning.fakes import files, same_trials
from tuning import LogUniform, Study, sweep
from tuning.calls import calls_of
from tuning.objective import Objective
from tuning.space import PARAMETERS, Space
from tuning.store import StudyFileError, TrialSpec, seed_of

IRIS: dict[str, Any] = {"learning_rate": LogUniform(1e-2, 1.0), "batch_size": [8, 32], "hidden_units": [4, (4, 4)]}


def test_a_sweep_has_the_same_bits_for_one_and_two_threads_and_a_process_pool() -> None:
    alone = sweep("iris", IRIS, points=2, epochs=4, folds=2, n_jobs=1)
    assert same_trials(alone, sweep("iris", IRIS, points=2, epochs=4, folds=2, n_jobs=2))
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert same_trials(alone, sweep("iris", IRIS, points=2, epochs=4, folds=2, executor=pool))


def test_every_fold_and_repeat_is_a_training_of_its_own() -> None:
    study = sweep("iris", {"learning_rate": 0.1, "hidden_units": 4}, epochs=2, repeats=2, folds=2)
    assert len({trial.metrics["train_loss"] for trial in study.trials}) == 4
    assert study.best.trials == 4
    splits = load_dataset("iris").folds(2, seed=0, test=0.2)
    for trial in study.trials:
        assert trial.fold is not None
        run = train(MLP((4, 4, 3)), splits[trial.fold], SGD(0.1), batch_size=32, epochs=2, seed=trial.seed)
        assert run.metrics == trial.metrics


def test_a_sweep_on_arrays_resumes_with_the_same_arrays_only(tmp_path: Path) -> None:
    data = load_dataset("moons", n=60, seed=1)
    arrays = Dataset(data.X, data.y)
    sweep(arrays, IRIS, "random", n_trials=3, epochs=2, storage=tmp_path / "a.db").close()
    study = Study.open(tmp_path / "a.db")
    with pytest.raises(ValueError, match="a study that was made from arrays"):
        study.resume()
    with pytest.raises(ValueError, match="fingerprint"):
        study.resume(Dataset(data.X + 1.0, data.y))
    assert study.resume(arrays).new_trials == 0


def test_resume_needs_nothing_but_the_file_of_a_named_set(tmp_path: Path) -> None:
    sweep("iris", IRIS, points=3, n_trials=4, epochs=2, storage=tmp_path / "a.db").close()
    assert Study.open(tmp_path / "a.db").resume().new_trials == 0
    whole = sweep("iris", IRIS, points=3, epochs=2, storage=tmp_path / "a.db")
    assert same_trials(whole, sweep("iris", IRIS, points=3, epochs=2))
    assert whole.new_trials == 8


def test_curves_end_in_the_metrics_and_a_diverged_trial_says_when() -> None:
    study = sweep("iris", {"learning_rate": [0.1, 1e6], "hidden_units": 8}, epochs=5)
    good, bad = study.trials
    assert (good.state, good.epochs, bad.state) == ("completed", 5, "diverged")
    assert (
        set(good.metrics)
        == set(good.curves)
        == {"train_loss", "train_accuracy", "validation_loss", "validation_accuracy"}
    )
    assert all(curve.shape == (5,) and curve[-1] == good.metrics[name] for name, curve in good.curves.items())
    assert bad.diverged_step is not None
    assert bad.epochs < 5
    assert study.best.params["learning_rate"] == 0.1


def test_regression_is_ranked_by_r2() -> None:
    study = sweep("diabetes", {"learning_rate": [0.01, 0.1], "hidden_units": 4}, epochs=5)
    assert study.metric == "validation_r2"
    assert set(study.best.metrics) == {"train_loss", "train_r2", "validation_loss", "validation_r2"}


def test_training_never_sees_the_test_part() -> None:
    data = load_dataset("iris")
    test_rows = data.split().rows["test"]
    spoilt = data.X.copy()
    spoilt[test_rows] = 1e6
    study, other = (sweep(Dataset(X, data.y), IRIS, points=2, epochs=3) for X in (data.X, spoilt))
    assert same_trials(study, other)


def test_every_known_parameter_reaches_the_trainer() -> None:
    plain = {"learning_rate": 0.05, "hidden_units": 6}
    objective = Objective.prepare("iris")
    context: dict[str, dict[str, Any]] = {
        "nesterov": {"momentum": 0.5},
        **{name: {"optimizer": "adam"} for name in ("beta1", "beta2", "epsilon")},
        "schedule_every": {"schedule": "step"},
        "schedule_factor": {"schedule": "step", "schedule_every": 3},
        "schedule_final": {"schedule": "cosine"},
        "schedule_warmup": {"schedule": "warmup"},
        **{f"schedule_{name}": {"schedule": "one_cycle"} for name in ("rise", "start", "end")},
        "schedule_steps": {"schedule": "cosine"},
        "schedule_linear": {"schedule": "ramp"},
        **{name: {"parametrisation": "mup", "base_width": 2} for name in ("parametrisation", "base_width")},
        **{name: {"schedule": "triangular"} for name in ("schedule_half", "schedule_low")},
    }
    other: dict[str, Any] = {
        "learning_rate": 0.2,
        "batch_size": 7,
        "hidden_units": (3, 2),
        "optimizer": "adam",
        "momentum": 0.5,
        "nesterov": True,
        "beta1": 0.5,
        "beta2": 0.5,
        "epsilon": 0.1,
        "weight_decay": 0.1,
        "clip_norm": 0.01,
        "rate_multipliers": (1, 0.1),
        "l2": 0.1,
        "dropout": 0.5,
        "activation": "tanh",
        "init": "glorot",
        "std": (0.3, 0.1),
        "multipliers": (1, 0.5),
        "parametrisation": "standard",
        "base_width": 3,
        "bias": False,
        "dtype": "float64",
        "schedule": "cosine",
        "schedule_every": 2,
        "schedule_factor": 0.5,
        "schedule_final": 0.9,
        "warmup": 3,
        "schedule_steps": 2,
        "schedule_warmup": 3,
        "schedule_start": 2.0,
        "schedule_end": 2.0,
        "schedule_linear": True,
        "schedule_rise": 0.6,
        "schedule_half": 3,
        "schedule_low": 0.7,
    }
    assert {*other, "output", "loss"} == set(PARAMETERS)  # of these three classes allow one pair alone

    def final_loss(setting: dict[str, Any]) -> float:
        result = objective(TrialSpec(0, setting, "", 0, None, 3, seed_of(0, 0, None)))
        assert result.error is None
        return result.metrics["train_loss"]

    for name, value in other.items():
        around = {**plain, **context.get(name, {})}
        objective.check(Space({key: [each] for key, each in {**around, name: value}.items()}))
        assert final_loss({**around, name: value}) != final_loss(around), name


@pytest.mark.parametrize(
    ("arguments", "law"),
    [
        ({"space": {"learning_rte": [0.1]}}, "did you mean 'learning_rate'"),
        ({"space": {"learning_rate": [0.1, -1.0]}}, "learning_rate must be a finite number > 0, but got -1"),
        ({"space": {"learning_rate": [float("nan")]}}, "finite"),
        ({"space": {"learning_rate": "-1:1"}}, "learning_rate must be"),
        ({"space": {"batch_size": 0}}, "between 1 and the 90 training examples, or full, but got 0"),
        ({"space": {"batch_size": [16, 91]}}, "but got 91"),
        ({"space": {"batch_size": True}}, "batch_size must be"),
        ({"space": {"hidden_units": [8, 0]}}, "hidden_units must be an integer of at least 1"),
        ({"space": {"hidden_units": "8x0"}}, "hidden_units must be an integer of at least 1"),
        ({"space": {"activation": "rellu"}}, "did you mean 'relu'"),
        ({"space": {"optimizer": "adma"}}, "did you mean 'adam'"),
        (
            {"space": {"momentum": 0.9, "optimizer": "adam"}},
            "momentum must go with optimizer sgd or rmsprop, but the optimizer is adam",
        ),
        ({"space": {"beta1": 0.9}}, "beta1 must go with optimizer adam"),
        ({"space": {"schedule": "cosin"}}, "did you mean 'cosine'"),
        ({"space": {"schedule_final": 0.1}}, "schedule_final must go with schedule"),
        ({"space": {"momentum": "0:0.9", "nesterov": "true"}}, "nesterov=True needs a momentum"),
        ({"space": {"dropout": "0:1"}}, "dropout must be"),
        ({"space": {"epochs": [5, 10]}}, "beside the space"),
        ({"space": {}}, "at least one parameter"),
        ({"data": "irsi"}, "did you mean 'iris'"),
        ({"data": 5}, "a dataset must be"),
        ({"method": "gird"}, "did you mean 'grid'"),
        ({"method": "random"}, "give n_trials"),
        ({"points": 0}, "points must be"),
        ({"epochs": 0}, "epochs must be"),
        ({"repeats": 0}, "repeats must be"),
        ({"folds": 1}, "folds must be"),
        ({"folds": 1000}, "folds must be at most"),
        ({"metric": "validation_acuracy"}, "did you mean 'validation_accuracy'"),
        ({"metric": "validation_r2"}, "metric must be one of"),
        ({"target": float("nan")}, "target must be"),
        ({"timeout": 0}, "timeout must be"),
        ({"n_trials": 2, "repeats": 3}, "n_trials must be at least the 3"),
        ({"n_jobs": 0}, "n_jobs must be"),
        ({"seed": -1}, "seed must be"),
        ({"executor": "threads"}, "executor must be"),
    ],
)
def test_bad_input_is_refused_before_any_training_and_before_a_file_is_made(
    arguments: dict[str, Any], law: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(self: Objective, spec: TrialSpec) -> None:
        raise AssertionError("nothing may be trained")

    monkeypatch.setattr(Objective, "__call__", never)
    given = {"data": "iris", "space": {"learning_rate": "0.1:1"}, "storage": tmp_path / "new" / "a.db", **arguments}
    with pytest.raises((ValueError, TypeError), match=law) as error:
        sweep(**given)
    assert "\n" not in str(error.value)
    assert files(tmp_path) == []


def test_the_engine_starts_without_numba() -> None:
    script = "import sys, tuning, tuning.cli; sys.exit('numba' in sys.modules or 'scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[2], check=False).returncode == 0


def test_threads_share_the_arrays_of_the_data() -> None:
    objective = Objective.prepare("iris")
    before = [part.X.copy() for part in (objective.splits[0].train, objective.splits[0].validation) if part is not None]
    for seed in range(3):
        objective(TrialSpec(0, {"learning_rate": 0.1}, "", 0, None, 2, seed))
    after = [part.X for part in (objective.splits[0].train, objective.splits[0].validation) if part is not None]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("limit", [{"n_trials": 14}, {"total_epochs": 14 * 2}])
def test_a_grid_that_a_limit_cuts_spans_its_space_and_goes_on_to_the_whole(
    limit: dict[str, int], tmp_path: Path
) -> None:
    space = {"learning_rate": "1e-3:1:log", "batch_size": [8, 16, 32], "optimizer": {"sgd": {}, "adam": {"beta1": 0.8}}}
    options: dict[str, Any] = {"points": 7, "epochs": 2, "folds": 2}
    cut = sweep("iris", space, storage=tmp_path / "a.db", **options, **limit)
    rates = sorted({trial.params["learning_rate"] for trial in cut.trials})
    assert len(cut.trials) == 14
    assert (len(rates), rates[0], rates[-1]) == (7, 0.001, 1.0)
    assert {trial.params["batch_size"] for trial in cut.trials} == {8, 16, 32}
    assert {trial.params["optimizer"] for trial in cut.trials} == {"sgd", "adam"}
    cut.close()
    more = Study.open(tmp_path / "a.db").resume(n_trials=None, total_epochs=None)
    assert [trial.number for trial in more.trials] == list(range(84))
    assert same_trials(more, sweep("iris", space, **options))


def test_the_curves_of_layers_are_kept_on_request(tmp_path: Path) -> None:
    space = {"learning_rate": [0.1], "hidden_units": [8, (6, 5)], "activation": ["relu", "tanh"]}
    options: dict[str, Any] = {"epochs": 3, "storage": tmp_path / "study.db"}
    plain = sweep("iris", space, epochs=3)
    study = sweep("iris", space, curves="layers", **options)
    assert study.best.params == plain.best.params
    for trial, without in zip(study.trials, plain.trials, strict=True):
        assert trial.metrics == without.metrics
        further = {name: curve for name, curve in trial.curves.items() if name not in without.curves}
        units = trial.params["hidden_units"]
        layers, share = 2 if units == 8 else 3, "dead" if trial.params["activation"] == "relu" else "saturated"
        names = [f"layer_{i + 1}_{norm}_norm" for norm in ("weight", "gradient", "update") for i in range(layers)]
        assert list(further) == names + [f"layer_{i + 1}_{share}" for i in range(layers - 1)]
        data = load_dataset("iris").split(seed=0)
        sizes = (4, *(units if isinstance(units, tuple) else (units,)), 3)
        model = MLP(sizes, str(trial.params["activation"]))
        run = train(model, data, SGD(0.1), batch_size=32, epochs=3, seed=trial.seed)
        assert run.history.layers is not None
        for name, curve in run.history.layers.curves().items():
            np.testing.assert_array_equal(further[name], curve)
    with pytest.raises(StudyFileError, match="curves layers there and none here"):
        sweep("iris", space, **options)
    assert sweep("iris", space, curves="layers", **options).new_trials == 0
    assert "--curves layers" in (calls_of(study).command or "")
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert same_trials(study, sweep("iris", space, epochs=3, curves="layers", executor=pool))
    assert Study.open(tmp_path / "study.db").resume().new_trials == 0
    with pytest.raises(ValueError, match=r"^curves must be .*layers.*, but got 'norms'$"):
        sweep("iris", space, curves="norms")


def test_folds_may_differ_in_their_features() -> None:
    data = load_dataset("iris")
    narrow = Dataset(data.X[:, :2], data.y)
    splits = (data.folds(2, seed=0, test=0.2)[0], narrow.folds(2, seed=0, test=0.2)[1])
    objective = Objective(splits, 2)
    objective.check(Space({"learning_rate": [0.1], "hidden_units": [4]}))
    spec = TrialSpec(0, {"learning_rate": 0.1, "hidden_units": 4}, "", 0, 0, 2, 1)
    for fold, features in enumerate((4, 2)):
        run = objective.run(spec._replace(fold=fold))
        assert run.model.layer_sizes == (features, 4, 3)
        assert (
            run.metrics == train(MLP((features, 4, 3)), splits[fold], SGD(0.1), batch_size=32, epochs=2, seed=1).metrics
        )
    model, *_ = objective.build(spec.params)
    assert objective.build(spec.params)[0] is model  # made once
