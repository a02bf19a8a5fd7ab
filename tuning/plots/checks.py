"""Checks that what is to be drawn can be drawn."""

from __future__ import annotations

from nn.checks import brief
from nn.data import Dataset
from nn.run import Run
from tuning.charts import ScoredStudy
from tuning.study import Study


def as_study(study: object, function: str) -> Study:
    """Return a study. Raises TypeError for anything else."""
    if not isinstance(study, Study):
        raise TypeError(f"{function} must get a Study, as sweep returns it, but got {brief(study)}")
    return study


def scores_of(study: Study, metric: str | None = None) -> ScoredStudy:
    """Return the scores of a study. Raises ValueError for an unknown metric, or where no trial has completed."""
    scores = ScoredStudy.of(study, metric)
    if not any(setting.values for setting in scores.settings):
        raise ValueError(f"a study must have a completed trial to be drawn, but: {study.describe_states()}")
    return scores


def check_run(run: object, data: object, function: str) -> None:
    """Raise TypeError for anything else than a run and a data set."""
    if not isinstance(run, Run):
        raise TypeError(f"{function} must get a Run, as train returns it, but got {brief(run)}")
    if not isinstance(data, Dataset):
        raise TypeError(f"{function} must get a Dataset beside the run, such as split.train, but got {brief(data)}")
