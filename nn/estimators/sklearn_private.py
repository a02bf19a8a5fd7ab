"""All that the estimators take from scikit-learn's private parts, which any version may change.

A test holds each of them to the form in which it is used here, and `make test-sklearn` runs all tests of the estimators
with the oldest and the newest version that is supported. `fit_context` validates the settings by the
`_parameter_constraints` of a class, which are made of `Interval`, `Options`, `StrOptions` and names.
"""

from sklearn.base import _fit_context as fit_context
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.multiclass import _check_partial_fit_first_call as check_partial_fit_first_call
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

# Warnings are those of a call in scikit-learn, the wrapper that `fit_context` puts around `fit`, so that
# `filterwarnings(module="sklearn")` holds: so many calls lie between it and the place that warns.
CALLER = 4
