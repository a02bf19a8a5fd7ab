"""Rooms and files stay small enough to be looked through."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[1]
LINES, FILES = 400, 20
WHOLE = ("nn/kernels.py", "nn/reference.py")
"""The mathematics and their compiled form, which are read from top to bottom and side by side."""


def test_files_have_400_lines_at_most_and_rooms_20_files() -> None:
    files = [file for house in ("nn", "tuning") for file in (ROOT / house).rglob("*.py")]
    lengths = {file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8").count("\n") for file in files}
    assert {name: lines for name, lines in lengths.items() if lines > LINES and name not in WHOLE} == {}
    rooms = [file.parent.relative_to(ROOT).as_posix() for file in files]
    assert {room: rooms.count(room) for room in rooms if rooms.count(room) > FILES} == {}
