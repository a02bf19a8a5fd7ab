"""Input checks shared by the public functions: each states the rule, the value and the way out, in one line."""

from __future__ import annotations

import difflib
import math
import sys
import warnings
from collections.abc import Callable, Iterable
from dataclasses import field
from functools import partial
from typing import Any

TASKS = ("classification", "regression", "multilabel")
ACTIVATION_ALIASES = {"sigmoid": "logistic", "linear": "identity"}
"""Activations by other names that are taken too."""

_NEAR = 0.6  # the least likeness of a name that is suggested
# What things that exist here are called elsewhere.
_ELSEWHERE = {
    "learning_rate": "lr eta eta0 rate step_size stepsize alpha learning_rate_init initial_learning_rate",
    "batch_size": "bs batch batchsize minibatch mini_batch mini_batch_size",
    "hidden_units": "hidden units layers hidden_layers hidden_layer_sizes hidden_sizes hidden_size neurons width",
    "epochs": "epoch n_epochs num_epochs nb_epoch max_epochs max_iter iterations",
    "optimizer": "optim opt optimiser solver algorithm",
    "weight_decay": "wd decay",
    "l2": "alpha lambda reg regularization l2_penalty penalty",
    "dropout": "dropout_rate drop_rate p_drop",
    "activation": "act activations activation_function nonlinearity transfer",
    "schedule": "scheduler lr_scheduler lr_schedule learning_rate_schedule",
    "init": "initializer initialiser initialization initialisation weight_init kernel_initializer",
    "momentum": "beta mu",
    "beta1": "beta_1 betas",
    "beta2": "beta_2 rho",
    "epsilon": "eps",
    "clip_norm": "clip grad_clip gradient_clip max_grad_norm clipnorm",
    "seed": "random_state random_seed rng",
    "early_stopping": "patience",
    "folds": "cv k_folds n_folds n_splits k",
    "repeats": "n_repeats n_seeds seeds",
    "n_trials": "trials n_iter max_trials num_trials",
    "n_jobs": "jobs threads workers n_workers cores",
    "timeout": "minutes time time_limit max_time",
    "method": "sampler search strategy algorithm",
    "metric": "score scoring objective",
    "storage": "db database study_file",
    "output": "out o file out_file",
    "target_column": "target label y target_name label_column",
    "data": "dataset input file csv",
    "space": "params parameters param_grid param_distributions grid search_space",
    "save": "model output out",
    "plot": "plots figure figures",
    "low": "min start lr_min min_lr",
    "high": "max end stop lr_max max_lr",
    "logistic": "sigmoid sigm",
    "identity": "linear none id",
    "gelu": "silu swish",
    "relu": "leaky_relu leakyrelu elu selu rectifier",
    "he": "kaiming he_normal he_uniform kaiming_normal kaiming_uniform",
    "glorot": "xavier glorot_uniform glorot_normal xavier_uniform xavier_normal",
    "cross_entropy": "ce bce nll log_loss logloss categorical_crossentropy binary_crossentropy",
    "squared_error": "mse l2 mean_squared_error",
    "sgd": "gd gradient_descent",
    "cosine": "cosine_annealing cos",
    "random": "random_search randomized",
    "grid": "grid_search exhaustive",
    "tpe": "bayes bayesian optuna gp",
    "validation_loss": "val_loss",
    "validation_accuracy": "val_accuracy val_acc acc",
    "validation_r2": "r2 val_r2",
    "validation_f1_macro": "f1 f1_score f1_macro",
}


def usual_name(name: object, known: Iterable[str]) -> str | None:
    """Return the known name of what is called `name` elsewhere, None where there is none.

    >>> usual_name("lr", ["l2", "learning_rate"])
    'learning_rate'
    """
    word = str(name).lower().replace("-", "_")
    return next((each for each in known if word in _ELSEWHERE.get(each, "").split()), None)


def brief(value: object) -> str:
    """Return `value` as an error shows it: on one line, and a long one cut short.

    >>> print(brief("a" * 100))
    'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…
    """
    text = one_line(repr(value))
    return text if len(text) <= 60 else text[:59] + "…"


def one_line(text: object) -> str:
    """Return a text in one line; of an error, its name and what it says."""
    shown = f"{type(text).__name__}: {text}" if isinstance(text, BaseException) else str(text)
    return " ".join(shown.split())


def warn(text: str, package: str = "nn") -> None:
    """Warn at the line that called into a package, whichever way it took from there."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == package:
        level, frame = level + 1, frame.f_back
    warnings.warn(text, stacklevel=level)


def unknown_name(kind: str, name: object, known: Iterable[str]) -> ValueError:
    """Return the error for an unknown name, with the nearest known one suggested.

    What is called so elsewhere goes before what is spelled alike. A name may lack the first word of a known one. A
    metric that lacks it is that of the validation part, by which one chooses.

    >>> raise unknown_name("activation", "rellu", ["relu", "tanh"])
    Traceback (most recent call last):
    ...
    ValueError: activation must be one of relu, tanh, but got 'rellu'; did you mean 'relu'?
    >>> raise unknown_name("metric", "accuracy", ["train_accuracy", "validation_accuracy"])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ValueError: metric must be one of train_accuracy, validation_accuracy, ...; did you mean 'validation_accuracy'?
    """
    names = list(known)

    def nearness(each: str) -> tuple[float, bool, float]:
        whole, rest = (
            difflib.SequenceMatcher(None, str(name).lower(), form).ratio() for form in (each, each.partition("_")[2])
        )
        return max(whole, rest), each.startswith("validation_"), whole

    usual = usual_name(name, names)
    nearest = usual or max(names, key=nearness, default="")
    hint = f"; did you mean {nearest!r}?" if usual or nearness(nearest)[0] >= _NEAR else ""
    return ValueError(f"{kind} must be one of {', '.join(names)}, but got {brief(name)}{hint}")


def one_of(kind: str, name: object, known: Iterable[str]) -> str:
    """Return `name` if it is one of `known`; raise the error with a suggestion otherwise."""
    names = list(known)
    if isinstance(name, str) and name in names:
        return name
    raise unknown_name(kind, name, names)


def integer(name: str, value: Any, low: int | None = None, high: int | None = None) -> int:
    """Return `value` as an int within [low, high]; booleans and fractions are refused.

    >>> integer("epochs", 0, low=1)
    Traceback (most recent call last):
    ...
    ValueError: epochs must be an integer of at least 1, but got 0
    """
    try:
        whole = not isinstance(value, bool) and int(value) == value
    except (TypeError, ValueError, OverflowError):
        whole = False
    number = int(value) if whole else 0
    if whole and (low is None or number >= low) and (high is None or number <= high):
        return number
    rule = "an integer"
    if low is not None and high is not None:
        rule = f"an integer between {low:,} and {high:,}"
    elif low is not None:
        rule = f"an integer of at least {low:,}"
    elif high is not None:
        rule = f"an integer of at most {high:,}"
    raise ValueError(f"{name} must be {rule}, but got {number if whole else brief(value)}")


def batch_size(value: Any, examples: int) -> Any:
    """Return "full" or a number of examples up to all there are; unless given, 32, or all where there are fewer."""
    if value is None:
        return min(32, examples)
    if isinstance(value, str) and value == "full":
        return value
    try:
        return integer("batch_size", value, 1, examples)
    except ValueError:
        raise ValueError(
            f"batch_size must be between 1 and the {examples:,} training examples, or full, but got {brief(value)}"
        ) from None


def real(
    name: str,
    value: Any,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    above: float | None = None,
    below: float | None = None,
    infinite: bool = False,
) -> float:
    """Return `value` as a float within [low, high], strictly `above` and `below` where given; NaN is refused.

    >>> real("momentum", 1.0, 0.0, below=1.0)
    Traceback (most recent call last):
    ...
    ValueError: momentum must be a finite number >= 0 and < 1, but got 1.0
    """
    try:
        number = math.nan if isinstance(value, bool | str | bytes) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if (
        low <= number <= high
        and (above is None or number > above)
        and (below is None or number < below)
        and (infinite or not math.isinf(number))
    ):
        return number
    ends = {">=": low, ">": above, "<=": high, "<": below}
    limits = " and ".join(f"{sign} {end:g}" for sign, end in ends.items() if end is not None and math.isfinite(end))
    rule = f"{name} must be a {'' if infinite else 'finite '}number {limits}".rstrip()
    raise ValueError(f"{rule}, but got {brief(value)}")


def checked(default: Any, check: Callable[..., Any], **limits: Any) -> Any:
    """Return a field of a dataclass, which `check_fields` holds to `check(name, value, **limits)`."""
    return field(default=default, metadata={"check": partial(check, **limits)})


def check_fields(description: Any) -> None:
    """Check the fields of a frozen dataclass that have a check, and keep its result; a default of None passes."""
    for name, own in description.__dataclass_fields__.items():
        check, value = own.metadata.get("check"), getattr(description, name)
        if check is not None and (value is not None or own.default is not None):
            object.__setattr__(description, name, check(name, value))


def known_options(name: str, options: Iterable[str], known: Iterable[str]) -> None:
    """Raise for the first of `options` that is not `known`, with the nearest one suggested.

    >>> known_options("'moons'", ["nois"], ["n", "noise"])
    Traceback (most recent call last):
    ...
    ValueError: option of 'moons' must be one of n, noise, but got 'nois'; did you mean 'noise'?
    """
    names = list(known)
    for option in options:
        if not names:
            raise ValueError(f"{name} must be loaded without options, but got {brief(option)}")
        one_of(f"option of {name}", option, names)
