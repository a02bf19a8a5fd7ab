from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import numpy as np
import pytest

from nn import MLP, SGD, Dataset, Run, load_dataset, train
from nn.notebook import HEIGHT, WIDTH, html_table, svg_curves
from tests.tuning.fakes import a_study, noisy
from tuning import Study, sweep
from tuning.store import COMPLETED, DIVERGED, DataDescription, TrialResult, TrialSpec

ROOT = Path(__file__).parents[3]
EVIL = '<script>alert("1")</script>&'


def parsed(html: str) -> ElementTree.Element:
    """The HTML as XML, which it can be only if every tag is closed and every text escaped."""
    return ElementTree.fromstring(html)


def texts(html: str) -> str:
    return " ".join(parsed(html).itertext())


def path_points(svg: str) -> list[np.ndarray]:
    """The points of each coloured line of a picture."""
    paths = [match for match in re.findall(r'<path d="([^"]*)" fill="none" stroke="#', svg) if "h24" not in match]
    return [np.array(re.findall(r"([\d.]+) ([\d.]+)", path), dtype=float) for path in paths]


def shown(given: Run | Study) -> str:
    return given._repr_html_()


def a_run(**options: object) -> Run:
    return train(MLP((4, 8, 3)), load_dataset("iris").split(seed=0), SGD(0.1), epochs=9, **options)  # type: ignore[arg-type]


def test_a_run_shows_how_it_ended_its_metrics_and_both_curves() -> None:
    run = a_run()
    html = shown(run)
    for text in (
        "completed",
        "layer_sizes=(4, 8, 3)",
        f"{run.metrics['validation_loss']:.4g}",
        "training loss, mean over the epoch",
    ):
        assert text in texts(html)
    assert [len(points) for points in path_points(html)] == [9, 9]
    assert len(html) < 6000
    assert repr(run).startswith("Run(completed, 9 epochs, train_loss 0.")


def test_a_run_that_diverged_at_once_says_so_and_has_no_curve() -> None:
    run = train(MLP((4, 8, 3)), load_dataset("iris"), SGD(1e6), epochs=3, batch_size=16)
    assert run.epochs == 0
    assert f"diverged in step {run.diverged_step}" in texts(shown(run))
    assert "<svg" not in shown(run)


def test_curves_are_drawn_to_scale_with_gaps_where_there_is_no_number() -> None:
    x = np.array([1.0, 10, 100, 1000, 10_000])
    y = np.array([1.0, 3, np.nan, 5, np.inf])
    svg = svg_curves({"a": (x, y)}, "x", "y", log_x=True)
    parsed(svg)
    (points,) = path_points(svg)
    assert points[1:, 0] - points[0, 0] == pytest.approx(np.array([1, 3]) * (points[1, 0] - points[0, 0]), abs=0.2)
    assert (points[0, 1] - points[1:, 1]) / (points[0, 1] - points[2, 1]) == pytest.approx([0.5, 1], abs=0.01)
    assert svg.count("M") - 2 == 2  # the axes and the legend, and the line in two parts
    assert ((points > 0) & (points < [WIDTH, HEIGHT])).all()


def test_the_marks_are_the_ends_of_the_axes_and_of_a_single_value_that_value() -> None:
    svg = svg_curves({"a": (np.array([1.0, 100]), np.array([2.0, 3]))}, "x", "y", log_x=True)
    assert list(parsed(svg).itertext())[2:6] == ["1", "100", "2", "3"]
    one = svg_curves({"a": (np.array([7.0]), np.array([3.0]))}, "x", "y", dots=True)
    assert list(parsed(one).itertext())[2:4] == ["7", "3"]


def test_nothing_is_drawn_of_nothing_and_long_lines_are_thinned_to_their_last_point() -> None:
    nothing = np.array([np.nan, -1.0])
    assert svg_curves({"a": (np.arange(2.0), nothing)}, "x", "y", log_y=True) == ""
    assert svg_curves({"a": (np.arange(0.0), np.arange(0.0))}, "x", "y") == ""
    (points,) = path_points(svg_curves({"a": (np.arange(10_000.0), np.arange(10_000.0))}, "x", "y"))
    assert 300 <= len(points) <= 400
    assert points[-1, 0] == pytest.approx(WIDTH - 12, abs=0.1)


def test_a_study_shows_its_best_settings_and_the_best_score_at_each_rate() -> None:
    rates = [0.001, 0.01, 0.1, 1.0]
    study = sweep("iris", {"learning_rate": rates, "batch_size": [8, 32]}, epochs=4, seed=1)
    html = shown(study)
    rows = parsed(html).findall(".//tr")
    assert len(rows) == 6
    assert [cell.text for cell in rows[1]][:2] == ["1", f"{study.best.params['learning_rate']:.4g}"]
    assert "… and 3 more settings" in texts(html)
    (points,) = path_points(html)
    assert len(points) == 4
    found = [(summary.params["learning_rate"], summary.metrics[study.metric]) for summary in study.summaries()]
    best = np.array([max(score for rate, score in found if rate == one) for one in rates])
    fallen = (points[:, 1] - points[:, 1].min()) / (points[:, 1].max() - points[:, 1].min())
    assert fallen == pytest.approx((best.max() - best) / (best.max() - best.min()), abs=0.01)


def test_a_study_at_one_rate_shows_the_curves_of_its_best_trial() -> None:
    study = a_study(noisy, space={"learning_rate": "0.1", "batch_size": "16,32"}).run()
    html = shown(study)
    assert "validation loss" in texts(html)
    assert [len(points) for points in path_points(html)] == [3, 3]


def diverging(spec: TrialSpec) -> TrialResult:
    return TrialResult(DIVERGED, {}, {}, 0, diverged_step=1)


def test_a_study_without_a_ranked_setting_or_any_trial_is_shown_too() -> None:
    assert "no trial is finished" in texts(shown(a_study(noisy)))
    html = shown(a_study(diverging).run())
    assert "10 diverged" in texts(html)
    assert "<svg" not in html


def evil(spec: TrialSpec) -> TrialResult:
    return TrialResult(COMPLETED, {"validation_accuracy": 0.5}, {}, 1)


def test_every_text_from_outside_is_escaped() -> None:
    data = Dataset(np.random.default_rng(0).normal(size=(30, 2)), np.arange(30) % 2, name=EVIL)
    for html in (
        shown(sweep(data, {"learning_rate": [0.1], "batch_size": [8]}, epochs=1)),
        shown(a_study(evil, data=DataDescription(EVIL, fingerprint="f" * 64)).run()),
        html_table([[EVIL]], [EVIL]),
        svg_curves({EVIL: (np.arange(3.0), np.arange(3.0))}, EVIL, EVIL),
    ):
        assert "<script" not in html
        assert EVIL in texts(html)


def test_a_notebook_shows_the_bar_although_its_error_stream_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module, shown_in in (("ipykernel", True), ("something_else", False)):
        monkeypatch.setitem(sys.modules, module, ModuleType(module))
        a_study(noisy).run()
        assert ("10/10" in capsys.readouterr().err) == shown_in
        monkeypatch.delitem(sys.modules, module)


def test_the_lesson_runs_as_a_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import matplotlib
    from matplotlib import pyplot

    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(ROOT / "scripts" / "lessons" / "lesson.py"), run_name="__main__")
    assert len(pyplot.get_fignums()) == 5  # open still, so that a notebook shows them
    pyplot.close("all")
    out = capsys.readouterr().out
    values = {
        name: float(found) for name, found in re.findall(r"(underfit|overfit|stopped).*validation_loss ([\d.]+)", out)
    }
    assert values["stopped"] < values["underfit"] < values["overfit"]
    losses = [float(number) for number in re.findall(r"validation loss +([\d.]+)  completed", out)]
    assert min(losses) < 0.2 * losses[0]
    assert "diverged" in out
    assert len(list((tmp_path / "runs" / "figures").glob("lesson_*.png"))) == 5
