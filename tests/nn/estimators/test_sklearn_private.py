"""scikit-learn's private parts: one file knows them, and they are what it takes them for."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from nn import estimators
from nn.estimators import sklearn_private as private

# The arguments that each of them is called with.
CALLS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "fit_context": ((), {"prefer_skip_nested_validation": True}),
    "Interval": ((float, 0, None), {"closed": "left"}),
    "Options": ((float, {np.inf}), {}),
    "StrOptions": (({"auto"},), {}),
    "check_partial_fit_first_call": ((BaseEstimator(), [0, 1]), {}),
    "check_sample_weight": (([1.0, 2.0], np.zeros((2, 1))), {"dtype": np.float64}),
}


def test_each_private_name_takes_what_it_is_given() -> None:
    assert {name for name in vars(private) if not name.startswith("__")} == {*CALLS, "CALLER"}
    for name, (arguments, options) in CALLS.items():
        inspect.signature(getattr(private, name)).bind(*arguments, **options)


def test_no_other_file_of_the_product_names_a_private_part_of_scikit_learn() -> None:
    root = Path(estimators.__file__).parents[2]
    found = set()
    for path in [*root.glob("nn/**/*.py"), *root.glob("tuning/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sklearn"):
                parts = [*str(node.module).split("."), *(alias.name for alias in node.names)]
                found |= {path.name for part in parts if part.startswith("_")}
    assert found == {"sklearn_private.py"}


def test_settings_are_validated_by_the_constraints() -> None:
    for settings, law in (
        ({"solver": "newton"}, "The 'solver' parameter of MLPClassifier must be a str among"),
        ({"alpha": -1.0}, "The 'alpha' parameter of MLPClassifier must be a float in the range [0.0, inf)"),
        ({"n_iter_no_change": -np.inf}, "The 'n_iter_no_change' parameter of MLPClassifier must be an int in"),
    ):
        with pytest.raises(ValueError, match=re.escape(law)):
            estimators.MLPClassifier(**settings).fit([[0.0], [1.0]], [0, 1])


def test_the_first_partial_fit_notes_the_classes_and_later_ones_are_held_to_them() -> None:
    asked = BaseEstimator()
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        private.check_partial_fit_first_call(asked, None)
    assert private.check_partial_fit_first_call(asked, [1, 0]) is True
    assert asked.classes_.tolist() == [0, 1]
    assert private.check_partial_fit_first_call(asked, None) is False


def test_sample_weights_become_floats_one_for_each_example() -> None:
    weights = private.check_sample_weight([1, 2], np.zeros((2, 1)), dtype=np.float64)
    assert (weights.dtype, weights.tolist()) == (np.float64, [1.0, 2.0])
    with pytest.raises(ValueError, match="sample_weight"):
        private.check_sample_weight([1, 2, 3], np.zeros((2, 1)), dtype=np.float64)


def test_a_warning_comes_from_scikit_learns_wrapper_of_fit() -> None:
    with pytest.warns(UserWarning, match="batch_size") as seen:
        estimators.MLPRegressor(batch_size=9, max_iter=1000).partial_fit([[0.0], [1.0]], [0.0, 1.0])
    assert [Path(one.filename).parts[-2:] for one in seen] == [("sklearn", "base.py")]


def test_a_subclass_with_settings_of_its_own_keeps_them_all() -> None:
    class Own(estimators.MLPRegressor):
        def __init__(self, extra: int = 1, alpha: float = 0.5) -> None:
            super().__init__(alpha=alpha)
            self.extra = extra

    assert Own(extra=3).get_params() == {"extra": 3, "alpha": 0.5}
    assert Own(alpha=2.0).get_params() == {"extra": 1, "alpha": 2.0}


def test_the_oldest_version_that_is_promised_is_the_one_that_is_tested() -> None:
    root = Path(estimators.__file__).parents[2]
    promised = re.search(r'sklearn = \["scikit-learn>=([\d.]+)"\]', (root / "pyproject.toml").read_text())
    tested = re.search(r"for version in ([\d.]+) ", (root / "Makefile").read_text())
    assert promised is not None
    assert tested is not None
    assert promised[1] == tested[1]
