"""The estimators beside scikit-learn's: the same course to rounding, the same words in the same cases, and the new."""

from __future__ import annotations

import contextlib
import pickle
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import scipy.special
from sklearn import neural_network
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.model_selection import train_test_split

from nn import MLP, estimators, reference

IRIS, SPECIES = load_iris(return_X_y=True)
IRIS = (IRIS - IRIS.mean(axis=0)) / IRIS.std(axis=0)
DIGITS, NUMBERS = (part[:200] for part in load_digits(return_X_y=True))
DIGITS = DIGITS / 16
LABELS = np.stack([SPECIES > 0, SPECIES == 1, IRIS[:, 0] > 0], axis=1).astype(int)
VALUES = np.stack([IRIS[:, 3], IRIS[:, 1] - 2 * IRIS[:, 2]], axis=1)
WEIGHTS = np.random.default_rng(0).uniform(0.1, 2.0, len(IRIS))
TARGETS = {"classes": SPECIES, "two classes": SPECIES > 0, "labels": LABELS, "value": VALUES[:, 0], "values": VALUES}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
COMPARED = pytest.mark.skipif(
    "loss" not in neural_network.MLPRegressor().get_params(),
    reason="scikit-learn's own estimators have no sample_weight and no Poisson loss before 1.7",
)


def both(kind: str, **settings: Any) -> tuple[Any, Any]:
    """scikit-learn's estimator and ours, with the same settings."""
    settings = {"random_state": 0, "hidden_layer_sizes": (7, 5), "max_iter": 8} | settings
    return getattr(neural_network, kind)(**settings), getattr(estimators, kind)(**settings)


def kind_for(target: str) -> str:
    return "MLPRegressor" if target.startswith("value") else "MLPClassifier"


def assert_same(theirs: Any, ours: Any, tolerance: float = 1e-9) -> None:
    """Parameters to rounding, and all that was noted on the way; the loss curve to 1e-6, for its penalty."""
    for before, after in zip(theirs.coefs_ + theirs.intercepts_, ours.coefs_ + ours.intercepts_, strict=True):
        np.testing.assert_allclose(after, before, rtol=0, atol=tolerance)
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(ours, name) == getattr(theirs, name), name
    names = ["loss_"]
    if theirs.solver != "lbfgs":
        names += ["loss_curve_", "best_loss_", "validation_scores_", "best_validation_score_"]
    for name in names:
        before, after = getattr(theirs, name), getattr(ours, name)
        assert (before is None) == (after is None), name
        if before is not None:
            np.testing.assert_allclose(after, before, rtol=1e-6, atol=1e-6, err_msg=name)


@COMPARED
@pytest.mark.parametrize(
    ("target", "settings"),
    [
        ("classes", {}),
        ("classes", {"solver": "sgd", "learning_rate_init": 0.1, "batch_size": 16}),
        ("classes", {"solver": "sgd", "learning_rate_init": 0.1, "nesterovs_momentum": False, "alpha": 1.0}),
        ("classes", {"solver": "sgd", "momentum": 0.0, "batch_size": 50, "shuffle": False}),
        ("classes", {"solver": "sgd", "momentum": 1.0, "batch_size": 50}),
        ("classes", {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.5, "batch_size": 40}),
        (
            "classes",
            {
                "solver": "sgd",
                "learning_rate": "adaptive",
                "learning_rate_init": 0.2,
                "tol": 0.05,
                "n_iter_no_change": 2,
                "max_iter": 60,
                "batch_size": 64,
            },
        ),
        ("classes", {"epsilon": 0.01, "beta_1": 0.5, "beta_2": 0.9, "batch_size": 7, "alpha": 3.0}),
        ("classes", {"early_stopping": True, "max_iter": 30, "n_iter_no_change": 3, "learning_rate_init": 0.02}),
        ("two classes", {"early_stopping": True, "validation_fraction": 0.3, "activation": "tanh"}),
        ("two classes", {"activation": "logistic", "batch_size": 30}),
        ("labels", {"early_stopping": True, "activation": "identity"}),
        ("value", {"batch_size": 13, "tol": 0.5, "n_iter_no_change": 3}),
        ("values", {"early_stopping": True, "solver": "sgd", "batch_size": 20}),
        ("values", {"hidden_layer_sizes": 6, "alpha": 0.0}),
    ],
)
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["even", "weighted"])
def test_a_fit_takes_the_course_of_scikit_learns(target: str, settings: dict[str, Any], weights: Any) -> None:
    theirs, ours = both(kind_for(target), **settings)
    for estimator in (theirs, ours):
        estimator.fit(IRIS, TARGETS[target], sample_weight=weights)
    assert_same(theirs, ours)
    np.testing.assert_allclose(ours.predict(IRIS), theirs.predict(IRIS), atol=1e-9)
    if kind_for(target) == "MLPClassifier":
        np.testing.assert_array_equal(ours.classes_, theirs.classes_)
        np.testing.assert_allclose(ours.predict_proba(IRIS), theirs.predict_proba(IRIS), atol=1e-9)
        np.testing.assert_allclose(ours.predict_log_proba(IRIS), theirs.predict_log_proba(IRIS), atol=1e-7)
        assert ours.score(IRIS, TARGETS[target]) == theirs.score(IRIS, TARGETS[target])


@pytest.mark.parametrize("alpha", [1e-4, 1.0])
def test_a_long_epoch_keeps_its_loss_within_a_millionth(alpha: float) -> None:
    theirs, ours = both("MLPClassifier", hidden_layer_sizes=20, batch_size=2, alpha=alpha, max_iter=6)
    for estimator in (theirs, ours):
        estimator.fit(DIGITS, NUMBERS)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-6)


@COMPARED
@pytest.mark.parametrize("target", ["classes", "two classes", "labels", "value"])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["even", "weighted"])
def test_lbfgs_takes_the_course_of_scikit_learns(target: str, weights: Any) -> None:
    theirs, ours = both(kind_for(target), solver="lbfgs", max_iter=15, alpha=0.1)
    for estimator in (theirs, ours):
        estimator.fit(IRIS, TARGETS[target], sample_weight=weights)
    assert_same(theirs, ours, 1e-6)


def test_lbfgs_ends_where_the_gradient_of_several_outputs_is_zero() -> None:
    settings = {"solver": "lbfgs", "alpha": 1.0, "tol": 1e-9, "max_iter": 5000, "random_state": 0}
    regressor = estimators.MLPRegressor("squared_error", 3, "tanh", **settings).fit(IRIS, VALUES)
    model = MLP((4, 3, 2), "tanh", "identity", "squared_error", dtype="float64", l2=1.0 / len(IRIS))
    layers = zip(regressor.coefs_, regressor.intercepts_, strict=True)
    theta = np.concatenate([part.ravel() for layer in layers for part in layer])
    assert np.abs(model.gradient(theta, IRIS, VALUES)).max() < 1e-3
    data = 0.5 * np.mean((regressor.predict(IRIS) - VALUES) ** 2)
    penalty = 0.5 / len(IRIS) * sum((W**2).sum() for W in regressor.coefs_)
    assert regressor.loss_ == pytest.approx(data + penalty, rel=1e-9)


@COMPARED
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_poisson_takes_the_course_of_scikit_learns(solver: str) -> None:
    counts = np.random.default_rng(1).poisson(np.exp(VALUES / 3))
    settings = {"loss": "poisson", "solver": solver, "alpha": 0.1, "batch_size": 40, "early_stopping": solver == "sgd"}
    theirs, ours = both("MLPRegressor", **settings)
    for estimator in (theirs, ours):
        estimator.fit(IRIS, counts, sample_weight=WEIGHTS)
    assert_same(theirs, ours, 1e-9 if solver != "lbfgs" else 1e-6)
    np.testing.assert_allclose(ours.predict(IRIS), theirs.predict(IRIS), rtol=1e-6)
    with pytest.raises(ValueError, match=r"y must be >= 0 with loss='poisson', but its least value is -1$"):
        ours.fit(IRIS, np.full(len(IRIS), -1.0))


@COMPARED
@pytest.mark.parametrize(
    "settings",
    [
        {"solver": "adam"},
        {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.3},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1},
    ],
)
@pytest.mark.parametrize("target", ["classes", "value"])
@pytest.mark.filterwarnings("ignore:Got `batch_size`")
def test_partial_fits_after_a_fit_take_the_course_of_scikit_learns(target: str, settings: dict[str, Any]) -> None:
    theirs, ours = both(kind_for(target), max_iter=3, batch_size=8, **settings)
    y = TARGETS[target]
    for estimator in (theirs, ours):
        estimator.fit(IRIS, y)
        for rows in (slice(0, 60, 3), slice(1, 2), slice(100, 150), slice(0, 37)):
            estimator.partial_fit(IRIS[rows], y[rows], sample_weight=WEIGHTS[rows] if rows.start else None)
    assert_same(theirs, ours)
    assert ours.n_iter_ == 1


@pytest.mark.parametrize("policy", ["constant", "invscaling", "adaptive"])
def test_another_learning_rate_is_for_the_next_fit_and_not_for_the_next_partial_fit(policy: str) -> None:
    theirs, ours = both("MLPRegressor", solver="sgd", learning_rate=policy)
    for estimator in (theirs, ours):
        estimator.partial_fit(IRIS, VALUES).set_params(learning_rate_init=0.1)
        estimator.partial_fit(IRIS, VALUES).partial_fit(IRIS, VALUES)
    assert_same(theirs, ours)


def test_partial_fit_learns_from_single_rows_of_classes_named_before() -> None:
    theirs, ours = both("MLPClassifier", learning_rate_init=0.02)
    for estimator in (theirs, ours):
        for row in np.random.default_rng(0).permutation(len(IRIS)):
            estimator.partial_fit(IRIS[[row]], SPECIES[[row]], classes=[0, 1, 2])
    assert_same(theirs, ours)
    assert ours.score(IRIS, SPECIES) > 0.8


@COMPARED
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_warm_starts_take_the_course_of_scikit_learns(solver: str) -> None:
    theirs, ours = both("MLPClassifier", solver=solver, warm_start=True, max_iter=4)
    for estimator in (theirs, ours):
        for _ in range(3):
            estimator.fit(IRIS, SPECIES)
    assert_same(theirs, ours, 1e-9 if solver != "lbfgs" else 1e-5)
    assert solver == "lbfgs" or len(ours.loss_curve_) == 12


def test_a_warm_start_that_finds_nothing_better_keeps_the_best() -> None:
    """scikit-learn's best parameters are then those at the end: its lists of them are one and the same."""
    settings = {"solver": "sgd", "learning_rate_init": 0.1, "early_stopping": True, "warm_start": True, "tol": 0.0}
    theirs, ours = both("MLPClassifier", max_iter=12, **settings)
    for estimator in (theirs, ours):
        estimator.fit(IRIS, SPECIES).set_params(learning_rate_init=1e-9)
    first = [part.copy() for part in ours.coefs_]
    for estimator in (theirs, ours):
        estimator.fit(IRIS, SPECIES)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-6)
    np.testing.assert_allclose(ours.validation_scores_, theirs.validation_scores_)
    assert len(ours.validation_loss_curve_) == len(theirs.validation_scores_) > 12
    for before, after in zip(first, ours.coefs_, strict=True):
        np.testing.assert_array_equal(after, before)


def outcome(package: Any, work: Callable[[Any], Any]) -> tuple[list[Any], str]:
    """The warnings that some work gives, by kind and first line, and its error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            work(package)
            error = ""
        except Exception as raised:
            text = f"{type(raised).__name__}: {raised}".replace(package.__name__, "")
            error = re.sub(r"{.*}", lambda choices: str(sorted(choices[0])), text)  # a set has no order
    kinds = [(w.category, str(w.message).splitlines()[0]) for w in caught if w.category is not RuntimeWarning]
    return kinds, error


HUGE = np.finfo(np.float64).max * np.random.default_rng(0).random((10, 2))
CASES: dict[str, Callable[[Any], Any]] = {
    "not converged": lambda m: m.MLPClassifier(max_iter=3, random_state=0).fit(IRIS, SPECIES),
    "converged in the last epoch": lambda m: m.MLPRegressor(
        max_iter=4, tol=1e9, n_iter_no_change=2, random_state=0
    ).fit(IRIS, VALUES),
    "lbfgs, iterations": lambda m: m.MLPClassifier(solver="lbfgs", max_iter=2, random_state=0).fit(IRIS, SPECIES),
    "lbfgs, evaluations": lambda m: m.MLPRegressor(solver="lbfgs", max_fun=4, random_state=0).fit(IRIS, VALUES[:, 0]),
    "batches too large": lambda m: m.MLPClassifier(batch_size=999).partial_fit(IRIS, SPECIES, classes=[0, 1, 2]),
    "column vector": lambda m: m.MLPClassifier(max_iter=1).fit(IRIS, SPECIES[:, None]),
    "numbers too large": lambda m: m.MLPRegressor(max_iter=2).fit(HUGE, np.arange(10.0)),
    "infinity": lambda m: m.MLPRegressor().fit([[np.inf], [0.0]], [0.0, 1.0]),
    "no hidden units": lambda m: m.MLPClassifier(hidden_layer_sizes=(5, 0)).fit(IRIS, SPECIES),
    "unknown solver": lambda m: m.MLPClassifier(solver="rmsprop").fit(IRIS, SPECIES),
    "negative alpha": lambda m: m.MLPRegressor(alpha=-1.0).fit(IRIS, VALUES),
    "beta of 1": lambda m: m.MLPRegressor(beta_1=1.0).fit(IRIS, VALUES),
    "continuous classes": lambda m: m.MLPClassifier().fit(IRIS, VALUES[:, 0]),
    "lengths": lambda m: m.MLPClassifier().fit(IRIS, SPECIES[1:]),
    "not fitted": lambda m: m.MLPRegressor().predict(IRIS),
    "other features": lambda m: m.MLPRegressor(max_iter=1).fit(IRIS, VALUES).predict(IRIS[:, 1:]),
    "no classes": lambda m: m.MLPClassifier().partial_fit(IRIS, SPECIES),
    "unseen class": lambda m: m.MLPClassifier().partial_fit(IRIS, SPECIES, classes=[0, 1]),
    "other classes": lambda m: m.MLPClassifier().partial_fit(IRIS, SPECIES, classes=[0, 1, 2]).partial_fit(
        IRIS, SPECIES, classes=[0, 1]
    ),
    "warm start, other classes": lambda m: m.MLPClassifier(max_iter=1, warm_start=True).fit(IRIS, SPECIES).fit(
        IRIS, SPECIES > 0
    ),
    "warm start, a class less": lambda m: m.MLPClassifier(max_iter=1, warm_start=True).fit(IRIS, SPECIES).fit(
        IRIS[:100], SPECIES[:100]
    ),
    "partial and early": lambda m: m.MLPRegressor(early_stopping=True).partial_fit(IRIS, VALUES),
    "held out too few": lambda m: m.MLPRegressor(early_stopping=True).fit(IRIS[:5], VALUES[:5]),
    "one of a class": lambda m: m.MLPClassifier(early_stopping=True).fit(IRIS[:4], [0, 0, 0, 1]),
    "weights of another length": lambda m: m.MLPRegressor().fit(IRIS, VALUES, sample_weight=WEIGHTS[1:]),
    "weights of text": lambda m: m.MLPClassifier().fit(IRIS, SPECIES, sample_weight=["a"] * 150),
    "weights in a column": lambda m: m.MLPClassifier().fit(IRIS, SPECIES, sample_weight=WEIGHTS[:, None]),
    "half a hidden unit": lambda m: m.MLPClassifier(hidden_layer_sizes=(2.5,)).fit(IRIS, SPECIES),
    "half an epoch": lambda m: m.MLPClassifier(max_iter=0.5).fit(IRIS, SPECIES),
    "batches of a float": lambda m: m.MLPClassifier(batch_size=10.0).fit(IRIS, SPECIES),
    "batches in words": lambda m: m.MLPClassifier(batch_size="full").fit(IRIS, SPECIES),
    "a generator": lambda m: m.MLPClassifier(random_state="Philox").fit(IRIS, SPECIES),
    "unknown loss": lambda m: m.MLPRegressor(loss="absolute_error").fit(IRIS, VALUES),
    "several classes each": lambda m: m.MLPClassifier().fit(IRIS, np.stack([SPECIES, SPECIES], axis=1)),
    "no rows": lambda m: m.MLPClassifier().fit(IRIS[:0], SPECIES[:0]),
    "one class": lambda m: m.MLPClassifier(max_iter=1).fit(IRIS, np.zeros(150, int)).partial_fit(IRIS, SPECIES),
    "complex numbers": lambda m: m.MLPRegressor().fit(IRIS.astype(complex), VALUES),
    "held out nearly all": lambda m: m.MLPClassifier(early_stopping=True, validation_fraction=0.999).fit(IRIS, SPECIES),
    "one output more": lambda m: m.MLPClassifier(max_iter=1).fit(IRIS, SPECIES).partial_fit(IRIS, LABELS),
    "predictions for a row alone": lambda m: m.MLPRegressor(max_iter=1).fit(IRIS, VALUES).predict(IRIS[0]),
}  # fmt: skip


@COMPARED
@pytest.mark.parametrize("case", CASES)
def test_errors_and_warnings_are_those_of_scikit_learn(case: str) -> None:
    theirs, ours = outcome(neural_network, CASES[case]), outcome(estimators, CASES[case])
    assert ours == theirs
    assert theirs != ([], "") or case == "converged in the last epoch"


@pytest.mark.parametrize(
    "case", ["not converged", "lbfgs, iterations", "lbfgs, evaluations", "batches too large", "numbers too large"]
)
def test_warnings_are_found_by_a_filter_for_scikit_learn(case: str) -> None:
    """As in scikit-learn's own examples: warnings.filterwarnings("ignore", module="sklearn")."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", category=RuntimeWarning)
        warnings.filterwarnings("ignore", module="sklearn")
        with contextlib.suppress(ValueError):
            CASES[case](estimators)
    assert [str(warning.message) for warning in caught] == []


def test_targets_of_regression_must_be_a_dense_array_of_numbers() -> None:
    for y, what in ((np.full(150, "1"), "dtype <U1"), (scipy.sparse.csr_array(VALUES), "a sparse array")):
        with pytest.raises(TypeError, match=f"^y must be a dense array of numbers, but got {what}$"):
            estimators.MLPRegressor().fit(IRIS, y)


def test_lbfgs_has_no_partial_fit() -> None:
    for estimator in (estimators.MLPClassifier(solver="lbfgs"), estimators.MLPRegressor(solver="lbfgs")):
        assert not hasattr(estimator, "partial_fit")


@pytest.mark.parametrize(
    "settings",
    [
        {"tol": 10.0, "n_iter_no_change": 2},
        {"early_stopping": True, "tol": 10.0, "n_iter_no_change": 1},
        {
            "solver": "sgd",
            "learning_rate": "adaptive",
            "learning_rate_init": 1e-5,
            "tol": 10.0,
            "n_iter_no_change": 1,
            "max_iter": 30,
        },
    ],
)
def test_verbose_says_what_scikit_learn_says(settings: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for estimator in both("MLPClassifier", verbose=True, alpha=0.0, **settings):
        estimator.fit(IRIS, SPECIES)
        said.append(capsys.readouterr().out)
    assert said[1] == said[0] != ""


def test_verbose_lbfgs_says_the_loss_of_each_iteration(capsys: pytest.CaptureFixture[str]) -> None:
    classifier = estimators.MLPClassifier(4, solver="lbfgs", verbose=True, max_iter=5, random_state=0)
    classifier.fit(IRIS, SPECIES)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == classifier.n_iter_ == 5
    assert lines[-1] == f"Iteration 5, loss = {classifier.loss_:.8f}"


def test_ctrl_c_keeps_what_was_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted:
        lines = 0

        def write(self, text: str) -> None:
            self.lines += 1
            if self.lines == 3:
                raise KeyboardInterrupt

    classifier = estimators.MLPClassifier(4, verbose=True, random_state=0)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Interrupted())
        with pytest.warns(UserWarning, match="Training interrupted by user"):
            classifier.fit(IRIS, SPECIES)
    three = estimators.MLPClassifier(4, max_iter=3, random_state=0).fit(IRIS, SPECIES)
    np.testing.assert_array_equal(classifier.coefs_[0], three.coefs_[0])


def test_divergence_under_early_stopping_leaves_the_best_parameters() -> None:
    settings = {"activation": "identity", "solver": "sgd", "learning_rate_init": 1.0, "max_iter": 20, "batch_size": 10}
    theirs, ours = both("MLPRegressor", hidden_layer_sizes=50, early_stopping=True, **settings)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        theirs.fit(IRIS, SPECIES)
    ours.fit(IRIS, SPECIES)
    assert np.isnan(ours.validation_scores_[-1])
    assert (ours.n_iter_, len(ours.loss_curve_)) == (theirs.n_iter_, len(theirs.loss_curve_)) == (20, 20)
    np.testing.assert_allclose(ours.coefs_[0], theirs.coefs_[0], rtol=1e-6)


# -- data of all kinds -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sparse", [scipy.sparse.csr_matrix, scipy.sparse.csc_array])
@pytest.mark.parametrize("stopping", [False, True])
def test_sparse_data_are_as_dense_ones(sparse: Any, stopping: bool) -> None:
    settings = {"hidden_layer_sizes": 5, "early_stopping": stopping, "max_iter": 3, "random_state": 0}
    dense = estimators.MLPClassifier(**settings).fit(DIGITS, NUMBERS)
    thin = estimators.MLPClassifier(**settings).fit(sparse(DIGITS), NUMBERS)
    np.testing.assert_array_equal(thin.coefs_[0], dense.coefs_[0])
    np.testing.assert_array_equal(thin.predict_proba(sparse(DIGITS)), dense.predict_proba(DIGITS))


@COMPARED
@pytest.mark.parametrize(
    ("target", "settings"),
    [
        ("classes", {"batch_size": 40}),
        ("classes", {"solver": "sgd", "learning_rate_init": 0.1, "batch_size": 16, "activation": "tanh"}),
        ("classes", {"solver": "lbfgs", "alpha": 0.1}),
        ("two classes", {"early_stopping": True, "alpha": 2.0}),
        ("labels", {"activation": "logistic"}),
        ("values", {"early_stopping": True, "hidden_layer_sizes": 4}),
        ("value", {"solver": "lbfgs"}),
        ("counts", {"loss": "poisson", "batch_size": 40}),
        ("counts", {"loss": "poisson", "solver": "lbfgs"}),
    ],
)
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["even", "weighted"])
def test_data_that_are_mostly_zeros_take_the_course_of_scikit_learns(
    target: str, settings: dict[str, Any], weights: Any
) -> None:
    X = np.where(np.random.default_rng(1).random((150, 30)) < 0.1, np.tile(IRIS, (1, 8))[:, :30], 0.0)
    y = np.round(np.exp(VALUES / 2)) if target == "counts" else TARGETS[target]
    theirs, ours = both(kind_for("value" if target == "counts" else target), **settings)
    thin = scipy.sparse.csc_array(X)
    for estimator in (theirs, ours):
        estimator.fit(thin, y, sample_weight=weights)
    assert_same(theirs, ours, 1e-9 if ours.solver != "lbfgs" else 1e-6)
    dense = clone(ours).fit(X, y, sample_weight=weights)
    np.testing.assert_allclose(ours.predict(thin), dense.predict(X), rtol=1e-5, atol=1e-6)
    if ours.early_stopping:
        np.testing.assert_allclose(ours.validation_loss_curve_, dense.validation_loss_curve_, rtol=1e-9)


def test_data_that_are_mostly_zeros_are_dropped_out_and_kept_in_float32_like_dense_ones() -> None:
    X = np.where(np.random.default_rng(1).random((150, 30)) < 0.1, np.tile(IRIS, (1, 8))[:, :30], 0.0).astype("f")
    settings = {"hidden_layer_sizes": (9, 4), "dropout": 0.3, "activation": "gelu", "max_iter": 5, "random_state": 0}
    dense, thin = (estimators.MLPClassifier(**settings).fit(data, SPECIES) for data in (X, scipy.sparse.csr_array(X)))
    assert thin.coefs_[0].dtype == thin.predict_proba(scipy.sparse.csr_array(X)).dtype == np.float32
    for ours, other in zip(thin.coefs_, dense.coefs_, strict=True):
        np.testing.assert_allclose(ours, other, atol=1e-5)


@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
def test_data_that_are_mostly_zeros_may_be_larger_than_memory_as_dense_ones(solver: str) -> None:
    rng = np.random.default_rng(0)
    shape = (10_000, 1_000_000)  # 80 GB
    entries = rng.random(5000), (rng.integers(0, shape[0], 5000), rng.integers(0, shape[1], 5000))
    X = scipy.sparse.csr_array(entries, shape=shape)
    classifier = estimators.MLPClassifier(1, solver=solver, max_iter=1, batch_size=5000, random_state=0)
    assert classifier.fit(X, np.arange(shape[0]) % 2).predict(X).shape == (10_000,)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_float32_data_are_worked_with_in_float32(solver: str) -> None:
    single, double = (
        estimators.MLPClassifier(8, solver=solver, max_iter=10, random_state=0).fit(DIGITS.astype(dtype), NUMBERS)
        for dtype in (np.float32, np.float64)
    )
    assert {part.dtype for part in single.coefs_ + single.intercepts_} == {np.dtype(np.float32)}
    assert {part.dtype for part in double.coefs_ + double.intercepts_} == {np.dtype(np.float64)}
    assert single.predict_proba(DIGITS.astype(np.float32)).dtype == np.float32
    assert single.predict_proba(DIGITS).dtype == np.float64
    np.testing.assert_allclose(single.predict_proba(DIGITS), double.predict_proba(DIGITS), atol=1e-3)


def test_data_frames_and_names_as_labels() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(IRIS, columns=list("abcd"))
    names = np.array(["setosa", "versicolor", "virginica"])[SPECIES]
    classifier = estimators.MLPClassifier(8, early_stopping=True, random_state=0).fit(frame, names)
    assert list(classifier.feature_names_in_) == list("abcd")
    assert list(classifier.classes_) == ["setosa", "versicolor", "virginica"]
    assert set(classifier.predict(frame)) <= set(names)
    with pytest.raises(ValueError, match="feature names should match"):
        classifier.predict(frame.rename(columns={"a": "z"}))


def test_a_class_that_early_stopping_holds_out_whole_is_no_trouble() -> None:
    y = np.where(np.arange(len(IRIS)) == 5, 2, SPECIES > 0)
    for seed in range(12):
        estimators.MLPClassifier(3, early_stopping=True, max_iter=1, random_state=seed).fit(IRIS, y)


# -- what scikit-learn has not ---------------------------------------------------------------------------------


def test_class_weights_multiply_those_of_the_examples() -> None:
    by_class = {0: 1.0, 1: 5.0, 2: 0.5}
    settings = {"hidden_layer_sizes": 5, "max_iter": 5, "random_state": 0, "batch_size": 30}
    weighted = estimators.MLPClassifier(class_weight=by_class, **settings).fit(IRIS, SPECIES, WEIGHTS)
    given = estimators.MLPClassifier(**settings).fit(IRIS, SPECIES, WEIGHTS * np.array([1.0, 5.0, 0.5])[SPECIES])
    np.testing.assert_array_equal(weighted.coefs_[0], given.coefs_[0])
    rows = slice(20, 150)
    balanced = estimators.MLPClassifier(class_weight="balanced", **settings).fit(IRIS[rows], SPECIES[rows])
    counts = np.bincount(SPECIES[rows])
    each = (len(SPECIES[rows]) / (3 * counts))[SPECIES[rows]]
    given = estimators.MLPClassifier(**settings).fit(IRIS[rows], SPECIES[rows], each)
    np.testing.assert_allclose(balanced.coefs_[0], given.coefs_[0], rtol=1e-12)
    with pytest.raises(ValueError, match="class_weight must be a dict by label in partial_fit"):
        estimators.MLPClassifier(class_weight="balanced").partial_fit(IRIS, SPECIES, classes=[0, 1, 2])


def test_dropout_acts_in_training_alone_and_repeats_with_the_seed() -> None:
    fits = [
        estimators.MLPClassifier(
            40, dropout=rate, max_iter=60, learning_rate_init=0.01, random_state=0, tol=0.0, batch_size=50
        ).fit(IRIS, SPECIES)
        for rate in (0.0, 0.5, 0.5)
    ]
    np.testing.assert_array_equal(fits[1].coefs_[0], fits[2].coefs_[0])
    np.testing.assert_array_equal(fits[1].predict_proba(IRIS), fits[1].predict_proba(IRIS))
    assert fits[1].loss_ > 1.2 * fits[0].loss_  # half the units are silent where the loss of a batch is taken
    assert fits[1].score(IRIS, SPECIES) > 0.9
    with pytest.raises(ValueError, match=r"dropout must be 0 with solver='lbfgs', which has no steps, but got 0\.5$"):
        estimators.MLPClassifier(dropout=0.5, solver="lbfgs").fit(IRIS, SPECIES)


def test_gelu_is_the_activation_of_the_reference() -> None:
    regressor = estimators.MLPRegressor(hidden_layer_sizes=6, activation="gelu", max_iter=3, random_state=0)
    regressor.fit(IRIS, VALUES)
    hidden, _ = reference.activation_forward(IRIS @ regressor.coefs_[0] + regressor.intercepts_[0], reference.GELU)
    np.testing.assert_allclose(regressor.predict(IRIS), hidden @ regressor.coefs_[1] + regressor.intercepts_[1])


@pytest.mark.parametrize("target", ["classes", "labels", "values", "counts"])
def test_the_validation_loss_is_that_of_the_examples_held_out(target: str) -> None:
    settings: dict[str, Any] = {"hidden_layer_sizes": 3, "early_stopping": True, "max_iter": 1, "random_state": 0}
    y = np.round(np.exp(VALUES)) if target == "counts" else TARGETS[target]
    if target in ("values", "counts"):
        loss = "poisson" if target == "counts" else "squared_error"
        estimator = estimators.MLPRegressor(loss, **settings).fit(IRIS, y, WEIGHTS)
        z = estimator.predict(IRIS)
        losses = (scipy.special.xlogy(y, y / z) - y + z).sum(1) if target == "counts" else 0.5 * ((z - y) ** 2).mean(1)
    else:
        estimator = estimators.MLPClassifier(**settings).fit(IRIS, y, WEIGHTS)
        p = estimator.predict_proba(IRIS)
        losses = -np.log(p[np.arange(150), y]) if target == "classes" else -np.log(np.where(y, p, 1 - p)).sum(1)
    random = np.random.RandomState(0)
    random.uniform(size=sum(part.size for part in estimator.coefs_ + estimator.intercepts_))
    _, held_out = train_test_split(np.arange(150), test_size=0.1, random_state=random)
    known = np.average(losses[held_out], weights=WEIGHTS[held_out])
    assert estimator.validation_loss_curve_ == pytest.approx([known])
    estimator.set_params(early_stopping=False).fit(IRIS, y)
    assert estimator.validation_loss_curve_ is None


# -- one fit after another -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "labels",
    [
        [0, 1, 2],
        [-5, 0, 7],
        [1, 10],
        [0.0, 1.0, 2.0],
        ["b", "a", "cc"],
        ["no", "yes"],
        np.array(["b", "a", "cc"], object),
        [False, True],
        [3],
    ],
    ids=repr,
)
def test_labels_of_all_kinds_are_learnt_whole_and_in_parts(labels: Any) -> None:
    y = np.asarray(labels)[SPECIES % len(labels)]
    theirs, ours = both("MLPClassifier", max_iter=2)
    for estimator in (theirs, ours):
        estimator.fit(IRIS, y).partial_fit(IRIS[:30], y[:30]).partial_fit(IRIS[100:], y[100:], classes=labels)
    assert_same(theirs, ours)
    before, after = theirs.predict(IRIS), ours.predict(IRIS)
    assert before.dtype == after.dtype
    assert list(before) == list(after)


def test_one_step_is_as_by_hand_from_parameters_set_by_hand() -> None:
    """x = 1, h = 2x + 1 = 3, z = 3h - 1 = 8, and y = 7: dz = 1, dW₂ = 3, dh = 3, dW₁ = 3."""
    regressor = estimators.MLPRegressor("squared_error", 1, "identity", solver="sgd", alpha=0.0, momentum=0.0)
    regressor.set_params(learning_rate_init=0.1)
    regressor.coefs_, regressor.intercepts_ = [np.array([[2.0]]), np.array([[3.0]])], [np.ones(1), -np.ones(1)]
    regressor.n_iter_, regressor.t_, regressor.n_layers_, regressor.out_activation_ = 0, 0, 3, "identity"
    regressor.n_features_in_, regressor._no_improvement_count = 1, 0
    regressor.loss_curve_, regressor.best_loss_ = [], np.inf  # as far as scikit-learn needs them
    regressor.partial_fit([[1.0]], [7.0])
    np.testing.assert_allclose(np.ravel(regressor.coefs_), [1.7, 2.7])
    np.testing.assert_allclose(np.ravel(regressor.intercepts_), [0.7, -1.1])
    assert regressor.loss_curve_ == [0.5]


def test_a_pickle_goes_on_to_the_same_bits() -> None:
    classifier = estimators.MLPClassifier(5, random_state=np.random.RandomState(0), dropout=0.1)
    classifier.partial_fit(IRIS, SPECIES, classes=[0, 1, 2])
    copy = pickle.loads(pickle.dumps(classifier))
    for one in (classifier, copy):
        one.partial_fit(IRIS, SPECIES).partial_fit(IRIS[::2], SPECIES[::2])
    np.testing.assert_array_equal(copy.coefs_[0], classifier.coefs_[0])


def test_changed_parameters_are_those_that_predict_and_train() -> None:
    theirs, ours = both("MLPRegressor", max_iter=1)
    for estimator in (theirs, ours):
        estimator.fit(IRIS, VALUES)
        estimator.coefs_[0][:] = 0.25
        estimator.partial_fit(IRIS, VALUES)
    assert_same(theirs, ours)


def test_other_layers_than_before_are_refused_and_then_start_anew() -> None:
    classifier = estimators.MLPClassifier(5, warm_start=True, max_iter=1, random_state=0).fit(IRIS, SPECIES)
    classifier.set_params(hidden_layer_sizes=(300,))
    with pytest.raises(ValueError, match=re.escape("(4, 5, 3), to go on from it, but got (4, 300, 3); set warm_start")):
        classifier.fit(IRIS, SPECIES)
    classifier.set_params(warm_start=False, solver="lbfgs").fit(IRIS, SPECIES)
    assert not hasattr(classifier, "loss_curve_")
    classifier.set_params(solver="adam").partial_fit(IRIS, SPECIES)  # moments of the first network would not fit
    assert classifier.coefs_[0].shape == (4, 300)
    assert len(classifier.loss_curve_) == 1


FIRST = np.arange(150) < 50


@COMPARED
@pytest.mark.parametrize(
    ("solver", "weights", "kind"),
    [
        ("adam", np.where(FIRST, 0.0, 1.0), ZeroDivisionError),
        ("adam", np.where(FIRST, -1.0, 1.0), ValueError),
        ("lbfgs", np.where(FIRST, -2.0, 1.0), ZeroDivisionError),
        ("lbfgs", np.where(FIRST, -3.0, 1.0), ValueError),
    ],
)
def test_a_batch_without_weight_is_refused_as_there_and_one_of_negative_weight_besides(
    solver: str, weights: Any, kind: Any
) -> None:
    theirs, ours = both("MLPClassifier", solver=solver, batch_size=50, shuffle=False)
    with pytest.raises(kind, match=r"^sample_weight must have a sum > 0 in each mini-batch, but got one of (0|-50);"):
        ours.fit(IRIS, SPECIES, weights)
    if kind is ZeroDivisionError:
        with pytest.raises(kind):
            theirs.fit(IRIS, SPECIES, weights)


@COMPARED
def test_constructors_are_those_of_scikit_learn_with_more_behind() -> None:
    for kind, more in (("MLPClassifier", {"class_weight": None, "dropout": 0.0}), ("MLPRegressor", {"dropout": 0.0})):
        theirs, ours = getattr(neural_network, kind)(), getattr(estimators, kind)()
        assert ours.get_params() == theirs.get_params() | more
    assert estimators.MLPClassifier((3,), "tanh").activation == "tanh"
    assert estimators.MLPRegressor("poisson", (3,), "tanh").loss == "poisson"


def test_without_scikit_learn_the_import_says_what_to_install() -> None:
    code = "import sys; sys.modules['sklearn'] = None\nimport nn\nimport nn.estimators"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    last = found.stderr.splitlines()[-1]
    assert last == 'ImportError: nn.estimators needs scikit-learn; install it with: pip install "nn-tuning[sklearn]"'


def test_sigmoid_is_another_name_of_logistic_from_the_initial_weights_on() -> None:
    with warnings.catch_warnings(action="ignore"):  # two epochs do not converge
        one, other = (
            estimators.MLPClassifier(4, activation=name, max_iter=2, random_state=0).fit(IRIS, SPECIES)
            for name in ("sigmoid", "logistic")
        )
    assert all(np.array_equal(a, b) for a, b in zip(one.coefs_, other.coefs_, strict=True))
