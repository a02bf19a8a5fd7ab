"""The scripts of all experiments share verdicts, the table, the command line, and files that are whole or not there."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from tuning import laboratory
from tuning.laboratory.findings import Claim, Findings
from tuning.plots import style


@pytest.mark.parametrize(
    ("here", "low", "high", "holds"),
    [
        (1.0, 1.0, 1.0, True),
        (1.1, 1.0, 1.0, False),
        (-3.0, -math.inf, 0.0, True),
        (3.0, 4.0, math.inf, False),
        (math.inf, 0.0, 9.0, False),
        (math.nan, -math.inf, math.inf, False),
    ],
)
def test_a_claim_holds_within_its_tolerance_and_nan_never(here: float, low: float, high: float, holds: bool) -> None:
    claim = Claim("slope", "1", here, low, high)
    assert claim.holds is holds
    assert claim.cells()[-1] == ("yes" if holds else "NO")


def test_the_table_says_how_many_claims_are_outside_tolerance() -> None:
    good, bad = Claim("slope", "1", 1.01, 0.9, 1.1), Claim("a longer name", "0", 0.5, high=0.1)
    text = Findings("Title", [good, bad], notes=["a remark"]).text().splitlines()
    assert text[0] == "Title"
    assert text[2].split() == list(laboratory.HEADINGS)
    assert len({line.index("0.") for line in text[3:5] if "0." in line}) <= 2
    assert text[3].endswith("0.9 to 1.1  yes")
    assert text[4].endswith("≤ 0.1       NO")
    assert text[-2:] == ["1 of 2 outside tolerance", "a remark"]
    assert "all within tolerance" in Findings("Title", [good]).text()
    assert Findings("Title", []).text() == "Title\n"


def found(seed: int, quick: bool) -> Findings:
    figure, axes = style.subplots(width=2, height=2)
    axes[0, 0].plot([seed, 1], [2, 3 if quick else 4])
    return Findings(f"seed {seed}, {'quick' if quick else 'whole'}", [], {"line": figure}, [], {"a.gif": b"GIF89a"})


def test_a_script_prints_the_table_and_saves_every_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new" / "figures"
    assert laboratory.main("About.", found, ["--seed", "7", "--quick", "--output", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "seed 7, quick"
    assert lines[-3:-1] == [f"figure: {folder / 'line.png'}", f"figure: {folder / 'a.gif'}"]
    assert (folder / "line.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "a.gif").read_bytes() == b"GIF89a"
    assert sorted(path.name for path in folder.iterdir()) == ["a.gif", "line.png"]
    assert style.library().get_fignums() == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--seed", "x"], "must be a whole number from 0 to 2**32 - 1, but got 'x'"),
        (["--seed", "-1"], "--seed"),
        (["--seed", str(2**32)], "must be a whole number from 0 to 2**32 - 1"),
        (["--seed", "²"], "must be a whole number"),
        (["--output", "{file}"], "must be a folder, but {file} is a file"),
        (["--output", "{file}/below"], "must be a folder, but {file} is a file"),
    ],
)
def test_bad_options_are_refused_in_one_line_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], says: str
) -> None:
    (tmp_path / "file").write_text("kept")
    file = str(tmp_path / "file")

    def never(seed: int, quick: bool) -> Findings:
        raise AssertionError("it ran")

    with pytest.raises(SystemExit) as stop:
        laboratory.main("About.", never, [option.format(file=file) for option in options])
    assert stop.value.code == 2
    error = capsys.readouterr().err.splitlines()
    assert says.format(file=file) in error[-1]
    assert sum("error:" in line for line in error) == 1
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize(
    ("raised", "status", "says"),
    [
        (KeyboardInterrupt(), 130, "interrupted; nothing was saved"),
        (ImportError("figures need matplotlib"), 2, "figures need matplotlib"),
        (FileNotFoundError(2, "No such file", "digits.csv"), 2, "digits.csv"),
    ],
)
def test_an_early_end_is_one_line_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], raised: BaseException, status: int, says: str
) -> None:
    def ends(seed: int, quick: bool) -> Findings:
        raise raised

    assert laboratory.main("About.", ends, ["--output", str(tmp_path / "figures")]) == status
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_an_experiment_says_so_before_it_works(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> Any:
        raise ImportError('figures need matplotlib, which is not installed; run: pip install "nn-tuning[plot]"')

    def never(seed: int, quick: bool) -> Findings:
        raise AssertionError("it ran")

    monkeypatch.setattr(style, "library", missing)
    assert laboratory.main("About.", never, []) == 2
    assert "nn-tuning[plot]" in capsys.readouterr().err


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = laboratory.write_whole(tmp_path / "a" / "page.html", b"old")
    assert path.read_bytes() == b"old"

    def cut(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[:2])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", cut)
    with pytest.raises(KeyboardInterrupt):
        laboratory.write_whole(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert [each.name for each in path.parent.iterdir()] == ["page.html"]


def test_experiments_are_drawn_in_the_look_of_the_package_which_is_put_back() -> None:
    def size(*_: Any) -> Findings:
        return Findings(f"{style.library().rcParams['axes.labelsize']}", [])

    before = size().title
    assert laboratory.perform(size, 0, True).title == f"{float(style.STYLE['axes.labelsize'])}" != before
    assert size().title == before
