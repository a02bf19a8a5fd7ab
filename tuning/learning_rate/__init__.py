"""The learning rate of one's own network: range test, range to search, and the largest stable rate."""

from tuning.learning_rate.auto import is_auto, with_ranges
from tuning.learning_rate.range_test import RULES, RangeTest, learning_rate_interval, range_test, suggest_range
from tuning.learning_rate.stability import StabilityLimit, stability_limit
