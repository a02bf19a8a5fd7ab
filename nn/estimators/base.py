"""The common part of classifier and regressor: settings, checks, and the way from a call of `fit` to the epochs."""

from __future__ import annotations

import math
import warnings
from functools import lru_cache
from itertools import pairwise
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from nn import compiled
from nn.checks import ACTIVATION_ALIASES
from nn.estimators.course import Monitor, minimise
from nn.estimators.epochs import Epochs, Problem, Stepper, pack
from nn.estimators.sklearn_private import CALLER, Interval, Options, StrOptions, check_sample_weight, fit_context
from nn.estimators.sparse import outputs, problem_of, stays_sparse
from nn.model import ACTIVATIONS, MLP
from nn.optimizers import SGD, Adam, Optimizer

Array = NDArray[Any]

# The largest mini-batch where none is asked for.
AUTO_BATCH = 200
# What a former fit may have left.
CURVES = ("loss_curve_", "best_loss_", "validation_scores_", "validation_loss_curve_", "best_validation_score_")
# scikit-learn's names of output activations → the names of output and loss in `MLP`.
OUTPUTS = {
    "softmax": ("softmax", "cross_entropy"),
    "logistic": ("logistic", "cross_entropy"),
    "identity": ("identity", "squared_error"),
    "exp": ("identity", "squared_error"),  # the gradient of the Poisson deviance is that of other targets
}

POSITIVE, NOT_NEGATIVE = Interval(Real, 0, None, closed="neither"), Interval(Real, 0, None, closed="left")
UNIT, BELOW_ONE = Interval(Real, 0, 1, closed="both"), Interval(Real, 0, 1, closed="left")
COUNT = Interval(Integral, 1, None, closed="left")

# What a fitted estimator is made of, which its pickle repeats: a change of its attributes, or of those of its stepper
# and optimizer, needs another number. A pickle without one has the first.
LAYOUT = 1
# The methods of scikit-learn's estimators that its own `fit` and `predict` go through, and which do not exist here.
INNER = {
    *("_backprop", "_compute_loss_grad", "_fit_lbfgs", "_fit_stochastic", "_forward_pass", "_forward_pass_fast"),
    *("_init_coef", "_initialize", "_loss_grad_lbfgs", "_predict", "_score", "_score_with_function"),
    *("_update_no_improvement_count", "_validate_input"),
}


@lru_cache(maxsize=256)
def network(sizes: tuple[int, ...], activation: str, out_activation: str, dropout: float, dtype: str) -> MLP:
    """Return the network of an estimator; all who ask for the same one share it and its caches."""
    output, loss = OUTPUTS[out_activation]
    return MLP(sizes, activation, output, loss, dropout=dropout, dtype=dtype)


def has_partial_fit(estimator: Perceptron) -> bool:
    """Return True if the solver goes step by step, and raise AttributeError otherwise, as `available_if` wants it."""
    if estimator.solver == "lbfgs":
        raise AttributeError(f"partial_fit is only available for stochastic optimizers. {estimator.solver} is not one.")
    return True


class Perceptron(BaseEstimator):  # type: ignore[misc]
    """The base of `MLPClassifier` and `MLPRegressor`."""

    coefs_: list[Array]
    intercepts_: list[Array]
    _parameter_constraints: ClassVar = {
        "hidden_layer_sizes": ["array-like", COUNT],
        "activation": [StrOptions({*ACTIVATIONS, *ACTIVATION_ALIASES})],
        "solver": [StrOptions({"lbfgs", "sgd", "adam"})],
        "batch_size": [StrOptions({"auto"}), COUNT],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "momentum": [UNIT],
        "n_iter_no_change": [COUNT, Options(Real, {np.inf})],
        **{name: [POSITIVE] for name in ("learning_rate_init", "epsilon")},
        **{name: [NOT_NEGATIVE] for name in ("alpha", "power_t", "tol")},
        **{name: [BELOW_ONE] for name in ("validation_fraction", "beta_1", "beta_2", "dropout")},
        **{name: [COUNT] for name in ("max_iter", "max_fun")},
        **{name: ["boolean"] for name in ("shuffle", "warm_start", "nesterovs_momentum", "early_stopping")},
    }

    # For subclasses whose constructors set all that scikit-learn's estimators have, and know nothing of more.
    loss = "squared_error"
    class_weight: Any = None
    dropout = 0.0

    def __init_subclass__(cls, **options: Any) -> None:
        """Raise TypeError for a subclass with a method that scikit-learn's estimators would call, and these never."""
        super().__init_subclass__(**options)
        lost = sorted(INNER & vars(cls).keys())
        if lost:
            theirs = next(kind.__name__ for kind in cls.__mro__ if Perceptron in kind.__bases__)
            raise TypeError(
                f"a subclass of {theirs} must not override {', '.join(lost)}, which compiled steps have no place for; "
                f"derive {cls.__name__} from sklearn.neural_network.{theirs}"
            )

    def __init__(self, **settings: Any) -> None:
        """Keep the settings, as they are, under their own names."""
        for name, value in settings.items():
            setattr(self, name, value)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle holds."""
        return {**super().__getstate__(), "_layout": LAYOUT}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take what a pickle held. Raises ValueError for one that another version has laid out in another way."""
        found = state.get("_layout", 1)
        if found != LAYOUT:
            raise ValueError(
                f"a pickled {type(self).__name__} must have layout {LAYOUT}, but has {found}, which another version of "
                "nn-tuning made; load it with that version, or fit it again"
            )
        super().__setstate__({name: value for name, value in state.items() if name != "_layout"})

    def _read(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array, Array | None]:
        """Check X and y; return X, targets (N, K), a column an output, and sample weights (N,) by class or None."""
        raise NotImplementedError

    def _out_activation(self) -> str:
        """Return the name of the output activation, once the targets are known."""
        raise NotImplementedError

    @fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the network to examples, and return it; it starts anew unless `warm_start`.

        Args:
            X (array, sparse array or frame (N, D)): The features.
            y (array (N,) or (N, K)): Labels, 0/1 for each of several labels, or numbers.
            sample_weight (array (N,)): The weights of the examples in the loss.

        Raises:
            ValueError, TypeError: For what does not fit, and where the parameters do not stay finite.
        """
        return self._fit(X, y, sample_weight, incremental=False)

    def _fit(self, X: Any, y: Any, sample_weight: Any, incremental: bool) -> Self:
        hidden = np.atleast_1d(np.asarray(self.hidden_layer_sizes)).tolist()
        if any(units <= 0 for units in hidden):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {hidden}.")
        if self.dropout and self.solver == "lbfgs":
            raise ValueError(f"dropout must be 0 with solver='lbfgs', which has no steps, but got {self.dropout}")
        first_pass = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        X, targets, w = self._read(X, y, incremental, first_pass)
        if sample_weight is not None:
            given = check_sample_weight(sample_weight, X, dtype=np.float64)
            w = given if w is None else given * w
        self.n_outputs_ = targets.shape[1]
        sizes = (X.shape[1], *hidden, self.n_outputs_)
        self._random_state = check_random_state(self.random_state)
        if first_pass:
            self._draw(sizes, X.dtype)
        shapes = [W.shape for W in self.coefs_]
        if shapes != list(pairwise(sizes)):
            known = (*(n_in for n_in, _ in shapes), shapes[-1][1])
            raise ValueError(
                f"layers must be those of the last fit, {known}, to go on from it, but got {sizes}; "
                "set warm_start=False and call fit to start anew"
            )
        theta = pack(self.coefs_, self.intercepts_)
        if self.solver == "lbfgs":
            problem = self._problem(X, targets, w, "float64")
            theta = minimise(self, problem, theta.astype(np.float64)).astype(theta.dtype)
        else:
            theta = self._descend(X, targets, w, theta, incremental)
        layers = self._model(theta.dtype.name).layers(theta)
        self.coefs_, self.intercepts_ = [W for W, _ in layers], [b for _, b in layers]
        if not np.isfinite(theta).all():
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
                "preprocessed."
            )
        return self

    def _draw(self, sizes: tuple[int, ...], dtype: Any) -> None:
        """Draw parameters (Glorot & Bengio 2010, biases too) and forget all former fits."""
        self.n_iter_, self.t_, self.n_layers_ = 0, 0, len(sizes)
        self.out_activation_ = self._out_activation()
        self.coefs_, self.intercepts_ = [], []
        for n_in, n_out in pairwise(sizes):
            logistic = self.activation in ("logistic", "sigmoid")
            limit = math.sqrt((2 if logistic else 6) / (n_in + n_out))
            self.coefs_.append(self._random_state.uniform(-limit, limit, (n_in, n_out)).astype(dtype, copy=False))
            self.intercepts_.append(self._random_state.uniform(-limit, limit, n_out).astype(dtype, copy=False))
        for name in (*CURVES, "_optimizer"):
            self.__dict__.pop(name, None)

    def _start_curves(self) -> None:
        """Begin all that epochs add to, and the best values so far."""
        stops = self.early_stopping
        self.loss_curve_: list[float] = []
        self.best_loss_ = None if stops else math.inf
        self.validation_scores_: list[float] | None = [] if stops else None
        self.validation_loss_curve_: list[float] | None = [] if stops else None
        self.best_validation_score_ = -math.inf if stops else None
        self._best_theta = pack(self.coefs_, self.intercepts_)
        self._no_improvement_count = 0

    # -- the parts of a fit ------------------------------------------------------------------------------------

    def _model(self, dtype: str, dropout: float = 0.0) -> MLP:
        """Return the network that the parameters belong to."""
        sizes = (self.coefs_[0].shape[0], *(len(b) for b in self.intercepts_))
        return network(sizes, self.activation, self.out_activation_, dropout, dtype)

    def _problem(self, X: Any, targets: Array, w: Array | None, dtype: str) -> Problem:
        model = self._model(dtype, float(self.dropout))
        return problem_of(model, X, targets, w, self.out_activation_ == "exp")

    def _optimizer_of(self) -> Optimizer:
        rate = float(self.learning_rate_init)
        if self.solver == "adam":
            return Adam(rate, self.beta_1, self.beta_2, self.epsilon)
        momentum = min(float(self.momentum), math.nextafter(1.0, 0.0))  # `SGD` asks for less than 1
        return SGD(rate, momentum, bool(self.nesterovs_momentum and momentum > 0))

    def _descend(self, X: Any, targets: Array, w: Array | None, theta: Array, incremental: bool) -> Array:
        """Train theta (P,) epoch by epoch, one epoch if `incremental`; return the last or, held out, the best."""
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        stepper = getattr(self, "_optimizer", None)
        if not incremental or stepper is None or not stepper.fits(theta):
            stepper = self._optimizer = Stepper.start(self._optimizer_of(), theta)
        scored = getattr(self, "validation_scores_", None) is not None
        if not hasattr(self, "loss_curve_") or scored != self.early_stopping:
            self._start_curves()
        held_out = None
        if self.early_stopping:
            X, targets, w, held_out = self._hold_out(X, targets, w, theta.dtype.name)
        rows = len(targets)
        if self.batch_size != "auto" and self.batch_size > rows:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=CALLER
            )
        batch_size = min(AUTO_BATCH if self.batch_size == "auto" else int(self.batch_size), rows)
        seed = int(self._random_state.randint(2**31 - 1)) if self.dropout else 0
        problem = self._problem(X, targets, w, theta.dtype.name)
        epochs = Epochs(problem, stepper, theta, batch_size, float(self.alpha), seed)
        monitor = Monitor(self, stepper, rows, held_out)
        order = np.arange(rows)
        self.n_iter_ = 0
        try:
            while not monitor.ended and self.n_iter_ < (1 if incremental else self.max_iter):
                if self.shuffle:
                    shuffled = np.arange(rows)
                    self._random_state.shuffle(shuffled)
                    order = order[shuffled]
                monitor.end_epoch(epochs.run(order), theta)
            if not monitor.ended and not incremental:
                warnings.warn(
                    f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization hasn't "
                    "converged yet.",
                    ConvergenceWarning,
                    stacklevel=CALLER,
                )
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=CALLER)
        return theta if held_out is None else self._best_theta.copy()

    def _hold_out(
        self, X: Any, targets: Array, w: Array | None, dtype: str
    ) -> tuple[Any, Array, Array | None, Problem]:
        """Return the examples to train on, and those for early stopping; two classes keep their shares in both."""
        stratify = targets if is_classifier(self) and self.n_outputs_ == 1 else None
        parts = [X, targets] if w is None else [X, targets, w]
        split = train_test_split(
            *parts, random_state=self._random_state, test_size=self.validation_fraction, stratify=stratify
        )
        X, X_held, targets, targets_held = split[:4]
        w, w_held = split[4:] or (None, None)
        if len(targets_held) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        return X, targets, w, self._problem(X_held, targets_held, w_held, dtype)

    # -- predictions -------------------------------------------------------------------------------------------

    def _outputs(self, X: Any) -> Array:
        """Return the outputs (N, K) of the last layer for X (N, D), dense or sparse."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        theta = pack(self.coefs_, self.intercepts_)
        model = self._model("float32" if np.result_type(X, theta) == np.float32 else "float64")
        theta = theta.astype(model.dtype, copy=False)
        if stays_sparse(X):
            last = outputs(model, theta, X)
        else:
            dense = X.toarray() if scipy.sparse.issparse(X) else X
            last = compiled.outputs(model, theta, compiled.features(model, dense))
        return np.exp(last) if self.out_activation_ == "exp" else last

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
