"""Figures of studies and runs; needs `pip install "nn-tuning[plot]"`.

Every function takes a study or a run, draws on `ax` or on a new figure, and returns the `Axes`; `course` and `layers`
draw several, and return their figure.

>>> from tuning import plots, sweep
>>> study = sweep("iris", {"learning_rate": [0.01, 0.1, 1.0], "batch_size": [8, 32]}, epochs=5)
>>> ax = plots.heatmap(study)
>>> ax.get_xlabel(), ax.get_ylabel()
('learning rate', 'batch size')
>>> plots.close(ax)
"""

from tuning.plots.boundaries import decision_boundary, decision_boundary_animation
from tuning.plots.confusion import confusion
from tuning.plots.networks import Recorder, descent_path
from tuning.plots.panels import course, layers
from tuning.plots.rates import best_rate
from tuning.plots.spaces import heatmap, importance, parallel_coordinates
from tuning.plots.studies import learning_curves, learning_rate_curve, validation_vs_train
from tuning.plots.style import close, require, save

__all__ = [
    "Recorder",
    "best_rate",
    "close",
    "confusion",
    "course",
    "decision_boundary",
    "decision_boundary_animation",
    "descent_path",
    "heatmap",
    "importance",
    "layers",
    "learning_curves",
    "learning_rate_curve",
    "parallel_coordinates",
    "require",
    "save",
    "validation_vs_train",
]
