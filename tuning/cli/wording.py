"""Errors in the words of the command line: Python names its arguments in another way than options are named."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping

from nn.data import READING

_QUOTED = r"""(?<![\w.])(?:"[^"]*"|'(?:[^'\\]|\\.)*')(?!\w)"""
_CLAUSE = re.compile(rf"((?:{_QUOTED}|(?!; ).)+)(?:; |$)", re.DOTALL)
_WORD = re.compile(
    rf"(?P<quoted>{_QUOTED})"
    r"|(?<![\w.-])(?P<name>[a-z][a-z0-9_]*)=(?P<value>\"[^\"]*\"|'[^']*'|[^\s,;()]*)"
    r"|(?<![\w./-])(?P<compound>[a-z][a-z0-9]*(?:_[a-z0-9]+)+)(?![\w./(=-])"
    r"|(?P<constant>\b(?:True|False|None)\b)"
    r"|(?P<call>\b[A-Za-z_][\w.]*\((?!\)))"
)
_READING_OPTION = re.compile(rf"(?<=\()({'|'.join(READING)})=(?=\S)")
_QUOTES = "\"'"
_CONSTANTS = {"True": "true", "False": "false", "None": "none"}  # as values are written there
_SUBJECT = re.compile(r"[a-z][a-z0-9_]*(?= must| needs|: )")


def options_of(parser: argparse.ArgumentParser) -> dict[str, str]:
    """Return the options of a command that take a value, by the names that Python has for them."""
    actions = (action for action in parser._actions if action.option_strings and action.nargs != 0)
    options = {action.dest: action.option_strings[-1] for action in actions}
    if "target_column" in options:  # `target` of `load_dataset`; in a sweep it is a score
        options.setdefault("target", options["target_column"])
    return options


def on_command_line(text: str, options: Mapping[str, str]) -> str:
    """Return an error's text with the arguments that it names as the options of a command: `--name value`.

    A hint, which stands behind a semicolon, is left out where it names an argument that the command does not have, or a
    call in Python. What is quoted stays as it is.

    >>> options = {"batch_size": "--batch-size", "epochs": "--epochs"}
    >>> on_command_line("epochs must be at least 1, but got 0; give epochs=20", options)
    '--epochs must be at least 1, but got 0; give --epochs 20'
    >>> on_command_line("batch_size must be between 1 and 8, but got 'batch_size=9'; pass shuffle=False", options)
    "--batch-size must be between 1 and 8, but got 'batch_size=9'"
    """

    def renamed(match: re.Match[str]) -> str:
        if match["compound"] and "must be one of" in match.string:  # in the parts of a choice
            return match[0]
        option = options.get(match["name"] or match["compound"] or "")
        if match["constant"] or option is None:
            return _CONSTANTS.get(match[0], match[0])
        value = (match["value"] or "").strip(_QUOTES)
        return f"{option} {_CONSTANTS.get(value, value)}".rstrip()

    first, *hints = _CLAUSE.findall(text) or [text]
    kept = [_WORD.sub(renamed, clause) for clause in (first, *(hint for hint in hints if _is_possible(hint, options)))]
    subject = _SUBJECT.match(kept[0])
    if subject is not None and subject[0] in options:
        kept[0] = options[subject[0]] + kept[0][subject.end() :]
    return "; ".join(kept)


def _is_possible(hint: str, options: Mapping[str, str]) -> bool:
    return all(
        match["call"] is None and (match["name"] is None or match["name"] in options) for match in _WORD.finditer(hint)
    )


def say(line: str) -> None:
    """Print a line about the data, with the options that it may name as those of the command, without delay.

    >>> say("age has 59 whole values: taken as numbers to predict (task=classification for classes)")
    age has 59 whole values: taken as numbers to predict (--task classification for classes)
    """
    print(_READING_OPTION.sub(lambda match: f"--{match[0][:-1].replace('_', '-')} ", line), flush=True)
