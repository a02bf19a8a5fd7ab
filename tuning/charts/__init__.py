"""Charts as plain values, worked out once from a study: `tuning.plots`, `tuning.report` and notebooks draw them.

No plotting library is imported here.
"""

from tuning.charts.axes import BELOW, Axis, scale_of, words
from tuning.charts.colours import COLOURS, SEQUENTIAL
from tuning.charts.curves import LearningCurve, learning_curves, run_curves, validation_path, validation_points
from tuning.charts.scores import HeatMap, ParallelLines, ScoreCurve, ScoreLine, heat_map, parallel_lines, score_curve
from tuning.charts.settings import ScoredSetting, ScoredStudy, by_importance, importance_shares
