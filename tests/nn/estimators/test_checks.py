"""The estimators among scikit-learn's tools: its conformance suite, searches, pipelines, calibration, workers."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV, cross_val_score
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from nn.estimators.mlp import MLPClassifier, MLPRegressor

X, Y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)
# With dropout the units are silenced anew for each row of a mini-batch: one that stands there twice is silenced in two
# ways, one of weight 2 in one. That the two fits are equal can't be asked then, of dense X or of sparse.
EXPECTED_WITH_DROPOUT = {f"check_sample_weight_equivalence_on_{kind}_data" for kind in ("dense", "sparse")}
# Checks that do not apply: of arrays other than NumPy's, which need a variable in the environment, and of a method that
# scikit-learn's own classifier has not either.
SKIPPED = {"check_array_api_input", "check_classifiers_multilabel_output_format_decision_function"}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def quick(**settings: Any) -> MLPClassifier:
    """A classifier that has learnt the irises in 30 epochs."""
    return MLPClassifier((8,), **{"learning_rate_init": 0.05, "max_iter": 30, "random_state": 0} | settings)


@pytest.mark.parametrize(
    "estimator",
    [
        MLPClassifier(),
        MLPClassifier(activation="gelu", solver="sgd", learning_rate_init=0.02, learning_rate="adaptive"),
        MLPRegressor(),
        MLPRegressor(activation="tanh", dropout=0.1),
    ],
    ids=repr,
)
def test_all_of_scikit_learns_checks_pass(estimator: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(estimator, on_fail=None, on_skip=None)
    assert len(results) > 50
    failed = {r["check_name"]: repr(r["exception"]) for r in results if r["status"] not in ("passed", "skipped")}
    assert failed.keys() == (EXPECTED_WITH_DROPOUT if estimator.dropout else set()), failed
    assert {r["check_name"] for r in results if r["status"] == "skipped"} <= SKIPPED


def test_cross_validation_scores_what_was_learnt() -> None:
    assert cross_val_score(make_pipeline(StandardScaler(), quick()), X, Y, cv=3).mean() > 0.9
    scores = cross_val_score(
        MLPRegressor(hidden_layer_sizes=8, solver="lbfgs", random_state=0), X[:, :3], X[:, 3], cv=3, scoring="r2"
    )
    assert np.isfinite(scores).all()


def test_searches_find_the_learning_rate_that_learns() -> None:
    rates = [1e-6, 0.05]
    grid = {"mlpclassifier__learning_rate_init": rates}
    search = GridSearchCV(make_pipeline(StandardScaler(), quick()), grid, cv=2).fit(X, Y)
    assert search.best_params_ == {"mlpclassifier__learning_rate_init": 0.05}
    drawn = RandomizedSearchCV(quick(), {"learning_rate_init": rates}, n_iter=2, cv=2, random_state=0).fit(X, Y)
    assert drawn.best_params_ == {"learning_rate_init": 0.05}


def test_halving_gives_the_best_more_epochs() -> None:
    candidates = {"learning_rate_init": [1e-6, 1e-5, 1e-4, 0.05]}
    search = HalvingGridSearchCV(
        quick(), candidates, resource="max_iter", min_resources=5, max_resources=20, factor=2, cv=2, random_state=0
    ).fit(X, Y)
    assert search.best_params_["learning_rate_init"] == 0.05
    assert list(search.n_resources_) == [5, 10, 20]
    assert search.best_estimator_.max_iter == 20


def test_calibration_and_other_meta_estimators_take_it() -> None:
    calibrated = CalibratedClassifierCV(quick(), cv=2, ensemble=False).fit(X, Y)
    assert calibrated.score(X, Y) > 0.9
    np.testing.assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1.0)
    several = MultiOutputClassifier(quick()).fit(X, np.stack([Y, Y[::-1]], axis=1))
    assert several.predict(X).shape == (150, 2)


def test_a_clone_is_unfitted_and_fits_alike() -> None:
    fitted = quick(class_weight={0: 2.0}, dropout=0.1).fit(X, Y)
    again = clone(fitted)
    assert not hasattr(again, "coefs_")
    assert again.get_params() == fitted.get_params()
    np.testing.assert_array_equal(again.fit(X, Y).coefs_[0], fitted.coefs_[0])


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_workers_fit_and_predict_to_the_same_bits(backend: str, tmp_path: Path) -> None:
    classifiers = [quick(random_state=seed) for seed in range(2)]
    here = [classifier.fit(X, Y).predict_proba(X) for classifier in classifiers]
    with joblib.parallel_config(backend=backend, n_jobs=2):
        there = joblib.Parallel()(joblib.delayed(clone(c).fit)(X, Y) for c in classifiers)
    for ours, fitted in zip(here, there, strict=True):
        joblib.dump(fitted, tmp_path / "fitted.joblib")
        np.testing.assert_array_equal(joblib.load(tmp_path / "fitted.joblib").predict_proba(X), ours)
