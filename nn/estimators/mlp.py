"""scikit-learn estimators over the same training: drop-in for those of `sklearn.neural_network`.

Needs `pip install "nn-tuning[sklearn]"`. One changed import line speeds a script up:

>>> from nn.estimators import MLPClassifier  # from sklearn.neural_network import MLPClassifier
>>> from sklearn.datasets import make_moons
>>> from sklearn.model_selection import GridSearchCV
>>> X, y = make_moons(200, noise=0.1, random_state=0)
>>> model = MLPClassifier((16,), solver="lbfgs", max_iter=1000, random_state=0)
>>> param_grid = {"activation": ["identity", "relu"], "alpha": [0.1, 1000.0]}
>>> search = GridSearchCV(model, param_grid, cv=5).fit(X, y)
>>> search.best_params_
{'activation': 'relu', 'alpha': 0.1}
>>> bool(search.best_score_ > 0.95)
True

With the same `random_state` the initial parameters and the mini-batches are those of scikit-learn, and so, up to
rounding, is the whole course of a fit; what differs stands in the notes on `MLPClassifier`. Beyond it:
`activation="gelu"`, `dropout`, `class_weight`, and `validation_loss_curve_`.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray

try:
    from sklearn.base import ClassifierMixin, RegressorMixin
except ImportError as error:
    raise ImportError('nn.estimators needs scikit-learn; install it with: pip install "nn-tuning[sklearn]"') from error
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d, compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target, unique_labels
from sklearn.utils.validation import validate_data

from nn.estimators.base import Perceptron, has_partial_fit
from nn.estimators.sklearn_private import StrOptions, check_partial_fit_first_call, fit_context

__all__ = ["MLPClassifier", "MLPRegressor"]

Array = NDArray[Any]
FLOATS = (np.float64, np.float32)
SPARSE = ["csr", "csc"]


class MLPClassifier(ClassifierMixin, Perceptron):  # type: ignore[misc]
    """A multilayer perceptron for classes, or for several labels that may hold together; the loss is cross-entropy.

    Args:
        hidden_layer_sizes: The units of each hidden layer.
        activation ({"relu", "tanh", "logistic", "identity", "gelu"}): The activation function of the hidden layers.
        solver ({"adam", "sgd", "lbfgs"}): `"lbfgs"` is a quasi-Newton method on all examples at once (SciPy's
            L-BFGS-B); the others go by mini-batches.
        alpha: The penalty alpha/2 · ΣW² on the weights, over the number of examples in a mini-batch (or their weight).
        batch_size (int or "auto"): Examples in a mini-batch; `"auto"` is 200, or all where there are fewer.
        learning_rate ({"constant", "invscaling", "adaptive"}): How the learning rate of SGD changes: not at all; as
            learning_rate_init / t^power_t after t examples; or to a fifth whenever the loss (under early stopping, the
            score) has not improved for `n_iter_no_change` epochs.
        learning_rate_init, power_t: The learning rate at the start, and its exponent.
        max_iter: Epochs at most; iterations of lbfgs.
        shuffle: Whether each epoch takes the examples in a new order.
        random_state: The source of the initial parameters, the examples held out, the order of the batches and dropout.
        tol: The least improvement that counts; for lbfgs, the largest entry of the gradient at the end.
        verbose: Print the loss of each epoch, or iteration of lbfgs.
        warm_start: Whether `fit` goes on from the parameters of the last one.
        momentum, nesterovs_momentum: The momentum of SGD, and whether it has Nesterov's form.
        early_stopping, validation_fraction: Hold out this share of the examples, stop when their score no longer
            improves, and keep the best parameters.
        beta_1, beta_2, epsilon: The parameters of Adam.
        n_iter_no_change: After so many epochs without improvement, fitting ends.
        max_fun: Evaluations of the loss at most, for lbfgs.
        class_weight (dict, "balanced" or None): Weights of the classes, times those of the examples; `"balanced"` gives
            each class the same total.
        dropout: The probability in [0, 1) that a hidden unit is silenced in a training step.

    Attributes:
        coefs_, intercepts_: The weights (n_in, n_out) and biases (n_out,) of each layer, in the dtype of X: float32 or
            float64.
        classes_: The labels.
        loss_, loss_curve_, best_loss_: The loss, penalty included, of the last epoch, of each, and the least; None for
            the least under early stopping.
        validation_scores_, validation_loss_curve_, best_validation_score_: Accuracy and loss (without penalty) on the
            examples held out, after each epoch; None without early stopping.
        n_iter_, t_: Epochs of the last fit; examples seen in all.
        n_layers_, n_outputs_, out_activation_: Layers, inputs and outputs included; outputs; `"softmax"` or
            `"logistic"`.
        n_features_in_, feature_names_in_: The number of features of X, and their names where X was a frame.

    Otherwise than in scikit-learn:

    - The loss has no upper end. There probabilities are clipped first, so that no example's loss is above 36 (16 in
      float32), and a training that diverges looks bounded.
    - The penalty's part in the loss of an epoch is interpolated between some of its steps. It may be wrong by about
      1e-7, so that a fit whose losses differ from `tol` by less than that could end an epoch earlier or later.
    - To go on with other layers than those of the last fit (`warm_start`, `partial_fit`) is an error. There new hidden
      layers are ignored, and one output is compared with several targets.
    - To go on with early stopping, without it, or after lbfgs works; there it is an AttributeError or a TypeError.
    - A warm start under early stopping that finds nothing better keeps the best parameters; there, the last ones.
    - A subclass that overrides one of scikit-learn's private methods is an error, for nothing would call it. A pickle
      of another version of nn-tuning with other attributes is an error; there, a warning.
    - Sample weights with a negative sum in a mini-batch are an error, for nothing would be minimised; so are
      y < 0 with `loss="poisson"`, and in regression y that is sparse or text.
    - A sparse X of which more than a fifth is not 0 is made dense, for the sake of speed. Another one stays as it is,
      and is fitted to about as fast as there, not faster.
    - `verbose` shows the iterations of lbfgs, which SciPy no longer does since 1.15.

    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> X, X_test, y, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)
    >>> classifier = MLPClassifier((32,), learning_rate_init=0.01, early_stopping=True, random_state=0).fit(X / 16, y)
    >>> classifier.score(X_test / 16, y_test) > 0.95
    True
    """

    _parameter_constraints: ClassVar = {
        **Perceptron._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
    }
    loss = "log_loss"

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        class_weight: Any = None,
        dropout: float = 0.0,
    ) -> None:
        Perceptron.__init__(**locals())

    def _read(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array, Array | None]:
        X, y = validate_data(self, X, y, accept_sparse=SPARSE, multi_output=True, dtype=FLOATS, reset=reset)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        columns = self._columns(y)
        if columns is None:
            self._check_classes(unique_labels(y))
            columns = self._label_binarizer.transform(y).astype(bool)
        w = None
        if self.class_weight is not None:
            if incremental and self.class_weight == "balanced":
                raise ValueError(
                    "class_weight must be a dict by label in partial_fit, which does not see all examples to balance, "
                    "but got 'balanced'; use sklearn.utils.compute_class_weight on all labels"
                )
            w = compute_sample_weight(self.class_weight, y)
        return X, columns, w

    def _columns(self, y: Array) -> Array | None:
        """Return a column for each output (N, K) for plain labels y (N,) that are all known; None for others.

        It is what the binarizer gives, which takes longer to look at a few labels than it takes to learn from them.
        """
        classes = self.classes_
        if y.ndim != 1 or y.dtype.kind != classes.dtype.kind or y.dtype.kind not in "biufU" or self._multilabel():
            return None
        numbers = np.searchsorted(classes, y).clip(max=len(classes) - 1)
        if (classes[numbers] != y).any():
            return None
        if self.warm_start and not np.bincount(numbers, minlength=len(classes)).all():
            return None
        return np.equal.outer(numbers, np.arange(len(classes)) if len(classes) > 2 else [1])

    def _multilabel(self) -> bool:
        return bool(self._label_binarizer.y_type_.startswith("multilabel"))

    def _check_classes(self, classes: Array) -> None:
        """Raise for labels that the network has no output for or, with `warm_start`, misses."""
        if self.warm_start and set(classes) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. Previously "
                f"got {self.classes_}, `y` has {classes}"
            )
        if len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {classes}."
            )

    def _out_activation(self) -> str:
        return "softmax" if self._label_binarizer.y_type_ == "multiclass" else "logistic"

    @available_if(has_partial_fit)  # type: ignore[untyped-decorator]
    @fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def partial_fit(
        self, X: Any, y: Any, sample_weight: ArrayLike | None = None, classes: ArrayLike | None = None
    ) -> Self:
        """Train for one epoch on X (N, D) and y, on from the last one's end; the first call needs all `classes`."""
        if check_partial_fit_first_call(self, classes):
            multilabel = type_of_target(y).startswith("multilabel")
            self._label_binarizer = LabelBinarizer().fit(y if multilabel else classes)
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> Array:
        """Return the most probable labels (N,), or 0/1 (N, K) for several labels, of X (N, D)."""
        outputs = self._outputs(X)
        if self.out_activation_ == "softmax":
            return self.classes_[outputs.argmax(axis=1)]
        return self._label_binarizer.inverse_transform(outputs.ravel() if self.n_outputs_ == 1 else outputs)

    def predict_proba(self, X: Any) -> Array:
        """Return probabilities (N, classes) in the order of `classes_`, or (N, K) of each of several labels alone."""
        outputs = self._outputs(X)
        return np.hstack([1 - outputs, outputs]) if self.n_outputs_ == 1 else outputs

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithms of `predict_proba`; −inf, with NumPy's warning, for a probability of 0."""
        return np.log(self.predict_proba(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class MLPRegressor(RegressorMixin, Perceptron):  # type: ignore[misc]
    """A multilayer perceptron that predicts numbers, by squared error or, for counts, the Poisson deviance.

    Parameters, attributes and notes are those of `MLPClassifier`, but for classes and their weights, with these
    besides. With `loss="poisson"` the steps are made one by one, and are slower.

    Otherwise than in scikit-learn, too:

    - lbfgs minimises the sum of the squared errors of several outputs. There the loss is their mean and the gradient
      that of their sum, which do not belong together: iterations differ, and end before the minimum.
    - `partial_fit` does not exist with lbfgs, as in the classifier; there it is a whole fit to the examples given.
    - With `loss="poisson"` and float32 X, steps whose means pass 1e19 are divergence; there, those that pass 1e38.
      lbfgs works in float64 whatever X is.

    Args:
        loss ({"squared_error", "poisson"}): ½ Σ (y − z)², in the loss curve averaged over the outputs; or half the
            Poisson deviance with a logarithmic link, for y >= 0, whose outputs are means exp(z) > 0.

    Attributes:
        validation_scores_, best_validation_score_: R² on the examples held out.
        out_activation_: `"identity"`, or `"exp"`.

    >>> from sklearn.datasets import make_regression
    >>> X, y = make_regression(200, 20, random_state=1)
    >>> regressor = MLPRegressor(solver="lbfgs", max_iter=500, random_state=1).fit(X[:150], y[:150])
    >>> regressor.score(X[150:], y[150:]) > 0.9
    True
    """

    _parameter_constraints: ClassVar = {
        **Perceptron._parameter_constraints,
        "loss": [StrOptions({"squared_error", "poisson"})],
    }

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: float = 0.0,
    ) -> None:
        Perceptron.__init__(**locals())

    def _read(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array, Array | None]:
        X, y = validate_data(
            self, X, y, accept_sparse=SPARSE, multi_output=True, y_numeric=True, dtype=FLOATS, reset=reset
        )
        if y.dtype.kind not in "biuf" or scipy.sparse.issparse(y):
            kind = "a sparse array" if scipy.sparse.issparse(y) else f"dtype {y.dtype}"
            raise TypeError(f"y must be a dense array of numbers, but got {kind}")
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if self.loss == "poisson" and y.min() < 0:
            raise ValueError(f"y must be >= 0 with loss='poisson', but its least value is {y.min():g}")
        return X, y.reshape(len(y), -1), None

    def _out_activation(self) -> str:
        return "exp" if self.loss == "poisson" else "identity"

    @available_if(has_partial_fit)  # type: ignore[untyped-decorator]
    @fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Self:
        """Train for one epoch on X (N, D) and y (N,) or (N, K), on from where the last one ended."""
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> Array:
        """Return predictions (N,), or (N, K) for several outputs, of X (N, D)."""
        outputs = self._outputs(X)
        return outputs.ravel() if outputs.shape[1] == 1 else outputs
