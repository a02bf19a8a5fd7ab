"""What is searched: values, ranges, choices and the conditions between them, each with the text that gives it back."""

from tuning.space.conditions import conditioned
from tuning.space.parameters import DEFAULTS, PARAMETERS, bounds, takers
from tuning.space.ranges import IntUniform, LogUniform, Parameter, Uniform, rounded
from tuning.space.spaces import Choice, Space, as_parameter
from tuning.space.values import Setting, Value, value_text
