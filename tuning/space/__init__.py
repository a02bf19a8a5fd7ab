"""The space of a search: values, ranges, choices and conditions, each with a text that can be read back."""

from tuning.space.conditions import conditioned
from tuning.space.meant import way_out
from tuning.space.parameters import BESIDE, DEFAULTS, PARAMETERS, bounds, takers
from tuning.space.ranges import IntUniform, LogUniform, Parameter, Range, Uniform, rounded
from tuning.space.spaces import Choice, Space, as_parameter
from tuning.space.values import Setting, Value, is_number, shown, value_text
