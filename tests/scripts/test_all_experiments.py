"""One page of all experiments: complete, escaped, with what failed; from nothing but itself; whole or not there."""

from __future__ import annotations

import base64
import platform
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from tests.scripts.loading import SCRIPTS, load_script

GOOD = '''
"""An experiment that works."""
from tuning.plots import style
from tuning.laboratory.findings import Claim, Findings

def run(seed, quick):
    figure, axes = style.subplots(width=2, height=2)
    axes[0, 0].plot([1, seed])
    claims = [Claim("a < b & c", "<1>", 0.5, high=1.0), Claim("slope", "1", 7.0, 0.9, 1.1)]
    notes = ["", f"seed {seed}, {'quick' if quick else 'whole'} <script>alert(1)</script>"]
    return Findings('Good & "<b>bold</b>"', claims, {"line": figure}, notes, {"moving.gif": b"GIF89a" + bytes(9)})
'''
FAILS = '''
"""An experiment that fails."""
def run(seed, quick):
    raise ValueError("the width must be at least 1, but got <0>\\nand more")
'''
PLAIN = '''
"""An experiment without a figure."""
from tuning.laboratory.findings import Claim, Findings

def run(seed, quick):
    return Findings("Plain", [Claim("rate", "2", 2.0, 1.9, 2.1)])
'''
STOPS = '''
"""An experiment that is interrupted."""
def run(seed, quick):
    raise KeyboardInterrupt
'''


all_experiments = load_script("all_experiments")


class Page(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "scripts"
    folder.mkdir()
    for name, text in {"good": GOOD, "fails": FAILS, "plain": PLAIN, "stops": STOPS}.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.setattr(all_experiments, "FOLDER", folder)
    monkeypatch.setattr(all_experiments, "EXPERIMENTS", ("good", "fails", "plain", "missing"))
    return tmp_path / "out"


def made(folder: Path, *options: str) -> tuple[int, Page]:
    status = all_experiments.main(["--output", str(folder), *options])
    return status, Page(folder / "laboratory.html")


def test_every_experiment_is_on_the_page_and_one_that_fails_stops_no_other(
    fakes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, page = made(fakes)
    assert status == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(", ")[0] for line in lines[::2]] == [
        "good: 1 of 2 within tolerance",
        "plain: 1 of 1 within tolerance",
        f"page: {fakes / 'laboratory.html'}",
    ]
    assert "fails: ValueError: the width must be at least 1, but got <0>, " in lines[1]
    assert [section["id"] for section in page.all("section")] == [
        "outside", "overview", "good", "fails", "plain", "missing",
    ]  # fmt: skip
    assert "Failed: ValueError: the width must be at least 1, but got <0>" in page.text
    assert "and more" not in page.text
    assert "FileNotFoundError" in page.text
    assert [path.name for path in fakes.iterdir()] == ["laboratory.html"]


def test_the_summary_counts_claims_and_names_those_outside_tolerance(fakes: Path) -> None:
    status, page = made(fakes, "good", "plain")
    assert status == 0
    assert "Claims within tolerance 2 of 3" in page.text
    assert "slope: paper 1, here 7 , tolerance 0.9 to 1.1" in page.text
    rows = [row["class"] for row in page.all("tr") if row]
    assert rows == ["outside", "within", "within", "outside", "within"]  # two experiments, then three claims
    assert page.source.count("✓ within") == 2
    assert page.source.count("✗ OUTSIDE") == 1
    status, page = made(fakes, "plain")
    assert "Nothing: every claim is within tolerance." in page.text


def test_texts_of_an_experiment_are_escaped(fakes: Path) -> None:
    _, page = made(fakes, "good")
    for text in ("<script>alert", "<b>bold", "a < b & c", "<1>"):
        assert text in page.text
        assert text not in page.source
    assert page.all("script") == page.all("b") == []
    (image, _) = page.all("img")
    assert image["alt"] == 'Good & "<b>bold</b>": line'


def test_links_lead_to_the_experiments(fakes: Path) -> None:
    _, page = made(fakes)
    places = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    links = {str(link["href"]) for link in page.all("a")}
    assert links == {"#main", "#good", "#fails", "#plain", "#missing"}
    assert {link.removeprefix("#") for link in links} <= places


def test_figures_are_in_the_page_and_nothing_is_fetched(fakes: Path) -> None:
    _, page = made(fakes, "good")
    line, moving = (str(image["src"]) for image in page.all("img"))
    kind, _, content = line.partition(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(content).startswith(b"\x89PNG")
    assert moving == "data:image/gif;base64," + base64.b64encode(b"GIF89a" + bytes(9)).decode()
    for _, attributes in page.tags:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            assert str(attributes.get(name, "#")).startswith(("data:", "#"))
    assert not re.search(r"https?:|@import|url\(", page.source)
    (policy,) = [each["content"] for each in page.all("meta") if "http-equiv" in each]
    assert str(policy).startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")


def test_seed_and_size_reach_the_experiments_and_the_commands(fakes: Path) -> None:
    _, page = made(fakes, "--quick", "--seed", "31", "good")
    assert "seed 31, quick" in page.text
    assert "python scripts/laboratory/good.py --quick --seed 31" in page.text
    assert "python scripts/laboratory/all_experiments.py --quick --seed 31 good" in page.text
    _, page = made(fakes, "good")
    assert "seed 0, whole" in page.text
    assert "python scripts/laboratory/good.py </code>" not in page.source


def test_the_page_says_what_made_it_also_where_a_package_is_not_installed(
    fakes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuning.laboratory.page.PACKAGES", ("no-such-package", "numpy"))
    _, page = made(fakes, "plain")
    assert f"plain with Python {platform.python_version()}, numpy {np.__version__}." in page.text


def test_an_interruption_is_one_line_and_leaves_the_page_as_it_was(
    fakes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made(fakes, "plain")
    before = (fakes / "laboratory.html").read_bytes()
    monkeypatch.setattr(all_experiments, "EXPERIMENTS", ("good", "stops"))
    capsys.readouterr()
    assert all_experiments.main(["--output", str(fakes)]) == 130
    assert capsys.readouterr().err == "interrupted; nothing was saved\n"
    assert [path.name for path in fakes.iterdir()] == ["laboratory.html"]
    assert (fakes / "laboratory.html").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--seed", "1.5"], "must be a whole number from 0 to 2**32 - 1, but got '1.5'"),
        (["catapults"], "an experiment must be one of good, fails, plain, missing, but got 'catapults'"),
    ],
)
def test_bad_options_are_refused_before_any_work(
    fakes: Path, capsys: pytest.CaptureFixture[str], options: list[str], says: str
) -> None:
    with pytest.raises(SystemExit) as stop:
        all_experiments.main(["--output", str(fakes), *options])
    assert stop.value.code == 2
    captured = capsys.readouterr()
    assert says in captured.err.splitlines()[-1]
    assert captured.out == ""
    assert not fakes.exists()


def test_all_scripts_of_experiments_are_run() -> None:
    with_main = {path.stem for path in SCRIPTS.rglob("*.py") if "laboratory.main(" in path.read_text(encoding="utf-8")}
    assert set(all_experiments.EXPERIMENTS) == with_main


def test_a_real_experiment_is_shown_with_its_table_and_figure(tmp_path: Path) -> None:
    status, page = made(tmp_path, "--quick", "--seed", "3", "range_test")
    assert status == 0
    assert "The range test, and how far to trust it" in page.text
    assert "Smith (2017)" in page.text  # the experiment in words
    assert len(page.all("img")) == 1
    assert len([row for row in page.all("tr") if row]) == 1 + 6 + 4
