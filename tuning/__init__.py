"""Tuning for the networks of `nn`: spaces, samplers, studies that lose nothing, and the `nn-tuning` command."""

import logging

from tuning.space import Choice, IntUniform, LogUniform, Space, Uniform
from tuning.store import Trial, TrialResult, TrialSpec
from tuning.study import Study, StudyInterrupted
from tuning.sweeps import sweep

__all__ = [
    "Choice",
    "IntUniform",
    "LogUniform",
    "Space",
    "Study",
    "StudyInterrupted",
    "Trial",
    "TrialResult",
    "TrialSpec",
    "Uniform",
    "sweep",
]

logging.getLogger("tuning").addHandler(logging.NullHandler())  # quiet, unless the program that uses it wants to hear
