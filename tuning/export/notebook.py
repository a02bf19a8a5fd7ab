"""What a notebook shows of a study: its best settings as a table, and one small curve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nn.notebook import html_box, html_table, svg_curves
from tuning.analysis import Summary, larger_is_better

if TYPE_CHECKING:
    from tuning.study import Study

SHOWN = 5


def study_html(study: Study) -> str:
    """Return the first settings of the table, and the best score at each learning rate or the best trial's curves."""
    d = study.definition
    title = f"{d['data']['name']}, {d['method']}: {study.progress_line()}; {study.describe_states()}"
    table = study.table(SHOWN)
    if not table:
        return html_box("Study", title)
    titles, *rows = table.cells()
    more = len(study.summaries()) - len(rows)
    below = f"<p>… and {more:,} more settings</p>" if more > 0 else ""
    return html_box("Study", title, html_table(rows, titles) + below + _curve(study))


def _curve(study: Study) -> str:
    """Return the best mean at each learning rate where several were tried, the curves of the best trial elsewhere."""
    ranked = [summary for summary in study.summaries() if summary.rank is not None]
    metric = study.metric
    name = metric.replace("_", " ")
    best: dict[float, float] = {}
    for summary in ranked:  # the best first
        rate = summary.params.get("learning_rate")
        if isinstance(rate, int | float) and not isinstance(rate, bool):
            best.setdefault(float(rate), summary.metrics[metric])
    if len(best) > 1:
        rates = np.array(sorted(best))
        line = rates, np.array([best[rate] for rate in rates])
        label = f"{name}, the best of the other settings"
        return svg_curves(
            {label: line}, "learning rate", name, log_x=True, log_y=not larger_is_better(metric), dots=True
        )
    return _best_trial(study, ranked) if ranked else ""


def _best_trial(study: Study, ranked: list[Summary]) -> str:
    trial = next(trial for trial in study.trials if trial.params == ranked[0].params)
    epochs = np.arange(1, trial.epochs + 1, dtype=np.float64)
    known = {"training loss": "train_loss", "validation loss": "validation_loss"}
    lines = {text: (epochs, trial.curves[name]) for text, name in known.items() if name in trial.curves}
    return svg_curves(lines, "epoch", "loss", log_y=True)
