"""The identity of code: what changes a result changes it, and nothing else does."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tuning.objectives.code import Code

HELPER = "def helper(x):\n    return x * FACTOR\n\n\nFACTOR = 2.0\n"
TEXT = '''
import numpy as np
import helping
from helping import helper

LIMIT, TABLE, calls = 3, np.arange(4.0), 0


class Net:
    """A network."""

    made = 0

    def __init__(self):
        Net.made += 1

    def loss(self):
        return LIMIT


def objective(params, seed, scale=1.0):
    global calls
    calls += 1
    unused = Net().loss() + helping.helper(1) + TABLE.sum()
    return helper(params["x"]) * scale


other = 5
'''


@pytest.fixture
def code_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Code]:
    """The identity of `objective` in a file with this text, beside a module of one's own."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def code_of(text: str = TEXT, helper: str = HELPER, ran: bool = False) -> Code:
        (tmp_path / "writing.py").write_text(text)
        (tmp_path / "helping.py").write_text(helper)
        for name in ("writing", "helping"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        objective = importlib.import_module("writing").objective
        if ran:
            objective({"x": 1}, 0)
        return Code.of(objective)

    return code_of


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("* scale", "* scale + 1"),
        ("scale=1.0", "scale=2.0"),
        ("LIMIT, TABLE, calls = 3", "LIMIT, TABLE, calls = 4"),
        ("arange(4.0)", "arange(5.0)"),
        ("return LIMIT", "return -LIMIT"),
    ],
)
def test_all_that_a_result_depends_on_changes_it(code_of: Callable[..., Code], old: str, new: str) -> None:
    assert old in TEXT
    assert code_of(TEXT.replace(old, new)).digest != code_of().digest


def test_what_is_used_from_another_module_of_ones_own_changes_it(code_of: Callable[..., Code]) -> None:
    known = code_of().digest
    assert code_of(helper=HELPER.replace("2.0", "3.0")).digest != known
    assert code_of(helper=HELPER.replace("x * F", "x + F")).digest != known
    assert code_of(helper=HELPER + "\n\ndef another():\n    return 1\n").digest == known


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("other = 5", "other = 6\n\n\ndef later():\n    return 1"),
        ('"""A network."""', '"""A network with a comment."""'),
        ("    calls += 1", "    # a comment\n    calls  +=  1"),
    ],
)
def test_nothing_else_changes_it(code_of: Callable[..., Code], old: str, new: str) -> None:
    assert old in TEXT
    assert code_of(TEXT.replace(old, new)).digest == code_of().digest


def test_what_code_counts_while_it_runs_does_not_change_it(code_of: Callable[..., Code]) -> None:
    assert code_of(ran=True) == code_of()


def test_bound_arguments_enclosed_values_and_attributes_count() -> None:
    def made(factor: Any) -> Any:
        return lambda params: params["x"] * factor

    def digests(*things: Any) -> set[str]:
        return {Code.of(thing).digest for thing in things}

    assert len(digests(made(1), made(1), made(2), made(np.ones(2)), made(np.zeros(2)))) == 4
    assert len(digests(partial(json.dumps, indent=1), partial(json.dumps, indent=2))) == 2


def test_names_are_those_by_which_code_is_imported() -> None:
    assert Code.of(json.dumps).name == "json.dumps"
    assert Code.of(json.dumps).importable
    assert not Code.of(lambda params: 1.0).importable
    for thing in (len, np.sin, str.upper, [].append, partial(print)):
        assert Code.of(thing).name
