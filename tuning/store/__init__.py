"""The study file: trials as they are written and read back to the last bit, and the definition that they depend on."""

from tuning.store.access import Access, note_change
from tuning.store.definition import (
    DataDescription,
    Definition,
    check_model,
    check_own_metric,
    check_same,
    checked_number,
    environment,
    now,
)
from tuning.store.rows import Outcome, Record
from tuning.store.schema import APPLICATION_ID, StudyFileError, StudyWriteError
from tuning.store.study_file import StudyFile, Trials
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
    best_epoch,
    seed_of,
    setting_of,
    setting_text,
)
