"""The laboratory under its former name: `from tuning.studies import catapult` goes on working."""

import sys

from tuning import laboratory

sys.modules[__name__] = laboratory
