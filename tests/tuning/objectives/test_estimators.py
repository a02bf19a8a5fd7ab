"""An estimator of scikit-learn's as the model of a study: its own scores, on the splits of a network's study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs the extra sklearn")

from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from nn import Dataset, load_dataset
from tests.tuning.fakes import run_until_killed, same_trials
from tuning import Study, sweep
from tuning.export import show_lines
from tuning.store import COMPLETED, FAILED, StudyFileError

GRID: dict[str, Any] = {
    "n_estimators": [2, 3], "max_depth": [None, 3], "min_samples_split": [4], "min_samples_leaf": [2],
}  # fmt: skip


def forest(**options: Any) -> Study:
    """The textbook's search, with smaller forests."""
    return sweep("iris", GRID, model=RandomForestClassifier(random_state=0), folds=5, **options)


def folds_of(name: str, k: int) -> tuple[Any, Any, list[tuple[Any, Any]]]:
    """The data, and the rows of the folds that every study of them has."""
    data = load_dataset(name)
    return data.X, data.y, [(s.rows["train"], s.rows["validation"]) for s in data.folds(k, 0, 0.2)]


def test_the_textbooks_search_killed_and_resumed_has_the_scores_of_grid_search_cv(tmp_path: Path) -> None:
    lines = [
        "import os, signal",
        "from tests.tuning.objectives.test_estimators import forest",
        "def kill(trial): trial.number > 5 and os.kill(os.getpid(), signal.SIGKILL)",
        f"forest(storage={str(tmp_path / 'a.db')!r}, n_jobs=2, callback=kill)",
    ]
    run_until_killed(lines)
    begun = len(Study.open(tmp_path / "a.db").trials)
    study = forest(storage=tmp_path / "a.db", n_jobs=2)
    assert (study.new_trials, len(study.trials)) == (20 - begun, 20)
    X, y, folds = folds_of("iris", 5)
    search = GridSearchCV(RandomForestClassifier(random_state=0), GRID, cv=folds, refit=False).fit(X, y)
    known = {
        tuple(params.values()): [search.cv_results_[f"split{fold}_test_score"][i] for fold in range(5)]
        for i, params in enumerate(search.cv_results_["params"])
    }
    for trial in study.trials:
        here = tuple(trial.params[name] for name in search.cv_results_["params"][0])
        assert trial.metrics["validation_accuracy"] == known[here][trial.fold or 0]
    assert same_trials(study, forest(n_jobs=1))


def test_losses_are_those_of_scikit_learn_and_a_free_random_state_is_the_trials_seed() -> None:
    study = sweep("wine", {"n_estimators": [4]}, model=RandomForestClassifier(), repeats=2)
    split = load_dataset("wine").split(validation=0.2, test=0.2, seed=0, scale=False)
    for trial in study.trials:
        made = RandomForestClassifier(4, random_state=trial.seed).fit(split.train.X, split.train.y)
        assert trial.metrics["validation_accuracy"] == made.score(split.validation.X, split.validation.y)
        loss = log_loss(split.validation.y, made.predict_proba(split.validation.X))
        assert trial.metrics["validation_loss"] == pytest.approx(loss, abs=1e-12)
    made = study.best_run()
    assert made.score(split.validation.X, split.validation.y) == study.trials[0].metrics["validation_accuracy"]


def test_a_regression_has_losses_in_the_units_of_a_network() -> None:
    study = sweep("diabetes", {"n_estimators": [4]}, model=RandomForestRegressor(random_state=1), metric="rmse")
    split = load_dataset("diabetes").split(validation=0.2, test=0.2, seed=0)
    raw = split.unscaled()
    made = RandomForestRegressor(4, random_state=1).fit(raw.train.X, raw.train.y)
    answers = made.predict(raw.validation.X)
    metrics = study.trials[0].metrics
    assert metrics["validation_r2"] == pytest.approx(r2_score(raw.validation.y, answers), abs=1e-12)
    errors = split.scaling.transform_targets(answers) - split.validation.y
    assert metrics["validation_loss"] == pytest.approx(np.mean(errors**2) / 2)
    assert metrics["validation_rmse"] == pytest.approx(np.sqrt(np.mean(errors**2)))
    assert study.metric == "validation_rmse"


@pytest.mark.parametrize(
    ("model", "space"),
    [
        (make_pipeline(StandardScaler(), LogisticRegression()), {"logisticregression__C": "1e-2:1:log"}),
        (LinearSVC(), {"C": [0.1, 1.0]}),
        (GaussianNB(), {"var_smoothing": [1e-9, 1e-3]}),
        (KNeighborsClassifier(), {"weights": ["uniform", "distance"], "p": [1, 2]}),
    ],
)
def test_any_estimator_and_what_is_inside_a_pipeline_is_searched(model: Any, space: dict[str, Any]) -> None:
    study = sweep("iris", space, model=model, points=2)
    assert {trial.state for trial in study.trials} == {COMPLETED}
    assert ("validation_loss" in study.trials[0].metrics) == hasattr(model, "predict_proba")
    assert study.best.metrics["validation_accuracy"] > 0.8
    assert study.test()["test_accuracy"] > 0.8
    last = show_lines(study, 3, None)[-1]
    assert "by an estimator fitted on the 120 rows of training and validation" in last


def test_text_columns_and_missing_cells_are_encoded_as_for_a_network(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = [f"{i % 7},{('red', 'blue', '')[i % 3]},{'' if i % 5 == 0 else i},{'ab'[i % 2]}" for i in range(120)]
    path.write_text("\n".join(["size,colour,length,target", *rows]))
    study = sweep(path, {"max_depth": [2, None]}, model=DecisionTreeClassifier(), folds=3, storage=tmp_path / "s.db")
    assert {trial.state for trial in study.trials} == {COMPLETED}
    again = Study.open(tmp_path / "s.db")
    with pytest.raises(ValueError, match=r"model must be given for a study of sklearn.tree.DecisionTree"):
        again.test()
    assert 0 < again.test(model=DecisionTreeClassifier())["test_accuracy"] <= 1
    assert again.resume(model=DecisionTreeClassifier()).new_trials == 0


def test_another_estimator_other_parameters_and_another_version_are_other_studies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(model: Any, **options: Any) -> Study:
        return sweep("iris", {"max_depth": [2]}, model=model, storage=tmp_path / "a.db", n_jobs=1, **options)

    run(DecisionTreeClassifier())
    assert run(DecisionTreeClassifier()).new_trials == 0
    for model, what in (
        (RandomForestClassifier(), "model sklearn"),
        (DecisionTreeClassifier(min_samples_leaf=2), "leaf"),
    ):
        with pytest.raises(StudyFileError, match=rf"must have the same definition to be continued, but has .*{what}"):
            run(model)
    monkeypatch.setattr("sklearn.__version__", "0.1")
    with pytest.raises(StudyFileError, match=r"the version sklearn .* there and sklearn 0.1 here"):
        run(DecisionTreeClassifier())
    assert run(DecisionTreeClassifier(), allow_changed=True).new_trials == 0


def test_what_does_not_fit_together_is_a_failed_trial() -> None:
    study = sweep("iris", {"penalty": ["l1", "l2"], "loss": ["hinge"]}, model=LinearSVC(max_iter=50_000))
    assert [trial.state for trial in study.trials] == [FAILED, COMPLETED]
    assert str(study.trials[0].error).startswith("ValueError: Unsupported set of arguments")
    assert "Traceback" in str(study.trials[0].traceback)


@pytest.mark.parametrize(
    ("options", "law"),
    [
        ({"model": RandomForestClassifier}, r"must be an estimator with fit and predict, as in model=RandomF.*\(\)"),
        ({"space": {"n_estimator": [3]}}, "did you mean 'n_estimators'"),
        ({"space": {"n_estimators": [3, -1]}}, "n_estimators must be what the estimator takes, but: The 'n_estim"),
        ({"epochs": 3}, "epochs must be None with a model"),
        ({"method": "hyperband"}, "must have trials that can be trained for more epochs"),
        ({"model": LinearSVC(), "space": {"C": [1]}, "metric": "auc"}, "LinearSVC has no predict_proba"),
        ({"class_weight": "balanced"}, "class_weight must be None with a model"),
    ],
)
def test_what_can_not_be_is_refused_in_a_line(options: dict[str, Any], law: str) -> None:
    given = {"data": "iris", "space": {"max_depth": [2]}, "model": RandomForestClassifier(), **options}
    with pytest.raises((TypeError, ValueError), match=law):
        sweep(**given)


def test_a_network_is_compared_with_an_estimator_in_pairs() -> None:
    data = load_dataset("digits")
    network = sweep(data, {"learning_rate": [0.2], "hidden_units": 32}, epochs=10, folds=4, repeats=2)
    stump = sweep(data, {"max_depth": [1]}, model=DecisionTreeClassifier(), folds=4)
    found = network.compare(stump)
    assert found.better == "network"
    assert found.low is not None
    assert found.low < found.difference < 1
    assert str(found).startswith(f"network is {found.difference:.4f} better in validation accuracy than DecisionTree")
    assert stump.compare(network).difference == -found.difference
    with pytest.raises(ValueError, match=r"must have the same folds"):
        network.compare(sweep(data, {"max_depth": [1]}, model=DecisionTreeClassifier(), folds=3))
    other = Dataset(data.X + 1, data.y)
    with pytest.raises(ValueError, match=r"must have the same data"):
        network.compare(sweep(other, {"max_depth": [1]}, model=DecisionTreeClassifier(), folds=4))


def test_what_can_not_be_pickled_runs_in_threads() -> None:
    model = make_pipeline(FunctionTransformer(lambda X: X - 1), LogisticRegression())
    study = sweep("iris", {"logisticregression__C": [1.0]}, model=model)
    assert [trial.state for trial in study.trials] == [COMPLETED]


def test_a_ridge_is_fitted_to_features_that_are_not_scaled() -> None:
    study = sweep("diabetes", {"alpha": [1.0]}, model=Ridge())
    raw = load_dataset("diabetes").split(validation=0.2, test=0.2, seed=0, scale=False)
    assert np.array_equal(study.best_run().coef_, Ridge().fit(raw.train.X, raw.train.y).coef_)
    assert study.final_run().n_features_in_ == 10
