"""The study file: trials as they are written and read back to the last bit, and the definition that they depend on."""

from tuning.store.definition import check_same, environment, now
from tuning.store.schema import APPLICATION_ID, StudyFileError, StudyWriteError
from tuning.store.study_file import StudyFile, check_writable
from tuning.store.trial import (
    COMPLETED,
    DIVERGED,
    FAILED,
    PAUSED,
    PRUNED,
    STATES,
    Trial,
    TrialResult,
    TrialSpec,
    seed_of,
    setting_of,
    setting_text,
)
from tuning.store.trials import Trials
