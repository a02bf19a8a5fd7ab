"""Conclusions from trials, and how sure they are: ranking, intervals, ties, importances and verdicts."""

from nn.metrics import larger_is_better
from tuning.analysis.comparison import Comparison, Optimism, Ties, compared, optimism, tied_with_best, ties
from tuning.analysis.conclusions import Analysis, SettingRow, StudyLike, analyse, metric_names, plain
from tuning.analysis.curves import TrialCurves, Verdict
from tuning.analysis.importance import Importance, importance
from tuning.analysis.intervals import Interval, mean_intervals, method_name, share_interval
from tuning.analysis.ranking import Leader, Summary, mean, reference_loss, sign, spread, summarise
from tuning.analysis.rates import BestRate, best_rates, group_names
from tuning.analysis.reference import Reference, reference_of
from tuning.analysis.rules import RULES, UNCLEAR, VERDICTS
from tuning.analysis.scores import Scores
from tuning.analysis.verdicts import common, names_by_curves, verdict_of, verdicts
