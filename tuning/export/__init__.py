"""A study leaves as tables, lines of text, notebooks, Optuna's studies, and files written whole or not at all."""

from tuning.export.confusion import RETRAINED, Confusion
from tuning.export.files import whole
from tuning.export.tables import Table, csv_text
from tuning.export.text import (
    SHOWN_RATES,
    analysis_lines,
    closing_lines,
    outcome_lines,
    rate_cells,
    seen_before,
    show_lines,
    study_lines,
    tested_model,
    trained_text,
    verdict,
)
