"""Reading: `READING`, the table of all options by which files are read, and `read_table`, which follows them."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from nn.checks import TASKS, brief, known_options, one_of
from nn.data.cells import SEPARATORS
from nn.data.table import Table, chosen_names

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
    def is_flag(self) -> bool:
        """Whether it is True or False; its name alone is True on a command."""
        return self.kind == FLAG

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


_OTHER_NAMES = {
    "delimiter": "separator",
    "sep": "separator",
    "na_values": "missing",
    "target": "target_column",
    "usecols": "drop",
}
_TEXT_ENDINGS = (".csv", ".tsv", ".tab", ".txt", ".data", ".dat")
_PARQUET_ENDINGS = (".parquet", ".pq")


def is_table_file(path: Path) -> bool:
    """Return whether the name of a file says that `read_table` can read it."""
    return path.name.lower().removesuffix(".gz").endswith((*_TEXT_ENDINGS, *_PARQUET_ENDINGS))


def read_table(
    path: str | os.PathLike[str], options: Mapping[str, Any] | None = None, kinds: Mapping[str, str] | None = None
) -> Table:
    """Read a file of rows: text with separators between cells, plain or packed by gzip, or Parquet.

    Only the writing of the cells is looked at: which are missing, and whether a column has numbers, dates or
    categories. Names of rows as R writes them, in a first column without a name, are left out.

    Args:
        path: The file.
        options: Options of `READING`, of which separator, decimal, encoding, missing, header, drop and categorical say
            how to read; the others are for later steps, but must fit these.
        kinds: For a file that must be read as another one was, the kinds of its columns ("number", "category", "date")
            by their names. A cell that is not of this kind is refused; columns of other names are read as they come.

    Raises:
        ValueError, TypeError: For an unsuitable option, a file that is damaged or no table, and a column in which
            nearly all cells are numbers and a few are neither that nor missing, with its line.
    """
    path, chosen = Path(path), reading_options(options or {}, str(path))
    try:
        if path.name.lower().endswith(_PARQUET_ENDINGS):
            from nn.data.frames import read_parquet

            table = read_parquet(path, chosen, kinds)
        else:
            from nn.data.text import read_text

            table = read_text(path, chosen, kinds)
    except OSError as error:
        raise ValueError(f"{path} must be readable, but is not: {error.strerror or error}") from error
    if kinds is None and "target_column" in chosen:
        chosen_names("target_column", chosen["target_column"], table)
    return table


@dataclass(frozen=True)
class Origin:
    """The source of a data set that was loaded.

    Attributes:
        name: The name of the set, or the absolute path of the file or folder.
        options: The options of `load_dataset` that were given.
    """

    name: str
    options: dict[str, Any]


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
    for name in options:
        if name in _OTHER_NAMES:
            known = ", ".join(READING)
            raise ValueError(
                f"option of {of} must be one of {known}, but got {name!r}; did you mean {_OTHER_NAMES[name]!r}?"
            )
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
        return os.fspath(value)
    if kind == TEXTS:
        values = [value] if isinstance(value, str) else list(value)
        if all(isinstance(each, str) for each in values):
            return values
        raise TypeError(f"{name} must be a text or a list of texts, but got {brief(value)}")
    if kind in (COLUMN, COLUMNS):
        return value if kind == COLUMN and not isinstance(value, tuple) else _listed(value)
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a text, but got {brief(value)}")
    if name == "decimal" and value not in (".", ","):
        raise ValueError(f"decimal must be . or , but got {brief(value)}")
    if name == "separator" and value not in SEPARATORS and (len(value) != 1 or value in '\r\n"'):
        raise ValueError(f"separator must be one character, tab or blanks, but got {brief(value)}")
    return value


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
