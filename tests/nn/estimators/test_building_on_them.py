"""What people build on estimators, on scikit-learn's own and on ours: subclasses, tools that wrap them, and pickles."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import fields
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import sklearn
from sklearn import neural_network
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier, BaggingRegressor, StackingClassifier
from sklearn.model_selection import GridSearchCV, cross_validate, learning_curve
from sklearn.multiclass import OneVsOneClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nn import estimators
from nn.estimators import base
from nn.estimators.epochs import Stepper
from nn.optimizers import SGD, Adam

X, Y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)
WEIGHTS = np.random.default_rng(0).uniform(0.1, 2.0, len(X))
QUICK: dict[str, Any] = {"hidden_layer_sizes": (5,), "max_iter": 5, "random_state": 0, "learning_rate_init": 0.05}

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.skipif(
        "loss" not in neural_network.MLPRegressor().get_params(),
        reason="scikit-learn's own estimators have no sample_weight and no Poisson loss before 1.7",
    ),
]


def beside(work: Callable[[ModuleType], Any]) -> tuple[Any, Any]:
    """The same work with scikit-learn's estimators and with ours."""
    return work(neural_network), work(estimators)


# -- subclasses, as they are written in the wild ---------------------------------------------------------------------


def fewer(kind: Any) -> Any:
    class Net(kind):  # type: ignore[misc]
        def __init__(self, width: int = 5) -> None:
            super().__init__(hidden_layer_sizes=(width,), max_iter=4, random_state=0)
            self.width = width

    return Net


def more(kind: Any) -> Any:
    class Net(kind):  # type: ignore[misc]
        def __init__(self, hidden_layer_sizes: Any = (4,), width: int = 1, max_iter: int = 4) -> None:
            super().__init__(hidden_layer_sizes=hidden_layer_sizes, max_iter=max_iter, random_state=0)
            self.width = width

    return Net


def with_more_behind(kind: Any) -> Any:
    class Net(kind):  # type: ignore[misc]
        def __init__(self, *, width: int = 3, **settings: Any) -> None:
            self.width = width
            super().__init__(**{**QUICK, **settings})

        @classmethod
        def _get_param_names(cls) -> list[str]:
            return sorted([*neural_network.MLPClassifier._get_param_names(), "width"])

    return Net


def late(kind: Any) -> Any:
    class Net(kind):  # type: ignore[misc]
        def __init__(self, width: int = 5) -> None:
            self.width = width

        def fit(self, X: Any, y: Any) -> Any:
            super().__init__(hidden_layer_sizes=(self.width,), max_iter=4, random_state=0)
            return super().fit(X, y)

    return Net


def by_hand(kind: Any) -> Any:
    class Net(kind):  # type: ignore[misc]
        def __init__(self, width: int = 5) -> None:
            self.width = width
            settings = neural_network.MLPClassifier(**{**QUICK, "hidden_layer_sizes": width}).get_params()
            for name, value in {**settings, "loss": "log_loss"}.items():
                setattr(self, name, value)

    return Net


def past_its_parent(kind: Any) -> Any:
    class Net(kind):  # type: ignore[misc]
        def __init__(self, width: int = 5) -> None:
            settings = {**neural_network.MLPClassifier().get_params(), **QUICK, "loss": "log_loss"}
            super(kind, self).__init__(**settings)
            self.width = width

    return Net


@pytest.mark.parametrize("make", [fewer, more, with_more_behind, late, by_hand, past_its_parent])
def test_a_subclass_with_another_constructor_works_as_there(make: Callable[[Any], Any]) -> None:
    def work(package: ModuleType) -> Any:
        kind = make(package.MLPClassifier)
        net = clone(kind().set_params(width=7)).fit(X, Y)
        search = GridSearchCV(kind(), {"width": [2, 6]}, cv=2, error_score="raise").fit(X, Y)
        piped = make_pipeline(StandardScaler(), kind()).set_params(net__width=2).fit(X, Y)
        return (
            net.get_params(),
            [part.shape for part in net.coefs_],
            net.predict_proba(X),
            search.cv_results_["mean_test_score"],
            piped.predict_proba(X),
        )

    theirs, ours = beside(work)
    assert theirs[0] == {name: ours[0][name] for name in theirs[0]}
    assert theirs[1] == ours[1]
    for before, after in zip(theirs[2:], ours[2:], strict=True):
        np.testing.assert_allclose(after, before, atol=1e-9)


def test_a_subclass_may_add_to_fit_and_predict() -> None:
    def work(package: ModuleType) -> Any:
        class Reconstruction(package.MLPRegressor):  # type: ignore[misc, name-defined]
            def fit(self, X: Any, y: Any = None) -> Any:
                return super().fit(X, X)

            def predict(self, X: Any) -> Any:
                return np.square(X - super().predict(X)).mean(axis=1)

        return BaggingRegressor(Reconstruction(**QUICK), n_estimators=2, random_state=0).fit(X, X[:, 0]).predict(X)

    np.testing.assert_allclose(*beside(work), atol=1e-9)


def test_a_subclass_of_what_only_scikit_learn_calls_is_refused() -> None:
    def work(package: ModuleType) -> Any:
        class Zeros(package.MLPClassifier):  # type: ignore[misc, name-defined]
            def _init_coef(self, fan_in: int, fan_out: int, dtype: Any) -> Any:
                return np.zeros((fan_in, fan_out)), np.zeros(fan_out)

        return Zeros(**QUICK, solver="lbfgs").fit(X, Y).coefs_[0]

    assert not work(neural_network).any()
    law = r"a subclass of MLPClassifier must not override _init_coef, .* derive Zeros from sklearn.neural_network.MLPC"
    with pytest.raises(TypeError, match=law):
        work(estimators)


# -- tools that wrap an estimator ----------------------------------------------------------------------------------


def _stacked(m: Any) -> Any:
    parts = [("a", m.MLPClassifier(**QUICK)), ("b", m.MLPClassifier((3,), max_iter=3, random_state=1))]
    return StackingClassifier(parts, final_estimator=m.MLPClassifier(**QUICK), cv=2).fit(X, Y).predict_proba(X)


def _routed(m: Any) -> Any:
    with sklearn.config_context(enable_metadata_routing=True):
        asking = m.MLPClassifier(**QUICK).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        return cross_validate(asking, X, Y, cv=2, params={"sample_weight": WEIGHTS})["test_score"]


def _framed(m: Any) -> Any:
    frame = pytest.importorskip("pandas").DataFrame(X, columns=list("abcd"))
    piped = make_pipeline(StandardScaler(), m.MLPClassifier(**QUICK)).set_output(transform="pandas").fit(frame, Y)
    assert list(piped[-1].feature_names_in_) == list("abcd")
    return piped.predict_proba(frame)


TOOLS: dict[str, Callable[[Any], Any]] = {
    "bagging": lambda m: (
        BaggingClassifier(m.MLPClassifier(**QUICK), n_estimators=2, max_features=3, random_state=0)
        .fit(X, Y, sample_weight=WEIGHTS)
        .predict_proba(X)
    ),
    "boosting": lambda m: (
        AdaBoostClassifier(m.MLPClassifier(**QUICK), n_estimators=2, random_state=0).fit(X, Y).predict_proba(X)
    ),
    "calibration": lambda m: (
        CalibratedClassifierCV(m.MLPClassifier(**QUICK), cv=2).fit(X, Y, sample_weight=WEIGHTS).predict_proba(X)
    ),
    "stacking": _stacked,
    "one against one, in parts": lambda m: (
        OneVsOneClassifier(m.MLPClassifier(**QUICK))
        .partial_fit(X[::2], Y[::2], classes=[0, 1, 2])
        .partial_fit(X[1::2], Y[1::2])
        .decision_function(X)
    ),
    "learning in parts": lambda m: learning_curve(
        m.MLPClassifier(**QUICK), X, Y, cv=2, exploit_incremental_learning=True, shuffle=True, random_state=0
    )[2],
    "arrays of settings": lambda m: (
        GridSearchCV(
            m.MLPClassifier(**QUICK), {"max_iter": np.array([2, 3]), "solver": np.array(["sgd", "adam"])}, cv=2
        )
        .fit(X, Y)
        .cv_results_["mean_test_score"]
    ),
    "metadata routing": _routed,
    "frames out of a pipeline": _framed,
}


@pytest.mark.parametrize("tool", TOOLS)
def test_tools_give_what_they_give_with_scikit_learns(tool: str) -> None:
    theirs, ours = beside(TOOLS[tool])
    np.testing.assert_allclose(ours, theirs, atol=1e-8)


@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_what_can_be_requested_and_is_promised_is_the_same(kind: str) -> None:
    with sklearn.config_context(enable_metadata_routing=True):
        for ask in ("fit", "partial_fit", "score"):
            theirs, ours = beside(
                lambda m, ask=ask: getattr(getattr(m, kind)(), f"set_{ask}_request")(sample_weight=True)
            )
            assert str(theirs.get_metadata_routing()) == str(ours.get_metadata_routing())
    theirs, ours = beside(lambda m: str(getattr(m, kind)().__sklearn_tags__()))
    assert theirs == ours


def test_an_unknown_setting_is_refused_as_there() -> None:
    for package in (neural_network, estimators):
        with pytest.raises(ValueError, match="Invalid parameter 'width' for estimator MLPClassifier"):
            package.MLPClassifier().set_params(width=3)


# -- pickles -------------------------------------------------------------------------------------------------------


def test_a_pickle_of_another_layout_is_refused_and_one_from_before_there_were_layouts_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fitted = estimators.MLPClassifier(**QUICK).fit(X, Y)
    data = pickle.dumps(fitted)
    copy = pickle.loads(data)
    assert vars(copy).keys() == vars(fitted).keys()
    old = estimators.MLPClassifier.__new__(estimators.MLPClassifier)
    old.__setstate__(vars(fitted))
    np.testing.assert_array_equal(old.predict_proba(X), fitted.predict_proba(X))
    monkeypatch.setattr(base, "LAYOUT", 2)
    with pytest.raises(
        ValueError, match=r"^a pickled MLPClassifier must have layout 2, but has 1, .*, or fit it again$"
    ):
        pickle.loads(data)
    np.testing.assert_array_equal(clone(fitted).fit(X, Y).coefs_[0], fitted.coefs_[0])


def test_another_layout_has_another_number() -> None:
    fitted = estimators.MLPClassifier(**QUICK, early_stopping=True).fit(X, Y)
    assert sorted(vars(fitted).keys() - fitted.get_params().keys()) == [
        "_best_theta", "_label_binarizer", "_no_improvement_count", "_optimizer", "_random_state", "best_loss_",
        "best_validation_score_", "classes_", "coefs_", "intercepts_", "loss_", "loss_curve_", "n_features_in_",
        "n_iter_", "n_layers_", "n_outputs_", "out_activation_", "t_", "validation_loss_curve_", "validation_scores_",
    ]  # fmt: skip
    shared = ["learning_rate", "weight_decay", "clip_norm", "rate_multipliers"]
    assert [each.name for each in fields(Stepper)] == ["optimizer", "learning_rate", "first", "second", "steps"]
    assert [each.name for each in fields(SGD)] == [*shared, "momentum", "nesterov"]
    assert [each.name for each in fields(Adam)] == [*shared, "beta1", "beta2", "epsilon"]
    assert base.LAYOUT == 1


# -- the differences that the notes name ---------------------------------------------------------------------------


def test_a_second_warm_start_keeps_the_best_where_scikit_learn_keeps_the_last() -> None:
    def work(package: ModuleType) -> Any:
        settings = {**QUICK, "max_iter": 300, "early_stopping": True, "warm_start": True, "n_iter_no_change": 5}
        net = package.MLPClassifier(**settings).fit(X, Y)
        first, score = net.coefs_[0].copy(), net.best_validation_score_
        net.fit(X, Y)
        assert net.best_validation_score_ == score
        return np.abs(net.coefs_[0] - first).max()

    theirs, ours = beside(work)
    assert theirs > 1e-3
    assert ours == 0


def test_lbfgs_of_several_outputs_ends_lower_than_scikit_learns() -> None:
    values = np.stack([X[:, 3], X[:, 1] - 2 * X[:, 2]], axis=1)
    settings = {**QUICK, "solver": "lbfgs", "max_iter": 250, "alpha": 0.1, "tol": 1e-8}
    theirs, ours = beside(lambda m: m.MLPRegressor(**settings).fit(X, values))
    assert ours.loss_ < theirs.loss_


def test_a_regressor_has_no_partial_fit_with_lbfgs_as_the_classifier() -> None:
    theirs, ours = beside(
        lambda m: [hasattr(k(solver="lbfgs"), "partial_fit") for k in (m.MLPClassifier, m.MLPRegressor)]
    )
    assert theirs[0] is ours[0] is ours[1] is False


def test_float32_means_beyond_their_squares_are_divergence() -> None:
    counts, large = np.round(np.exp(X[:, 0])), (30 * X).astype(np.float32)
    settings = {**QUICK, "learning_rate_init": 0.001}
    loss = neural_network.MLPRegressor("poisson", **settings).fit(large, counts).loss_
    assert 1e19 < loss < 1e38
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
        estimators.MLPRegressor("poisson", **settings).fit(large, counts)
