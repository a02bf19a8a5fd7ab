"""Every script says how it is run, under a name that exists, and a sweep author finds few files at the top."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.scripts.loading import SCRIPTS

PARTS = {"rows"}  # of the benchmark, which are not run by themselves
ALL = sorted(path.relative_to(SCRIPTS.parent).as_posix() for path in SCRIPTS.rglob("*.py"))
RUN = [name for name in ALL if not PARTS & set(Path(name).parts)]


@pytest.mark.parametrize("name", RUN)
def test_a_script_says_how_to_run_it_from_the_root(name: str) -> None:
    source = (SCRIPTS.parent / name).read_text(encoding="utf-8")
    opening = source.split("\nimport ")[0].split("\nfrom ")[0]
    assert re.search(rf"(python|jupytext --to ipynb) {re.escape(name)}\b", opening)


@pytest.mark.parametrize("name", ALL)
def test_every_script_that_is_named_exists(name: str) -> None:
    source = (SCRIPTS.parent / name).read_text(encoding="utf-8")
    named = set(re.findall(r"\bscripts/[\w/]+\.(?:py|toml)", source))
    assert [each for each in named if not (SCRIPTS.parent / each).is_file()] == []


def test_only_sweeps_and_scripts_on_the_public_interface_are_at_the_top() -> None:
    files = {path.name for path in SCRIPTS.iterdir() if path.is_file()}
    assert {name for name in files if not name.endswith((".toml", ".md"))} == {"fetch_datasets.py", "mnist.py"}
    assert "digits.toml" in files
