"""A file that is replaced is whole at every moment, and no other file is touched."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from nn import files


def test_the_old_content_stands_until_the_new_one_is_whole_and_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, synced = tmp_path / "file", list[bytes]()
    target.write_text("old")
    sync = os.fsync

    def noting(descriptor: int) -> None:
        sync(descriptor)
        synced.append(os.pread(descriptor, 9, 0))
        assert target.read_text() == "old"

    monkeypatch.setattr(os, "fsync", noting)
    with files.replacing(target) as partial:
        partial.write_text("new")
        assert target.read_text() == "old"
    assert (synced, target.read_text()) == ([b"new"], "new")
    assert list(tmp_path.iterdir()) == [target]


def test_after_an_error_or_an_interruption_the_folder_is_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")

    def cut_short(error: type[BaseException]) -> None:
        with files.replacing(tmp_path / "file") as partial:
            partial.write_text("ne")
            raise error

    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error):
            cut_short(error)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "old")]


def test_what_stands_under_the_temporary_name_is_not_written_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who may write to the folder could plant a link there, if only the name could be guessed."""
    monkeypatch.setattr("secrets.token_hex", lambda size: "guessed")
    victim = tmp_path / "victim"
    victim.write_text("kept")
    (tmp_path / ".file.guessed.part").symlink_to(victim)
    with pytest.raises(FileExistsError), files.replacing(tmp_path / "file"):
        raise AssertionError("never reached")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".file.guessed.part", "victim"]
    assert victim.read_text() == "kept"


def test_folders_are_made_on_request_alone_and_permissions_are_the_usual_ones(tmp_path: Path) -> None:
    target, usual = tmp_path / "a" / "b" / "file", tmp_path / "usual"
    usual.touch()
    with pytest.raises(FileNotFoundError), files.replacing(target):
        raise AssertionError("never reached")
    with files.replacing(target, make_folder=True) as partial:
        assert partial.parent == target.parent
    assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE(usual.stat().st_mode)
