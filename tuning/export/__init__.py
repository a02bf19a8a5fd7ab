"""What leaves a study: tables, lines of text, notebooks, Optuna's studies, and files written whole or not at all."""

from tuning.export.files import whole
from tuning.export.tables import Table, plain
