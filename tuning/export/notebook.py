"""The HTML that a notebook shows of a study: its best settings as a table, and one small curve."""

from __future__ import annotations

import numpy as np

from nn.metrics import course_name
from nn.notebook import html_box, html_table, svg_curves
from tuning.charts import ScoredStudy, learning_curves, score_curve, words
from tuning.export.results import StudyResults

SHOWN = 5


def study_html(study: StudyResults) -> str:
    """Return the first settings of the table, and the best score at each learning rate or the best setting's curves."""
    d = study.definition
    title = f"{d.data.name}, {d.method}: {study.progress_line()}; {study.describe_states()}"
    table = study.table(SHOWN)
    if not table:
        return html_box("Study", title)
    titles, *rows = table.cells()
    more = len(study.summaries()) - len(rows)
    below = f"<p>… and {more:,} more settings</p>" if more > 0 else ""
    return html_box("Study", title, html_table(rows, titles) + below + _picture(study))


def _picture(study: StudyResults) -> str:
    """Return the best mean at each learning rate where several were tried, the losses of the best setting elsewhere."""
    scores = ScoredStudy.of(study)
    if "learning_rate" in scores.numeric:
        (line,) = score_curve(scores).lines
        if len(line.best) > 1:
            name = words(study.metric)
            points = {f"{name}, the best of the other settings": (np.array([*line.best]), np.array(line.scores))}
            return svg_curves(points, "learning rate", name, log_x=True, log_y=not scores.larger, dots=True)
    if not scores.ranked:
        return ""
    losses = {}
    for metric in ("train_loss", "validation_loss"):
        _, (curve,) = learning_curves(study, scores, by=None, top=1, metric=metric)
        losses[course_name(metric)] = curve.epochs, curve.mean
    return svg_curves(losses, "epoch", "loss", log_y=True)
