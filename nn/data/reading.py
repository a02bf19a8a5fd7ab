"""Reading: `READING`, the table of all options by which files are read, and `read_table`, which follows them."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from typing import Any, NamedTuple

from nn.checks import TASKS, brief, known_options, one_of

COLUMN, COLUMNS, TEXT, TEXTS, CHOICE, FLAG, PATH = "column", "columns", "text", "texts", "choice", "flag", "path"


class ReadingOption(NamedTuple):
    """One option of reading.

    Attributes:
        kind: The values that it takes. "column": the name or number of a column, or a list of them; "columns": the name
            of a column, or a list; "text"; "texts": a text, or a list; "choice": one of `choices`; "flag": True or
            False; "path": a file.
        about: The help for it, with its default in brackets.
        choices: The values of a choice.
    """

    kind: str
    about: str
    choices: tuple[str, ...] = ()

    @property
    def metavar(self) -> str:
        """The word for its value in the help of a command."""
        if self.choices:
            return "|".join(self.choices)
        words = {COLUMN: "COLUMN", COLUMNS: "COLUMNS", TEXT: "TEXT", TEXTS: "TEXTS", FLAG: "true|false", PATH: "FILE"}
        return words[self.kind]


READING: dict[str, ReadingOption] = {
    "target_column": ReadingOption(COLUMN, "the column that is to be predicted, or several with commas (the last)"),
    "task": ReadingOption(CHOICE, "what the target is (found from its values)", TASKS),
    "separator": ReadingOption(TEXT, "what stands between cells: a character, tab or blanks (found)"),
    "decimal": ReadingOption(TEXT, "the decimal mark, a point or a comma (found)"),
    "encoding": ReadingOption(TEXT, "of the text, such as utf-8 or latin-1 (found)"),
    "missing": ReadingOption(
        TEXTS, "more cells that are missing, beside empty ones, ?, NA, N/A, NaN, null, None, - and ."
    ),
    "header": ReadingOption(FLAG, "whether the first row has the columns' names (found)"),
    "drop": ReadingOption(COLUMNS, "columns to leave out"),
    "categorical": ReadingOption(COLUMNS, "columns of numbers that are categories"),
    "split_by": ReadingOption(COLUMNS, "a column whose groups are never divided between parts or folds"),
    "split_in_order": ReadingOption(FLAG, "train on the first rows, validate on later ones, test on the last"),
    "validation_file": ReadingOption(PATH, "a file with the validation rows"),
    "test_file": ReadingOption(PATH, "a file with the test rows"),
}
"""Every option of reading by its name, in the order of help: an argument in Python, `--target-column` on a command."""


def option_of_text(name: str, text: str) -> Any:
    """Return the value of a reading option that is written as text, as on a command line; commas stand between several.

    >>> option_of_text("drop", 'id,"name, first"')
    ['id', 'name, first']
    >>> option_of_text("target_column", "price")
    'price'
    """
    kind = READING[name].kind
    if kind in (COLUMN, COLUMNS, TEXTS):
        values = next(csv.reader([text], skipinitialspace=True), [""])
        return values[0] if kind == COLUMN and len(values) == 1 else values
    if kind == FLAG:
        return one_of(name, text, ("true", "false")) == "true"
    return text


def reading_options(options: Mapping[str, Any], of: str = "a file") -> dict[str, Any]:
    """Return those of `options` that are given (not None), checked, with several columns or texts as lists.

    Raises ValueError for an unknown option, with the nearest one suggested, and for a value that is unsuitable.
    """
    known_options(of, options, READING)
    return {name: _checked(name, value) for name, value in options.items() if value is not None}


def _checked(name: str, value: Any) -> Any:
    kind, _, choices = READING[name]
    if kind == CHOICE:
        return one_of(name, value, choices)
    if kind == FLAG:
        if isinstance(value, bool):
            return value
        raise ValueError(f"{name} must be True or False, but got {brief(value)}")
    if kind == PATH:
        return str(value)
    if kind == TEXT:
        if isinstance(value, str):
            return value
        raise TypeError(f"{name} must be a text, but got {brief(value)}")
    return value
