"""Charts are values, worked out once: the same numbers are in figures, in the report and in a notebook."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib import pyplot

from tests.tuning.export.test_notebook import path_points
from tests.tuning.fakes import a_study, noisy
from tests.tuning.plots.test_plots import RATES, loss_of, the_study
from tests.tuning.report.test_report import STUDIES
from tuning import Study, plots
from tuning.charts import (
    BELOW,
    ScoredStudy,
    heat_map,
    importance_shares,
    learning_curves,
    parallel_lines,
    score_curve,
    validation_points,
)
from tuning.report.curve import learning_rate_curve
from tuning.report.figures import Figure, parallel_coordinates
from tuning.report.figures import heat_map as heat_map_figure
from tuning.report.material import Material
from tuning.run import Limits
from tuning.store import COMPLETED, DIVERGED, PRUNED, TrialResult, TrialSpec

Numbers = dict[str, Any]


def pruned(spec: TrialSpec) -> TrialResult:
    """Like `noisy`, but the lowest rate diverges with one batch size, and ends early with the other, as the highest."""
    if spec.params["learning_rate"] in (0.001, 1.0):
        lost = spec.params == {"learning_rate": 0.001, "batch_size": 16}
        return TrialResult(DIVERGED if lost else PRUNED, {"validation_accuracy": 0.1}, {}, 1)
    return noisy(spec)


CONDITIONAL = {"learning_rate": "0.01,0.1,1", "optimizer": {"sgd": {"momentum": "0.1,0.9"}, "adam": {}}}
RANDOM: dict[str, Any] = {"method": "random", "method_options": {}, "limits": Limits(n_trials=40)}
DRAWN: dict[str, Any] = {  # with the hyper-parameter for whose values there are lines
    "accuracy": (the_study, "batch_size"),
    "loss": (lambda: the_study(metric="validation_loss"), "batch_size"),
    "one repeat": (lambda: a_study(space={"learning_rate": "0.001:1:log", "batch_size": "16,32"}).run(), "batch_size"),
    "random": (lambda: a_study(space={"learning_rate": "0.001:1:log", "momentum": "0:0.9"}, **RANDOM).run(), None),
    "conditional": (lambda: a_study(space=CONDITIONAL).run(), "momentum"),
    "diverging": (STUDIES["grid"], "batch_size"),
    "pruned": (lambda: a_study(pruned).run(), "batch_size"),
}


@pytest.fixture(autouse=True)
def _figures_are_closed() -> Iterator[None]:
    yield
    pyplot.close("all")


def in_matplotlib(study: Study, by: str | None) -> Numbers:
    """Every number that `tuning.plots` draws of a study, by the name of the figure and of the line or axis."""
    ax = plots.learning_rate_curve(study, by=by)
    lines = [line for line in ax.lines if line.get_marker() != "x" and np.size(line.get_xdata())]
    found: Numbers = {f"scores, {line.get_label() if by else 'all'}": np.transpose(line.get_data()) for line in lines}
    bands = [band.get_paths()[0].vertices for band in ax.collections if len(band.get_paths()) == 1]
    found["bands"] = corners(bands)
    table = plots.heatmap(study)
    found["cells"] = np.ma.filled(table.images[0].get_array(), np.nan)
    found["cells' axes"] = [
        [t.get_text() for t in ticks] for ticks in (table.get_xticklabels(), table.get_yticklabels())
    ]
    found["cells lost"] = sorted((*line.get_data(), line.get_marker() == "x") for line in table.lines)
    parallel = plots.parallel_coordinates(study)
    names = [tick.get_text() for tick in parallel.get_xticklabels()]
    ways = [np.asarray(line.get_ydata()) for line in parallel.lines if np.ptp(line.get_xdata())]  # no upright axis
    for i, name in enumerate(names):
        found[f"heights, {name}"] = sorted(way[i] for way in ways if i < len(way))
    if study.analysis().importance.shares is not None:
        bars = plots.importance(study)
        labels = [tick.get_text() for tick in bars.get_yticklabels()]
        found["importance"] = {label: bar.get_width() / 100 for label, bar in zip(labels, bars.patches, strict=True)}  # type: ignore[attr-defined]
    return found


def in_the_report(study: Study, by: str | None) -> Numbers:
    """The same of the report's figures for plotly, and of its table of importances."""
    m = Material(study)
    found: Numbers = {}
    curve, cells, parallel = learning_rate_curve(m), heat_map_figure(m), parallel_coordinates(m)
    assert isinstance(curve, Figure)
    assert isinstance(cells, Figure)
    assert isinstance(parallel, Figure)
    bands = [np.transpose([10 ** np.array(t["x"]), t["y"]]) for t in curve.traces if "fill" in t]
    found["bands"] = corners(bands)
    for trace in curve.traces:
        if trace.get("name") not in (None, "diverged", "ended early") and trace["marker"]["opacity"] == 1:
            points = [[10**x, y] for x, y in zip(trace["x"], trace["y"], strict=True)]
            found[f"scores, {trace['name'] if by else 'all'}"] = np.array(sorted(points))
    grid, *marks = cells.traces
    found["cells"] = np.array(grid["z"], dtype=float)
    found["cells' axes"] = [cells.layout[axis]["ticktext"] for axis in ("xaxis", "yaxis")]
    found["cells lost"] = sorted(
        ([x], [y], text == "✕") for mark in marks for x, y, text in zip(mark["x"], mark["y"], mark["text"], strict=True)
    )
    names = parallel.layout["xaxis"]["ticktext"]
    heights: dict[int, list[float]] = {i: [] for i in range(len(names))}
    for trace in parallel.traces:
        for x, y, place in zip(trace["x"], trace["y"], trace["customdata"], strict=True):
            if x is not None and (x < len(names) - 1 or m.scores.settings[place].rank is not None):
                heights[x].append(y)
    for i, name in enumerate(names):
        found[f"heights, {name}"] = sorted(heights[i])
    if study.analysis().importance.shares is not None:
        found["importance"] = importance_shares(study.analysis().importance)
    return found


def corners(areas: list[Any]) -> Any:
    """The corners (n, 2) of areas, in order."""
    return np.array(sorted({(float(f"{x:.6g}"), float(f"{y:.6g}")) for area in areas for x, y in area}))


@pytest.mark.parametrize("kind", DRAWN)
def test_every_number_is_the_same_in_figures_in_the_report_and_in_a_notebook(kind: str) -> None:
    make, by = DRAWN[kind]
    study = make()
    figures, report = in_matplotlib(study, by), in_the_report(study, by)
    assert set(figures) == set(report)
    assert any(name.startswith("scores") for name in figures)
    for name, numbers in report.items():
        if name in ("cells' axes", "cells lost"):
            assert figures[name] == numbers
        elif name.startswith("heights"):
            assert figures[name] == pytest.approx(numbers, abs=5.1e-5)  # the report rounds them to four digits
        else:
            np.testing.assert_equal(np.shape(figures[name]), np.shape(numbers))
            assert figures[name] == pytest.approx(numbers, rel=1e-12 if name != "bands" else 1e-5, nan_ok=True)
    line = next(line for line in plots.learning_rate_curve(study).lines if line.get_marker() != "x")
    points = np.transpose(line.get_data())
    html = study._repr_html_()
    texts = [text.text for text in ElementTree.fromstring(html[html.index("<svg") : html.index("</svg>") + 6])]
    scale = np.log10 if kind == "loss" else np.asarray
    (drawn,) = path_points(html)
    assert shares(drawn[:, 0]) == pytest.approx(shares(np.log10(points[:, 0])), abs=0.001)
    assert 1 - shares(drawn[:, 1]) == pytest.approx(shares(scale(points[:, 1])), abs=0.002)
    for end in (*points[[0, -1], 0], points[:, 1].min(), points[:, 1].max()):
        assert f"{end:.3g}" in texts


def shares(values: Any) -> Any:
    """Where values lie between the lowest and the highest of them, from 0 to 1."""
    return (values - np.min(values)) / (np.max(values) - np.min(values))


def test_learning_curves_are_those_that_the_report_has_and_that_a_notebook_shows() -> None:
    study = a_study(space={"learning_rate": "0.1", "batch_size": "16,32"}, repeats=3, epochs=7).run()
    trials = [trial for trial in study.trials if trial.params == study.best.params]
    scores = ScoredStudy.of(study)
    pixels = path_points(study._repr_html_())
    for metric, drawn in zip(("train_loss", "validation_loss"), pixels, strict=True):
        _, (curve,) = learning_curves(study, scores, by=None, top=1, metric=metric)
        table = np.array([trial.curves[metric] for trial in trials])
        assert curve.mean == pytest.approx(table.mean(axis=0))
        assert (curve.low.tolist(), curve.high.tolist()) == (table.min(axis=0).tolist(), table.max(axis=0).tolist())
        assert 1 - shares(drawn[:, 1]) == pytest.approx(shares(np.log10(curve.mean)), abs=0.01)
    best = ScoredStudy.of(study, "validation_loss")
    first = plots.learning_curves(study, "validation_loss", by=None, top=1).lines[0]
    _, (curve,) = learning_curves(study, best, by=None, top=1)
    assert np.array_equal(first.get_ydata(), curve.mean)


# -- what is worked out --------------------------------------------------------------------------------------------


def test_a_setting_has_the_scores_of_its_trials_and_is_ranked_as_the_study_ranks_it() -> None:
    study = the_study()
    for metric in (study.metric, "validation_loss"):
        scores = ScoredStudy.of(study, metric)
        assert (scores.names, scores.repeated) == (("learning_rate", "batch_size"), "2 repeats")
        for setting in scores.settings:
            trials = [trial for trial in study.trials if trial.params == setting.params]
            completed = [trial.metrics[metric] for trial in trials if trial.state == COMPLETED]
            assert setting.values == tuple(completed)
            assert (setting.trials, setting.diverged) == (2, 2 - len(completed))
            assert (setting.rank is None) == (len(completed) < 2)
            if setting.rank is not None:
                assert setting.score == math.fsum(completed) / 2
        ranked = [setting.score for setting in scores.ranked]
        assert ranked == sorted(ranked, reverse=scores.larger)  # type: ignore[type-var]
        assert [setting.rank for setting in scores.ranked] == [1, 2, 3, 4, 5]
    own = ScoredStudy.of(study)
    assert [setting.params for setting in own.settings] == [summary.params for summary in study.summaries()]


def test_a_curve_has_the_best_at_each_rate_and_the_cliff_above_the_last_of_them() -> None:
    scores = ScoredStudy.of(the_study(), "validation_loss")
    (line,) = score_curve(scores).lines
    assert list(line.best) == list(RATES[:3])
    assert line.scores == pytest.approx([np.mean([loss_of(rate, 16, r) for r in (0, 1)]) for rate in RATES[:3]])
    assert line.band[1] == pytest.approx([loss_of(rate, 16, 1) for rate in RATES[:3]])
    small, large = score_curve(scores, by="batch_size").lines
    assert (small.label, large.label) == ("batch size 16", "batch size 32")
    assert {rate: (s.diverged, s.trials) for rate, s in large.lost.items()} == {1.0: (1, 2), 10.0: (2, 2)}
    assert score_curve(scores).cliff == pytest.approx((math.sqrt(10), 10 * math.sqrt(10)))
    assert score_curve(scores).joined


def test_what_a_setting_does_not_have_is_a_level_of_its_own_and_below_the_axis() -> None:
    scores = ScoredStudy.of(a_study(space=CONDITIONAL).run(), "validation_loss")
    chart = heat_map(scores, "momentum", "optimizer")
    assert (chart.columns, chart.rows) == (["0.1", "0.9", "none"], ["adam", "sgd"])
    assert set(chart.cells) == {(1, 0), (1, 1), (0, 2)}
    lines = parallel_lines(scores, ["momentum"])
    assert lines.heights[0][1] == 1.0  # the best, whose loss is the lowest
    for setting, (height, _) in zip(lines.settings, lines.heights, strict=True):
        assert height == {0.1: 0.0, 0.9: 1.0, None: BELOW}[setting.params.get("momentum")]  # type: ignore[index]
    assert [line.label for line in score_curve(scores, by="momentum").lines] == [
        "momentum 0.1", "momentum 0.9", "no momentum",
    ]  # fmt: skip


def test_every_completed_trial_is_a_point_of_its_verdict() -> None:
    study = the_study()
    points = validation_points(study, "loss")
    judged = [v.name for v, trial in zip(study.verdicts(), study.trials, strict=True) if trial.state == COMPLETED]
    assert {name: len(x) for name, (x, _) in points.items()} == {name: judged.count(name) for name in judged}


# -- who needs what ------------------------------------------------------------------------------------------------


def test_charts_a_notebook_and_a_report_need_neither_matplotlib_nor_seaborn(tmp_path: Path) -> None:
    code = (
        "import sys\nsys.modules['matplotlib'] = sys.modules['seaborn'] = None\n"
        "from tests.tuning.fakes import a_study\nfrom tuning import charts, report\n"
        "study = a_study(repeats=2).run()\nassert '<svg' in study._repr_html_()\n"
        "assert 'plotly' not in sys.modules\n"
        f"report.write(study, {str(tmp_path / 'a.html')!r})\n"
        "assert not [name for name in sys.modules if name.startswith('tuning.plots')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (tmp_path / "a.html").stat().st_size > 1e6
