"""Running what a study still lacks: rounds of trials, the workers that train them, and the limits that end it."""

from tuning.run.delivery import WorkersError
from tuning.run.limits import SAME, Limits, work_of
from tuning.run.rounds import Search
from tuning.run.runner import BUDGET, FINISHED, INTERRUPTED, TARGET, Progress, Runner
from tuning.run.workers import Workers, check_workers, reachable
