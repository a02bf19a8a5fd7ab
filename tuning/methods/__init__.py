"""Methods of search: each turns a space into rounds of settings, the same ones every time.

A method sees scores and no study. Optuna's samplers are one method of several.
"""

from tuning.methods.optuna import OptunaSampler, optuna, quiet
from tuning.methods.samplers import Proposal, Sampler, Score, least
from tuning.methods.table import (
    METHODS,
    OPTIONS,
    OPTUNA,
    gives_budgets,
    make_sampler,
    method_name,
    option_help,
    option_kind,
    sampler_of,
)
