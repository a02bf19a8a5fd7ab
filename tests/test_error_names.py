"""Errors name what exists where they are shown: arguments in Python, options of the command on its line."""

from __future__ import annotations

import argparse
import ast
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import nn
import nn.estimators
import nn.schedules
import tuning
from nn.data import GENERATORS, READING
from tuning import plots
from tuning.cli.main import COMMANDS
from tuning.cli.options import Parser
from tuning.cli.wording import on_command_line, options_of
from tuning.space import PARAMETERS

ROOT = Path(__file__).parents[1]
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
ARGUMENT = re.compile(r"(?<![\w.'/-])([a-z][a-z0-9_]*)=(?!=)")
NOT_ARGUMENTS = {
    "name": "stands for any name: a part is name=values",
    "part": "of a folder of IDX files, an option of load_dataset",
    "study_name": "of optuna.delete_study",
    "axis": "of NumPy's argmax",
}


class Template(NamedTuple):
    """A text of an error, with X in the place of what is filled in, and the place where it stands."""

    text: str
    path: Path
    function: str

    @property
    def in_command(self) -> bool:
        return "cli" in self.path.parts


def templates() -> list[Template]:
    paths = [path for room in ("nn", "tuning") for path in sorted((ROOT / room).rglob("*.py"))]
    return list(dict.fromkeys(each for path in paths for each in _of(path)))


def _of(path: Path) -> Iterator[Template]:
    """Yield the texts of raised errors, of calls of errors, and of what these are made of; in the command, all."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            errors = [each for each in ast.walk(node) if isinstance(each, ast.Raise) or _is_error(each)]
            used = {name.id for error in errors for name in ast.walk(error) if isinstance(name, ast.Name)}
            made = [each for each in ast.walk(node) if isinstance(each, ast.Assign) and used & _targets(each)]
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            for root in body if "cli" in path.parts else [*errors, *made]:
                yield from (Template(text, path, node.name) for text in _texts(root))


def _is_error(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.endswith("Error")


def _targets(node: ast.Assign) -> set[str]:
    return {target.id for target in node.targets if isinstance(target, ast.Name)}


def _texts(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    for child in ast.iter_child_nodes(node):
        if not (isinstance(node, ast.JoinedStr) and isinstance(child, ast.Constant)):
            yield from _texts(child)


def public_functions() -> Iterator[Callable[..., Any]]:
    for room in (nn, tuning, nn.estimators, nn.schedules, plots):
        for name in getattr(room, "__all__", None) or vars(room):
            found = getattr(room, name)
            if callable(found):
                yield found
            if inspect.isclass(found):
                yield from (
                    method for key, method in vars(found).items() if inspect.isfunction(method) and key[0] != "_"
                )


def argument_names() -> set[str]:
    names = {*PARAMETERS, *READING}
    for function in (*public_functions(), *GENERATORS.values()):
        try:
            names |= {*inspect.signature(function).parameters}
        except ValueError:  # a built-in one
            continue
    return names


def parsers() -> dict[str, argparse.ArgumentParser]:
    made = {name: Parser() for name in COMMANDS}
    for name, parser in made.items():
        COMMANDS[name].options(parser)
    return made


TEMPLATES = templates()
PARSERS = parsers()


def test_there_are_as_many_errors_as_there_are() -> None:
    assert len({text for text, _, _ in TEMPLATES if " must " in text}) > 200
    assert "seed" in argument_names()


def test_no_error_names_what_is_private() -> None:
    private = re.compile(r"(?<![\w.])_[A-Za-z]\w+|InnerError")
    found = [(t.path.name, t.text) for t in TEMPLATES if private.search(t.text) and " " in t.text]
    assert found == []


def test_options_are_named_by_the_command_that_has_them() -> None:
    wrong = []
    for t in TEMPLATES:
        owner = t.function.strip("_").replace("_command", "").replace("_", "-")
        owners = [name for name in COMMANDS if name in (owner, t.path.stem.replace("_", "-"))] or list(COMMANDS)
        having = [{*PARSERS[name]._option_string_actions} for name in owners]
        for option in OPTION.findall(t.text):
            known = t.in_command and any(option in options for options in having)
            if not known and option not in ("--help", "--version") and t.path.parent.name != "laboratory":
                wrong.append((t.path.name, t.function, option, t.text))
    assert wrong == []


def test_arguments_are_named_as_a_public_function_has_them() -> None:
    known = argument_names() | {*NOT_ARGUMENTS}
    wrong = [(t.path.name, t.text) for t in TEMPLATES for name in ARGUMENT.findall(t.text) if name not in known]
    assert wrong == []


@pytest.mark.parametrize("command", COMMANDS)
def test_on_the_command_line_every_error_names_options_of_the_command_alone(command: str) -> None:
    options = options_of(PARSERS[command])
    known = {*PARSERS[command]._option_string_actions, "--help", "--version"}
    for t in TEMPLATES:
        if t.in_command or " " not in t.text:
            continue
        shown = on_command_line(t.text, options)
        assert {*OPTION.findall(shown)} <= known, shown
        hints = shown.split("; ")[1:]
        assert not [name for hint in hints for name in ARGUMENT.findall(hint)], shown
        assert ("but got" in shown) == ("but got" in t.text), shown
        assert shown.count("must") == t.text.count("must"), shown


def test_no_exception_is_left_over() -> None:
    named = {name for t in TEMPLATES for name in ARGUMENT.findall(t.text)}
    assert {*NOT_ARGUMENTS} <= named
