"""What stands in the READMEs is so: snippets run and print what is shown, commands end well, files and links exist."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from itertools import zip_longest
from pathlib import Path

import pytest

from tuning.cli import main

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = (".", ".github", "datasets", "nn", "scripts", "tuning", "tuning/automatic", "tuning/laboratory")
PAGES = [page.relative_to(ROOT) for folder in FOLDERS for page in sorted((ROOT / folder).glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
ELSEWHERE = ("tcp://", "my.csv", "my.db", "FILE", "new.csv")
"""Commands with one of these need what a test does not have."""


def assert_shown(printed: str, shown: str) -> None:
    """The words must be the same, and numbers alike: their last digits differ from one processor to another."""
    assert NUMBER.sub("#", printed).split() == NUMBER.sub("#", shown).split(), printed
    for ours, theirs in zip(NUMBER.findall(printed), NUMBER.findall(shown), strict=True):
        assert float(ours) == pytest.approx(float(theirs), rel=0.03, abs=0.02), printed


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_snippets_print_what_is_shown_and_commands_end_well(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scripts").symlink_to(ROOT / "scripts")
    monkeypatch.chdir(tmp_path)
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = list(BLOCK.finditer(text))
    for block, following in zip_longest(blocks, blocks[1:]):
        language, content = block[1], block[2]
        if language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(content, str(page), "exec"), {"__name__": "__main__"})
            if following is not None and not following[1] and following.start() == block.end() + 1:
                assert_shown(out.getvalue(), following[2])
        for line in content.splitlines():
            if line.startswith(("nn-tuning ", "$ nn-tuning ")) and not any(word in line for word in ELSEWHERE):
                words = shlex.split(line.removeprefix("$ "), comments=True)
                with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as err:
                    assert main(words[1:]) == 0, (line, err.getvalue())


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_and_scripts_that_are_named_exist(page: Path) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)\)", text):
        assert "://" in target or ((ROOT / page).parent / target).exists(), target
    for script in re.findall(r"(?<![\w/])(?:scripts|tests|datasets)/[\w/]+\.\w+", text):
        assert (ROOT / script).exists(), script
