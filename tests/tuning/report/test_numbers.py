"""The numbers of the HTML report are those of the study."""

from __future__ import annotations

import base64
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.tuning.fakes import a_study, scored
from tests.tuning.report.test_report import RATES, diverging, page_of
from tuning.charts import Axis
from tuning.report import material
from tuning.report.curve import learning_rate_curve
from tuning.report.figures import Figure, heat_map, parallel_coordinates
from tuning.report.material import Material
from tuning.run import Limits
from tuning.store import Trial, TrialResult, TrialSpec

pytest.importorskip("plotly", reason="needs the extra report")


def test_the_table_has_the_rows_of_the_study_in_their_order(tmp_path: Path) -> None:
    study = a_study(diverging, repeats=3).run()
    table = page_of(study, tmp_path).data["table"]
    keys = [column["key"] for column in table["columns"]]
    assert {"rank", "param_learning_rate", "mean_validation_accuracy", "tied", "verdict", "state"} <= set(keys)
    for row, high, ours in zip(table["rows"], table["high"], study.table().plain(), strict=True):
        for key, cell in zip(keys, row, strict=True):
            assert cell == ours[key]
        assert high == ours["high_validation_accuracy"]


def test_every_trial_has_its_curves_and_its_verdict(tmp_path: Path) -> None:
    study = a_study(diverging, repeats=2, epochs=7).run()
    trials = page_of(study, tmp_path).data["trials"]
    numbers = np.frombuffer(base64.b64decode(trials["curves"]), "<f4")
    places = {str(summary.params): place for place, summary in enumerate(study.summaries())}
    start = 0
    for row, trial, judged in zip(trials["rows"], study.trials, study.verdicts(), strict=True):
        found = dict(zip(trials["keys"], row, strict=True))
        assert found["place"] == places[str(trial.params)]
        assert (found["repeat"], found["state"], found["epochs"]) == (trial.repeat, trial.state, trial.epochs)
        assert (found["verdict"], found["evidence"]) == (judged.name, judged.evidence)
        for name in trials["metrics"]:
            curve = numbers[start : start + found["points"]]
            start += found["points"]
            if trial.state == "completed":
                np.testing.assert_array_equal(curve, trial.curves[name].astype(np.float32))
    assert start == len(numbers)


@given(epochs=some.integers(1, 60), most=some.integers(1, 20))
def test_thinned_curves_keep_their_ends_and_their_order(epochs: int, most: int) -> None:
    curve = np.arange(1.0, epochs + 1)
    trial = Trial("completed", {}, {"train_loss": curve}, epochs, number=0, params={}, repeat=0, fold=None, seed=0)
    (found,) = material.thin(trial, ["train_loss"], most)
    assert len(found) == min(epochs, most)
    assert found[0] == 1
    assert len(found) == 1 or found[-1] == epochs
    assert np.all(np.diff(found) > 0)
    points = len(found)
    assert found.tolist() == [1 + math.floor(i * (epochs - 1) / max(points - 1, 1)) for i in range(points)]  # page.js


def test_the_learning_rate_curve_goes_through_the_best_with_a_band_over_repeats() -> None:
    study = a_study(
        diverging, repeats=3, space={"learning_rate": RATES, "batch_size": "16,32", "hidden_units": "4,8"}
    ).run()
    figure = learning_rate_curve(Material(study))
    assert isinstance(figure, Figure)
    for size in (16, 32):
        best: dict[float, Any] = {}
        for row in study.table():
            if row["param_batch_size"] == size and row["rank"] is not None:
                best.setdefault(row["param_learning_rate"], row)
        rates = sorted(best)
        line = next(t for t in figure.traces if t.get("name") == f"batch size {size}" and "lines" in t["mode"])
        assert line["x"] == [math.log10(rate) for rate in rates]
        assert line["y"] == [best[rate]["mean_validation_accuracy"] for rate in rates]
        parts = [[best[rate][f"split{k}_validation_accuracy"] for k in range(3)] for rate in rates]
        band = next(t for t in figure.traces if t.get("fill") and t["legendgroup"] == line["legendgroup"])
        assert band["y"] == [max(part) for part in parts] + [min(part) for part in parts][::-1]
    (crosses,) = [trace for trace in figure.traces if trace.get("name") == "diverged"]
    assert crosses["x"] == [0.0] * 4
    assert "4 settings diverged, the lowest at 1." in figure.alt


def outlying(spec: TrialSpec) -> TrialResult:
    """Good scores close together, but for a bad one at the lowest learning rate."""
    rate = float(spec.params["learning_rate"])  # type: ignore[arg-type]
    return scored(0.1 if rate == 0.001 else 0.9 + rate / 100)


def test_an_axis_that_leaves_out_bad_scores_says_so() -> None:
    figure = learning_rate_curve(Material(a_study(outlying).run()))
    assert isinstance(figure, Figure)
    low, high = figure.layout["yaxis"]["range"]
    assert 0.1 < low < 0.9 < 0.91 < high
    assert figure.caption.endswith(f" Scores below {low:.3g} lie outside; a double click shows all.")
    whole = learning_rate_curve(Material(a_study().run()))
    assert isinstance(whole, Figure)
    assert "range" not in whole.layout["yaxis"]
    assert "outside" not in whole.caption


def test_each_cell_of_the_heat_map_is_the_best_of_its_settings() -> None:
    space = {"batch_size": "16,32", "hidden_units": "4,8", "learning_rate": RATES}
    study = a_study(diverging, space=space, metric="validation_loss").run()
    figure = heat_map(Material(study))
    assert isinstance(figure, Figure)
    cells = figure.traces[0]
    rates, sizes = figure.layout["xaxis"]["ticktext"], figure.layout["yaxis"]["ticktext"]
    for i, size in enumerate(sizes):
        for j, rate in enumerate(rates):
            losses = [
                summary.metrics["validation_loss"]
                for summary in study.summaries()
                if summary.rank is not None
                and f"{summary.params['learning_rate']:.4g}" == rate
                and str(summary.params["batch_size"]) == size
            ]
            assert cells["z"][i][j] == (min(losses) if losses else None)
    assert cells["reversescale"] is True  # light is better
    marks = figure.traces[1]
    assert sorted(zip(marks["x"], marks["y"], marks["text"], strict=True)) == [
        (0, 0, "–"), (0, 1, "–"), (4, 0, "✕"), (4, 1, "✕"),
    ]  # fmt: skip


def test_parallel_coordinates_have_a_line_for_every_setting_with_the_best_on_top() -> None:
    for metric in ("validation_accuracy", "validation_loss"):
        study = a_study(diverging, metric=metric).run()
        figure = parallel_coordinates(Material(study))
        assert isinstance(figure, Figure)
        ends: dict[int, float] = {}
        for trace in figure.traces:
            for x, y, place in zip(trace["x"], trace["y"], trace["customdata"], strict=True):
                if x == 2:
                    ends[place] = y
        assert sorted(ends) == list(range(len(study.summaries())))
        assert ends[0] == 1.0
        heights = [ends[place] for place in sorted(ends)]
        assert heights == sorted(heights, reverse=True)
        assert all(ends[i] < 0 for i, summary in enumerate(study.summaries()) if summary.rank is None)


def test_what_is_too_much_is_thinned_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(material, "MOST_TRIALS", 6)
    monkeypatch.setattr(material, "MOST_NUMBERS", 6 * 3 * 20)
    study = a_study(repeats=2, epochs=50, method_options={"points": 9}).run()
    page = page_of(study, tmp_path)
    assert "The best 3 of 18 settings are listed; all are in: nn-tuning show --format csv." in page.text
    assert [row[0] for row in page.data["table"]["rows"]] == [1, 2, 3]
    trials = page.data["trials"]
    assert len(trials["rows"]) == 6
    assert {row[trials["keys"].index("points")] for row in trials["rows"]} == {20}
    places = {
        place
        for figure in page.data["figures"].values()
        for t in figure["traces"]
        for place in flat(t.get("customdata", []))
    }
    assert places == {-1, 0, 1, 2}


def flat(values: list[Any]) -> list[int]:
    return [x for value in values for x in (value if isinstance(value, list) else [value])]


def test_ten_thousand_trials_stay_sane(tmp_path: Path) -> None:
    table = np.random.default_rng(0).random((10_000, 3, 40))
    names = ["train_loss", "validation_loss", "validation_accuracy"]

    def drawn(spec: TrialSpec) -> TrialResult:
        curves = dict(zip(names, table[spec.number], strict=True))
        return TrialResult("completed", {name: float(curve[-1]) for name, curve in curves.items()}, curves, 40)

    study = a_study(
        drawn, space={"learning_rate": RATES, "momentum": "0:0.9"}, method="random", method_options={},
        limits=Limits(n_trials=10_000),
    ).run(n_jobs=1)  # fmt: skip
    page = page_of(study, tmp_path)
    assert len(page.data["trials"]["rows"]) == 10_000
    assert page.size < 15e6  # a third of it plotly.js
    figures = page.data["figures"]
    assert sum(len(trace["x"]) for trace in figures["figure-rate"]["traces"]) <= 2000
    assert sum(trace["x"].count(None) for trace in figures["figure-lines"]["traces"]) <= 400
    assert "9,600 settings of the middle field are left out." in page.text


@given(some.lists(some.floats(1e-6, 1e6), min_size=1, max_size=40, unique=True), some.booleans())
def test_values_stand_in_order_and_between_the_ends_of_their_axis(values: list[float], continuous: bool) -> None:
    axis = Axis.of("learning_rate", values, continuous=continuous)
    places = [axis.place(value) for value in sorted(values)]
    assert places == sorted(places)
    low, high = axis.ends
    marks, texts = axis.ticks()
    assert len(marks) == len(texts)
    assert all(low - 1e-6 * abs(low) - 1e-9 <= mark <= high + 1e-6 * abs(high) + 1e-9 for mark in marks)
    bins, bin_of = axis.bins(8)
    order = [bin_of[value] for value in sorted(values)]
    assert order == sorted(order)
    assert (order[0], order[-1]) == (0, len(bins) - 1)
