"""The HTML report: one safe file with the numbers of the study. `test_report_browser.py` opens it in a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tuning.fakes import a_study, noisy
from tuning import Study, report, sweep
from tuning.export import analysis_lines, verdict
from tuning.report.curve import learning_rate_curve
from tuning.report.figures import Figure, heat_map, parallel_coordinates
from tuning.report.material import Material
from tuning.run import Limits
from tuning.store import DIVERGED, FAILED, DataDescription, TrialResult, TrialSpec

objects = pytest.importorskip("plotly.graph_objects", reason="needs the extra report")

RATES = "0.001:1:log"
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>&lt;"


class Page(HTMLParser):
    """What a reader of HTML finds in a report."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.words: list[str] = []
        self._inside = ""
        self.size = path.stat().st_size
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside != "style":
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return "".join(self.words)

    @property
    def data(self) -> dict[str, Any]:
        values: dict[str, Any] = json.loads(self.scripts[0])
        return values


def page_of(study: Study, folder: Path) -> Page:
    return Page(report.write(study, folder / "report.html"))


def diverging(spec: TrialSpec) -> TrialResult:
    """Like `noisy`, but the highest learning rate diverges, and the lowest fails with a hostile message."""
    if spec.params.get("learning_rate") == 1.0:
        curves = {"validation_loss": np.array([1.0, 1e200, math.nan])}
        return TrialResult(DIVERGED, {"validation_accuracy": math.nan}, curves, 3, 0.5, 17)
    if spec.params.get("learning_rate") == 0.001:
        return TrialResult(FAILED, error=f"ValueError: {HOSTILE}")
    return noisy(spec)


def blown(spec: TrialSpec) -> TrialResult:
    return TrialResult(DIVERGED, {"validation_accuracy": math.nan}, {}, 0, 0.0, 3)


PARTS = {"optimizer": {"sgd": {"momentum": "0:0.9"}, "adam": {"beta1": [0.8, 0.9]}}, "activation": "relu,tanh"}
STUDIES: dict[str, Any] = {
    "grid": lambda: a_study(diverging, repeats=3).run(),
    "layers": lambda: a_study(space={"hidden_units": "8,64x32,()", "learning_rate": RATES}).run(),
    "no learning rate": lambda: a_study(space={"dropout": "0:0.5", "activation": "relu,tanh"}).run(),
    "no number": lambda: a_study(space={"activation": "relu,tanh", "bias": "true,false"}).run(),
    "nothing varied": lambda: a_study(space={"batch_size": "16"}).run(),
    "no trials": lambda: a_study(),
    "only diverged": lambda: a_study(blown).run(),
    "parts": lambda: a_study(space=PARTS, method="random", method_options={}, limits=Limits(n_trials=40)).run(),
    "random": lambda: a_study(
        diverging, space={"learning_rate": RATES, "momentum": "0:0.9"}, method="random", method_options={},
        limits=Limits(n_trials=60), repeats=2,
    ).run(),
    "folds": lambda: a_study(folds=3, repeats=2).run(),
    "loss": lambda: a_study(diverging, metric="validation_loss").run(),
    "halving": lambda: sweep("iris", {"learning_rate": RATES}, "halving", points=9, epochs=9),
    "regression": lambda: sweep("diabetes", {"learning_rate": RATES, "hidden_units": [4, 8]}, points=3, epochs=3),
}  # fmt: skip


@pytest.mark.parametrize("kind", STUDIES)
def test_every_kind_of_study_has_a_report_whose_figures_plotly_accepts(kind: str, tmp_path: Path) -> None:
    study = STUDIES[kind]()
    page = page_of(study, tmp_path)
    drawn = page.data["figures"]
    for name, figure in drawn.items():
        objects.Figure(figure["traces"], figure["layout"])  # raises for what plotly.js does not know
        holder = next(attributes for attributes in page.all("div") if attributes.get("id") == name)
        assert holder["role"] == "img"
        assert len(holder["aria-label"] or "") > 40
    varied = {"no trials": 0, "nothing varied": 0, "no number": 2, "only diverged": 2, "halving": 2}
    assert len(drawn) == varied.get(kind, 3)
    assert page.text.count("There is no figure here.") == 3 - len(drawn)
    assert verdict(study) in page.text
    for line in analysis_lines(study):
        if line == "":
            break
        assert line in page.text
    assert len(page.data["table"]["rows"]) == len(study.summaries())
    assert len(page.data["trials"]["rows"]) == len(study.trials)


def test_it_is_one_file_that_loads_nothing_and_runs_nothing_else(tmp_path: Path) -> None:
    page = page_of(a_study().run(), tmp_path)
    for _, attributes in page.tags:
        assert "src" not in attributes
        assert not any(name.startswith("on") for name in attributes)
        assert (attributes.get("href") or "#").startswith(("#", "data:"))
    assert [attributes.get("type") for attributes in page.all("script")] == ["application/json", None, None]
    assert sum("plotly.js v" in script for script in page.scripts) == 1
    policy = next(each["content"] for each in page.all("meta") if "http-equiv" in each)
    assert policy is not None
    allowed = policy.split("script-src ")[1].split(";")[0].split()
    digests = [hashlib.sha256(script.encode()).digest() for script in page.scripts[1:]]
    assert allowed == [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]
    assert policy.startswith("default-src 'none'; ")


def test_text_of_the_study_is_text_in_the_page(tmp_path: Path) -> None:
    data = DataDescription(HOSTILE, fingerprint="f" * 64)
    study = a_study(diverging, tmp_path / "a&b'<i>\".db", data=data).run()
    page = page_of(study, tmp_path)
    plain = page_of(a_study(diverging, tmp_path / "plain.db").run(), tmp_path)
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]
    assert page.text.count(HOSTILE) >= 3  # title, heading, what was run
    assert str(study.path) in page.text
    evidence = [row[page.data["trials"]["keys"].index("evidence")] for row in page.data["trials"]["rows"]]
    assert f"ValueError: {HOSTILE}" in evidence


def test_a_name_that_is_not_unicode_does_no_harm(tmp_path: Path) -> None:
    study = a_study(storage=tmp_path / "caf\udce9.db").run()
    assert "caf?.db" in page_of(study, tmp_path).text


def test_texts_in_figures_are_escaped_for_plotly() -> None:
    m = Material(a_study(diverging).run())
    m.varied = ["<b>x</b>", "batch_size"]
    settings = [
        replace(setting, params={"<b>x</b>": i, "batch_size": 16 + i % 2})
        for i, setting in enumerate(m.scores.settings)
    ]
    m.scores = replace(m.scores, names=("<b>x</b>", "batch_size"), settings=tuple(settings))
    for figure in (learning_rate_curve(m), heat_map(m), parallel_coordinates(m)):
        assert isinstance(figure, Figure)
        text = json.dumps([figure.traces, figure.layout])
        assert "&lt;b&gt;x" in text
        assert "<b>" not in text


def test_the_page_says_what_was_run_and_the_test_scores(tmp_path: Path) -> None:
    study = sweep("iris", {"learning_rate": [0.1]}, epochs=5, storage=tmp_path / "a.db")
    assert "Test part" not in page_of(study, tmp_path).text
    score = study.test()["test_accuracy"]
    text = page_of(study, tmp_path).text
    assert f"test accuracy {score:.4f}" in text
    for part in (
        "90 train, 30 validation, 30 test",
        study.definition.data.fingerprint,
        "numpy 2",
        str(study.path),
    ):
        assert part in text


# -- accessible markup ---------------------------------------------------------------------------------------------


def test_headings_tables_and_sections_can_be_read_out(tmp_path: Path) -> None:
    page = page_of(a_study(diverging, repeats=2).run(), tmp_path)
    levels = [int(tag[1]) for tag, _ in page.tags if tag in ("h1", "h2", "h3", "h4")]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [attributes["id"] for _, attributes in page.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    links = {(attributes["href"] or "")[1:] for attributes in page.all("a")}
    assert links <= set(ids)
    assert all(attributes.get("aria-labelledby") in ids for attributes in page.all("section"))
    heads = page.all("th")
    assert all(attributes.get("scope") == "col" for attributes in heads)
    sortable = [attributes["aria-sort"] for attributes in heads if "aria-sort" in attributes]
    assert sortable == ["ascending"] + ["none"] * (len(page.data["table"]["columns"]) - 1)
    assert all(attributes.get("aria-label") for attributes in page.all("table"))
    assert page.all("html")[0]["lang"] == "en"


# -- the file ------------------------------------------------------------------------------------------------------


def test_a_report_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = a_study().run()
    path = report.write(study, tmp_path / "new" / "folder" / "a.html")
    before = path.read_bytes()

    def full(self: Path, *_: Any, **__: Any) -> int:
        self.touch()
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        with pytest.raises(
            ValueError, match=r"^a report must be a file that can be written, but .* can't: No space left"
        ):
            report.write(study, path)
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["a.html"]
    assert report.write(study, str(path)) == path
    assert path.read_bytes() == before


def test_a_report_takes_no_study_s_and_no_folder_s_place(tmp_path: Path) -> None:
    study = a_study(storage=tmp_path / "a.db").run()
    other = a_study(storage=tmp_path / "b.db").run()
    before = (tmp_path / "a.db").read_bytes(), (tmp_path / "b.db").read_bytes()
    for path in (tmp_path / "a.db", tmp_path / "b.db"):
        with pytest.raises(ValueError, match=r"a report must not take the place of a study, but .* is one"):
            report.write(study, path)
    with pytest.raises(ValueError, match=r"a report must be a file, but .* is a folder"):
        report.write(other, tmp_path)
    assert before == ((tmp_path / "a.db").read_bytes(), (tmp_path / "b.db").read_bytes())


def test_without_plotly_one_line_names_the_extra_and_no_other_extra_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom tests.tuning.fakes import a_study\nfrom tuning import report\n"
        "study = a_study().run()\nassert 'plotly' not in sys.modules\n"
        f"report.write(study, {str(tmp_path / 'a.html')!r})\n"
        "print([name for name in ('matplotlib', 'pandas', 'optuna') if name in sys.modules])\n"
        "for name in [name for name in sys.modules if name.startswith('plotly')]: sys.modules[name] = None\n"
        f"try: report.write(study, {str(tmp_path / 'b.html')!r})\nexcept ValueError as error: print(error)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, second = run.stdout.splitlines()
    assert first == "[]"
    assert second.startswith("a report needs plotly")
    assert second.endswith('install it with: pip install "nn-tuning[report]"')
    assert not (tmp_path / "b.html").exists()
