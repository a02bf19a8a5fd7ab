from __future__ import annotations

import io
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.colors import to_rgb
from PIL import Image

from nn import MLP, SGD, Dataset, Run, load, load_dataset, train
from tests.tuning.fakes import a_study
from tuning import Study, plots, sweep
from tuning.charts import Axis, scale_of
from tuning.export import analysis_lines
from tuning.plots import style
from tuning.run import Limits
from tuning.store import COMPLETED, DIVERGED, FAILED, TrialResult, TrialSpec

matplotlib.use("Agg")

ROOT = Path(__file__).parents[3]
RATES = (0.01, 0.1, 1.0, 10.0)
OF_STUDIES = (
    "learning_rate_curve", "heatmap", "learning_curves", "parallel_coordinates", "importance", "validation_vs_train",
)  # fmt: skip
METRICS = ["train_loss", "validation_loss", "validation_accuracy"]


@pytest.fixture(autouse=True)
def _figures_are_closed() -> Iterator[None]:
    yield
    pyplot.close("all")


def loss_of(rate: float, size: int, repeat: int) -> float:
    """A validation loss whose best is at rate 0.1 and size 16."""
    return 0.1 + (np.log10(rate) + 1) ** 2 + 0.001 * size + 0.05 * repeat


def objective(spec: TrialSpec) -> TrialResult:
    """Known scores; rate 10 diverges always, rate 1 with size 32 in the second repeat."""
    rate, size, repeat = float(spec.params["learning_rate"]), int(spec.params["batch_size"]), spec.repeat  # type: ignore[arg-type]
    if rate == 10 or (rate == 1 and size == 32 and repeat == 1):
        curves = {name: np.array([4.0, 8.0]) for name in METRICS}
        return TrialResult(DIVERGED, dict.fromkeys(METRICS, 8.0), curves, 2, diverged_step=1)
    loss = loss_of(rate, size, repeat)
    curves = {"train_loss": loss * np.array([4, 2, 0.5]), "validation_loss": loss * np.array([4, 2, 1])}
    curves["validation_accuracy"] = np.exp(-curves["validation_loss"])
    return TrialResult(COMPLETED, {name: float(curve[-1]) for name, curve in curves.items()}, curves, 3)


def the_study(**changes: Any) -> Study:
    space = {"learning_rate": ",".join(map(str, RATES)), "batch_size": "16,32"}
    return a_study(objective, **{"space": space, "repeats": 2, **changes}).run()


def a_run(**options: Any) -> tuple[Run, Dataset]:
    data = load_dataset("moons", n=80, seed=1)
    return train(MLP((2, 8, 2), activation="tanh"), data, SGD(0.3), epochs=10, seed=1, **options), data


def test_the_rate_curve_has_the_mean_of_the_best_setting_its_range_and_a_cross_where_all_diverged() -> None:
    ax = plots.learning_rate_curve(the_study(), "validation_loss")
    line, cross, *_ = ax.lines
    assert line.get_xdata() == pytest.approx(RATES[:3])
    assert line.get_ydata() == pytest.approx([np.mean([loss_of(rate, 16, r) for r in (0, 1)]) for rate in RATES[:3]])
    assert (cross.get_marker(), list(cross.get_xdata())) == ("x", [10.0])
    band = ax.collections[0].get_paths()[0].vertices
    for rate in RATES[:3]:
        heights = band[np.isclose(band[:, 0], rate), 1]
        assert (heights.min(), heights.max()) == pytest.approx((loss_of(rate, 16, 0), loss_of(rate, 16, 1)))
    (shade,) = ax.patches
    assert 1.0 < shade.get_x() < 10.0 < shade.get_x() + shade.get_width()
    assert (ax.get_xscale(), ax.get_yscale(), ax.get_xlabel()) == ("log", "log", "learning rate")


def test_a_rate_at_which_one_repeat_of_two_diverged_says_so_in_the_line_of_its_batch_size() -> None:
    ax = plots.learning_rate_curve(the_study(), "validation_loss", by="batch_size")
    lines = {line.get_label(): list(line.get_xdata()) for line in ax.lines if not line.get_label().startswith("_")}
    assert lines["batch size 16"] == pytest.approx(RATES[:3])
    assert lines["batch size 32"] == pytest.approx(RATES[:2])
    assert [text.get_text() for text in ax.texts] == ["1/2"]
    assert [text.xy[0] for text in ax.texts] == [1.0]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("metric", "choose"), [("validation_loss", np.nanargmin), ("validation_accuracy", np.nanargmax)]
)
def test_the_heat_map_has_the_means_crosses_where_not_all_completed_and_a_frame_at_the_best(
    metric: str, choose: Any
) -> None:
    study = the_study()
    ax = plots.heatmap(study, metric=metric)
    table = np.ma.filled(ax.images[0].get_array(), np.nan)  # (batch sizes, rates)
    for summary in study.summaries():
        row, column = (16, 32).index(summary.params["batch_size"]), RATES.index(summary.params["learning_rate"])  # type: ignore[arg-type]
        assert table[row, column] == pytest.approx(summary.metrics[metric] if summary.rank else np.nan, nan_ok=True)
    crosses = {(line.get_xdata()[0], line.get_ydata()[0]) for line in ax.lines}  # type: ignore[index]
    assert crosses == {(3, 0), (3, 1), (2, 1)}
    row, column = np.unravel_index(choose(table), table.shape)
    assert ax.patches[0].get_xy() == (column - 0.5, row - 0.5)  # type: ignore[attr-defined]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0.01", "0.1", "1", "10"]


def test_a_random_study_is_cut_into_bins_that_hold_every_setting() -> None:
    space = {"learning_rate": "0.0001:0.9:log", "batch_size": "16,32"}
    study = a_study(objective, limits=Limits(n_trials=40), space=space, method="random", method_options={}).run()
    ax = plots.heatmap(study, metric="validation_loss")
    table = np.ma.filled(ax.images[0].get_array(), np.nan)
    assert table.shape == (2, 8)
    rates = [float(summary.params["learning_rate"]) for summary in study.summaries()]  # type: ignore[arg-type]
    edges = np.geomspace(min(rates), max(rates), 9)
    expected = np.full((2, 8), np.nan)
    for rate, summary in zip(rates, study.summaries(), strict=True):
        place = (16, 32).index(summary.params["batch_size"]), min(7, int((rate >= edges).sum()) - 1)  # type: ignore[arg-type]
        expected[place] = np.fmin(expected[place], summary.metrics["validation_loss"])
    assert table == pytest.approx(expected, nan_ok=True)


def test_the_heat_map_tells_what_diverged_from_what_ended_early_and_frames_all_that_are_best() -> None:
    study = sweep("iris", {"learning_rate": "1e-3:1e9:log", "hidden_units": [4, 8]}, "halving", points=7, epochs=9)
    ax = plots.heatmap(study)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("learning rate", "hidden units")
    states = {(s.params["learning_rate"], s.params["hidden_units"]): s.state for s in study.summaries()}
    rates = sorted({float(rate) for rate, _ in states})  # type: ignore[arg-type]
    marks = {(line.get_xdata()[0], line.get_ydata()[0]): line.get_marker() for line in ax.lines}  # type: ignore[index]
    expected = {
        (rates.index(float(rate)), (4, 8).index(units)): "x" if state == DIVERGED else "_"  # type: ignore[arg-type]
        for (rate, units), state in states.items()
        if state != COMPLETED
    }
    assert marks == expected
    assert set(marks.values()) == {"x", "_"}
    assert ax.get_title() == "validation accuracy (×: diverged, –: ended early)"
    all_best = plots.heatmap(a_study(even).run())
    assert len(all_best.patches) == 10


def test_dots_of_a_random_search_are_not_joined() -> None:
    space = {"learning_rate": "0.0001:0.9:log", "momentum": "0:0.9"}
    study = a_study(space=space, limits=Limits(n_trials=20), method="random", method_options={}, repeats=2).run()
    assert plots.learning_rate_curve(study).lines[0].get_linestyle() == "None"
    assert plots.learning_rate_curve(the_study()).lines[0].get_linestyle() == "-"
    alone = a_study(space={"learning_rate": "0.001:1:log"}).run()
    assert plots.learning_rate_curve(alone).lines[0].get_linestyle() == "-"


def test_learning_curves_are_means_with_a_range_and_end_in_a_cross_where_they_diverged() -> None:
    ax = plots.learning_curves(the_study(), "train_loss")
    assert ax.get_ylabel() == "training loss, mean over the epoch"
    assert plots.learning_curves(the_study(), "validation_loss").get_ylabel() == "validation loss"
    lines = {line.get_label(): line for line in ax.lines if line.get_marker() != "x"}
    assert list(lines) == ["0.01", "0.1", "1", "10"]
    expected = np.mean([loss_of(0.1, 16, r) for r in (0, 1)]) * np.array([4, 2, 0.5])
    assert lines["0.1"].get_ydata() == pytest.approx(expected)
    assert list(lines["10"].get_ydata()) == [4, 8]
    assert [list(line.get_xdata()) for line in ax.lines if line.get_marker() == "x"] == [[2]]
    best = plots.learning_curves(the_study(), by=None, top=2)
    assert [line.get_label() for line in best.lines] == ["0.1, 16", "0.1, 32"]
    assert best.get_legend().get_title().get_text() == "learning rate,\nbatch size"  # type: ignore[union-attr]


@pytest.mark.parametrize("top", [1, 2, 3, 7, 8, 25, 30])
@pytest.mark.parametrize("where", [0, 1, 3, 13, 24])
def test_learning_curves_choose_values_from_end_to_end_and_the_best_among_them(top: int, where: int) -> None:
    rates = [round(0.01 * 1.2**i, 6) for i in range(25)]

    def objective(spec: TrialSpec) -> TrialResult:
        far = abs(rates.index(float(spec.params["learning_rate"])) - where) + 1.0  # type: ignore[arg-type]
        curves = {name: np.full(3, far) for name in METRICS}
        return TrialResult(COMPLETED, dict.fromkeys(METRICS, far), curves, 3)

    study = a_study(objective, space={"learning_rate": ",".join(map(str, rates))}, metric="validation_loss").run()
    labels = [float(line.get_label()) for line in plots.learning_curves(study, top=top).lines]  # type: ignore[arg-type]
    chosen = [int(np.abs(np.array(rates) - label).argmin()) for label in labels]
    assert len(chosen) == min(top, 25)
    assert chosen == sorted(set(chosen))
    assert where in chosen
    step = 24 / max(1, min(top, 25) - 1)
    assert top == 1 or max(np.diff([0, *chosen, 24])) <= 1.5 * step + 1


def test_what_is_the_same_in_every_setting_has_no_axis_no_bar_and_no_line() -> None:
    space = {"learning_rate": "0.01,0.1,1", "hidden_units": "32", "batch_size": "16,32", "optimizer": "sgd"}
    study = a_study(space=space).run()
    ticks = [tick.get_text() for tick in plots.parallel_coordinates(study).get_xticklabels()]
    assert ticks == ["learning rate", "batch size", "validation accuracy"]
    ticks = [tick.get_text() for tick in plots.parallel_coordinates(study, top=1).get_xticklabels()]
    assert ticks == ["learning rate", "batch size", "validation accuracy"]  # the best has one value of what was varied
    bars = [tick.get_text() for tick in plots.importance(study).get_yticklabels()]
    assert set(bars) == {"learning rate", "batch size", "interactions and noise"}
    (line,) = [line for line in analysis_lines(study) if line.startswith("Variance")]
    assert not {"hidden_units", "optimizer"} & set(line.split())
    axes = plots.heatmap(study)
    assert {axes.get_xlabel(), axes.get_ylabel()} == {"learning rate", "batch size"}
    with pytest.raises(ValueError, match="must have varied a hyper-parameter to be drawn as lines"):
        plots.parallel_coordinates(a_study(space={"learning_rate": "0.1"}).run())


def test_layers_of_a_run_are_its_history() -> None:
    split = load_dataset("iris").split(seed=0)
    for activation, share in (("relu", "dead"), ("tanh", "saturated"), ("gelu", None)):
        run = train(MLP((4, 8, 6, 3), activation), split, SGD(1.0), epochs=12)
        history = run.history.layers
        assert history is not None
        expected = [history.weight_norm, history.gradient_norm, history.update_norm]
        expected += [getattr(history, share)] if share else []
        panels = plots.layers(run).axes
        assert [ax.get_ylabel() for ax in panels[3:]] == ([f"share of {share} units"] if share else [])
        assert len(panels) == len(expected)
        for ax, values in zip(panels, expected, strict=True):
            assert [list(line.get_ydata()) for line in ax.lines] == values.T.tolist()
            assert all(list(line.get_xdata()) == list(range(1, 13)) for line in ax.lines)
        names = [text.get_text() for text in panels[0].get_legend().get_texts()]  # type: ignore[union-attr]
        assert names == ["layer 1 (4 to 8)", "layer 2 (8 to 6)", "layer 3 (6 to 3)"]


@pytest.mark.parametrize("data", ["iris", "diabetes"])
def test_the_learning_curves_of_all_rates_begin_at_one_point_the_loss_before_the_first_step(
    data: str, tmp_path: Path
) -> None:
    space = {"learning_rate": [0.01, 0.1], "hidden_units": 4, "batch_size": "full"}
    study = sweep(data, space, epochs=3, repeats=2, storage=tmp_path / "a.db", progress=False)
    for metric in ("train_loss", "validation_loss"):
        lines, again = (plots.learning_curves(s, metric).lines for s in (study, Study.open(tmp_path / "a.db")))
        assert [list(line.get_ydata()) for line in again] == [list(line.get_ydata()) for line in lines]
        assert [list(line.get_xdata()) for line in lines] == [[0, 1, 2, 3]] * 2
        assert lines[0].get_ydata()[0] == lines[1].get_ydata()[0]  # type: ignore[index]
    # With one batch an epoch, the loss of epoch 1 is that before the only update.
    assert np.ptp(plots.learning_curves(study, "train_loss").lines[0].get_ydata()[:2]) < 1e-6  # type: ignore[index]
    score = "validation_accuracy" if data == "iris" else "validation_r2"
    assert plots.learning_curves(study, score).lines[0].get_xdata()[0] == 1  # type: ignore[index]


def test_layers_need_a_run_that_recorded_some() -> None:
    split = load_dataset("iris").split(seed=0)
    with pytest.raises(TypeError, match=r"^layers must get a Run, as train returns it, but got 3$"):
        plots.layers(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^a run must have completed an epoch to be drawn, but it diverged in step"):
        plots.layers(train(MLP((4, 8, 3)), split, SGD(1e9), epochs=2, divergence_factor=1.1))
    with pytest.raises(ValueError, match=r"^a run must have records of its layers to be drawn, but its file is older"):
        plots.layers(load(ROOT / "tests" / "old_files" / "run.npz"))


def test_curves_of_a_run_are_its_history() -> None:
    split = load_dataset("iris").split(seed=0)
    run = train(MLP((4, 8, 3)), split, SGD(0.1), epochs=6)
    for metric in ("loss", "accuracy"):
        first, second = plots.learning_curves(run, metric).lines
        assert np.array_equal(first.get_ydata(), getattr(run.history, f"train_{metric}"))
        assert np.array_equal(second.get_ydata(), getattr(run.history, f"validation_{metric}"))
        assert (first.get_label(), second.get_label()) == (
            f"training {metric}, mean over the epoch", f"validation {metric}",
        )  # fmt: skip
        ax = plots.validation_vs_train(run, metric)
        assert (ax.get_xlabel(), ax.get_ylabel()) == (first.get_label(), second.get_label())
        path = ax.lines[0]
        assert np.array_equal(path.get_xdata(), first.get_ydata())
        assert np.array_equal(path.get_ydata(), second.get_ydata())


def test_validation_against_training_has_a_point_for_each_completed_trial() -> None:
    study = the_study()
    ax = plots.validation_vs_train(study)
    drawn = np.concatenate([np.asarray(points.get_offsets()) for points in ax.collections])
    expected = [(t.metrics["train_loss"], t.metrics["validation_loss"]) for t in study.trials if t.state == COMPLETED]
    assert np.sort(drawn, axis=0) == pytest.approx(np.sort(expected, axis=0))


@pytest.mark.parametrize("metric", ["validation_accuracy", "validation_loss"])
def test_parallel_coordinates_have_a_line_for_each_setting_and_the_best_ends_highest(metric: str) -> None:
    study = the_study(metric=metric)
    ax = plots.parallel_coordinates(study)
    ways = [np.asarray(line.get_ydata()) for line in ax.lines if not np.array_equal(line.get_ydata(), [0, 1])]
    assert len(ways) == len(study.summaries()) == 8
    assert sum(len(way) == 3 for way in ways) == 5  # two hyper-parameters and the metric
    best = next(line for line in ax.lines if str(line.get_label()).startswith("best"))
    assert list(best.get_ydata()) == pytest.approx([1 / 3, 0, 1])  # rate 0.1 of 0.01 to 10 by logarithm, 16, the top
    few = plots.parallel_coordinates(study, top=2)
    assert sum(np.size(line.get_ydata()) == 3 for line in few.lines) == 2


def test_a_setting_passes_below_the_axis_of_what_it_does_not_have() -> None:
    space = {"optimizer": {"sgd": {"momentum": "0.1:0.9"}, "adam": {}}}
    study = a_study(space=space, method="grid", method_options={"points": 5}).run()
    ways = [list(line.get_ydata()) for line in plots.parallel_coordinates(study).lines]
    adam = [way for way in ways if len(way) == 3 and way[1] < 0]
    assert len(adam) == 1
    assert sorted(way[1] for way in ways if len(way) == 3)[1:] == pytest.approx([0, 0.25, 0.5, 0.75, 1])


@pytest.mark.parametrize(("momentum", "low"), [("0.01:0.9", 0.01), ("0.01:0.9:log", math.log10(0.01))])
def test_an_axis_is_logarithmic_where_the_range_was_searched_so(momentum: str, low: float) -> None:
    space = {"momentum": momentum, "batch_size": "16,32"}
    study = a_study(space=space, method="grid", method_options={"points": 15}).run()
    axis = Axis.of("momentum", [0.01, 0.9], continuous=True, logarithmic=scale_of(space, "momentum"))
    assert axis.ends[0] == pytest.approx(low)
    _, texts = axis.ticks()
    drawn = [text.get_text() for text in plots.parallel_coordinates(study).texts]
    assert set(texts) < set(drawn)
    assert ("0.03" in drawn) == ("log" in momentum)


def test_a_loss_of_zero_has_a_place_beside_the_logarithms() -> None:
    losses = {16: 0.0, 32: 3.0}

    def objective(spec: TrialSpec) -> TrialResult:
        loss = losses[int(spec.params["batch_size"])]  # type: ignore[arg-type]
        return TrialResult(COMPLETED, {**dict.fromkeys(METRICS, loss), "validation_accuracy": 1.0}, {}, 3)

    study = a_study(objective, space={"batch_size": "16,32"}).run()
    ax = plots.validation_vs_train(study)
    assert (ax.get_xscale(), ax.get_yscale()) == ("symlog", "symlog")


def test_importances_are_those_of_the_analysis() -> None:
    study = the_study()
    found = study.analysis().importance
    assert found.shares is not None
    ax = plots.importance(study)
    names = [tick.get_text() for tick in ax.get_yticklabels()]
    widths = {name: bar.get_width() for name, bar in zip(names, ax.patches, strict=True)}  # type: ignore[attr-defined]
    assert widths["learning rate"] == pytest.approx(100 * found.shares["learning_rate"])
    assert sum(widths.values()) == pytest.approx(100)


def test_a_path_in_two_parameters_lies_where_theta_was_on_the_loss_of_the_data() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 1))
    data = Dataset(x, 2 * x[:, 0] + 1, task="regression")
    model = MLP((1, 1), dtype="float64", init="zeros")
    path = plots.Recorder([-1.0, -1.0])
    run = train(
        model, data, SGD(0.2), batch_size="full", epochs=12, theta=[-1.0, -1.0], callback=path, every_steps=1
    )  # fmt: skip
    assert path.thetas[-1] == pytest.approx(run.theta)
    ax = plots.descent_path(run, data, {"plain": path}, resolution=21, limits=((-2, 3), (-2, 2)))
    assert np.array_equal(np.transpose(ax.lines[0].get_data()), path.thetas)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("weight", "bias")
    grid = [model.loss([a, b], data.X, data.y) for a in np.linspace(-2, 3, 21) for b in np.linspace(-2, 2, 21)]
    surface: Any = ax.collections[0]
    assert (surface.zmin, surface.zmax) == pytest.approx((min(grid), max(grid)))
    lines: Any = ax.collections[1]
    for level, line in list(zip(lines.levels, lines.get_paths(), strict=True))[6:-2:3]:
        losses = np.array([model.loss(point, data.X, data.y) for point in line.vertices])
        assert np.allclose(losses, level, rtol=0.1)


def test_the_plane_of_a_path_keeps_its_distances_and_given_directions_give_its_coordinates() -> None:
    run, data = a_run()
    rng = np.random.default_rng(1)
    plane, steps = rng.normal(size=(2, run.model.size)), rng.normal(size=(7, 2))
    steps[-1] = 0
    path = run.theta + steps @ plane
    flat = np.transpose(plots.descent_path(run, data, path, resolution=8).lines[0].get_data())
    distances = [np.linalg.norm(a[:, None] - a[None], axis=-1) for a in (flat, path)]
    assert distances[0] == pytest.approx(distances[1])
    ax = plots.descent_path(run, data, path, directions=plane, resolution=8)
    assert np.transpose(ax.lines[0].get_data()) == pytest.approx(steps, abs=1e-9)


def test_the_recorder_thins_towards_the_beginning_and_keeps_both_ends() -> None:
    path = plots.Recorder(np.zeros(22))
    train(MLP((2, 4, 2), activation="tanh"), load_dataset("moons"), SGD(0.1), epochs=3, callback=path, every_steps=1)
    few = path.thinned(6)
    assert few.steps[0] == 0
    assert few.steps[-1] == path.steps[-1]
    assert (np.diff(few.steps, 2) >= 0).all()
    assert len(few.steps) <= 6
    assert np.array_equal(few.thetas, path.thetas[few.steps])


def test_regions_have_the_colour_of_the_predicted_class_on_raw_and_on_scaled_data() -> None:
    raw = load_dataset("moons", n=120, noise=0.1, seed=2)
    split = raw.split(seed=0)
    run = train(MLP((2, 16, 2), activation="tanh"), split, SGD(0.5), epochs=40)
    pictures = []
    for data in (raw, split.train):
        ax = plots.decision_boundary(run, data, resolution=30)
        image = ax.images[0]
        pixels = np.asarray(image.get_array())
        x_low, x_high, y_low, y_high = image.get_extent()
        grid = np.stack(np.meshgrid(np.linspace(x_low, x_high, 30), np.linspace(y_low, y_high, 30)), axis=-1)
        shares = run.predict_proba(grid.reshape(-1, 2), scaled=data.settled).reshape(30, 30, 2)
        inks = np.array([to_rgb(style.COLOURS[k]) for k in range(2)])
        lightest = 1 - 0.45 * (1 - inks)
        sure = shares.max(axis=-1) > 0.999
        assert sure.sum() > 20
        assert pixels[sure] == pytest.approx(lightest[shares.argmax(axis=-1)][sure], abs=2e-3)
        pictures.append(ax)
    assert pictures[0].get_xlabel() == "feature 1"
    assert pictures[1].get_xlabel() == "feature 1 (scaled)"


def test_the_animation_is_a_gif_with_one_picture_for_each_theta_that_ends_with_the_trained_one() -> None:
    path = plots.Recorder()
    run, data = a_run(callback=path, every=3)
    content = plots.decision_boundary_animation(run, data, path, resolution=12, seconds=1, size=2)
    film = Image.open(io.BytesIO(content))
    assert (film.format, film.n_frames, film.info["loop"]) == ("GIF", 3, 0)  # type: ignore[attr-defined]
    frames = []
    for i in range(3):
        film.seek(i)
        frames.append(np.asarray(film.convert("RGB"), dtype=float))
    other = plots.decision_boundary_animation(run, data, path.thetas[[2]], resolution=12, seconds=1, size=2)
    last = np.asarray(Image.open(io.BytesIO(other)).convert("RGB"), dtype=float)
    below = slice(50, None)  # the title says another step
    assert np.abs(frames[2] - last)[below].mean() < 2 < np.abs(frames[0] - last)[below].mean()


def test_the_confusion_matrix_counts_each_example_in_the_row_of_its_class_and_the_column_of_its_prediction() -> None:
    split = load_dataset("iris").split(seed=0)
    run = train(MLP((4, 3)), split, epochs=2)
    assert split.validation is not None
    for data, known in ((split.validation, split.validation), (split.source.subset(split.rows["validation"]), None)):
        ax = plots.confusion(run, data)
        counts = np.array([int(text.get_text()) for text in ax.texts]).reshape(3, 3)
        guess = run.predict(known or split.validation)
        expected = [[np.sum((split.validation.y == i) & (guess == j)) for j in run.classes] for i in run.classes]
        np.testing.assert_array_equal(counts, expected)
        assert [label.get_text() for label in ax.get_yticklabels()] == ["setosa", "versicolor", "virginica"]
        assert ax.get_title() == f"{np.trace(counts) / 30:.0%} of 30 examples right"
    lopsided = split.validation.subset(np.flatnonzero(split.validation.targets == 1))
    ax = plots.confusion(run, lopsided)
    assert [int(text.get_text()) for text in ax.texts[:3]] == [0, 0, 0]
    regression = load_dataset("sine", n=40).split(seed=0)
    with pytest.raises(
        ValueError, match="a confusion matrix must be of one class for each example, but the task is reg"
    ):
        plots.confusion(train(MLP((1, 1)), regression, epochs=1), regression.train)


def everything() -> list[tuple[Any, tuple[Any, ...]]]:
    run, data = a_run()
    path = np.stack([run.theta, run.theta + np.eye(1, run.model.size)[0], run.theta + np.eye(2, run.model.size)[1]])
    study = the_study()
    of_studies = [(getattr(plots, name), (study,)) for name in OF_STUDIES]
    of_runs = [(function, (run, data)) for function in (plots.decision_boundary, plots.confusion)]
    return [*of_studies, (plots.descent_path, (run, data, path)), *of_runs]


def test_every_figure_is_drawn_on_the_given_axes_and_changes_no_setting_of_matplotlib() -> None:
    before = dict(matplotlib.rcParams)
    assert before["font.size"] != style.STYLE["font.size"]
    for function, arguments in everything():
        figure, ax = pyplot.subplots()
        count = len(pyplot.get_fignums())
        assert function(*arguments, ax=ax) is ax
        assert len(pyplot.get_fignums()) == count
        assert ax.get_title()
        pyplot.close(figure)
    assert dict(matplotlib.rcParams) == before


def test_a_notebook_s_backend_stays_interactive_so_that_figures_are_shown(tmp_path: Path) -> None:
    (tmp_path / "notebook_backend.py").write_text(
        "import matplotlib\nfrom matplotlib.backends.backend_agg import *\nmatplotlib.interactive(True)\n"
    )
    code = (
        "from tests.tuning.fakes import a_study\nfrom tuning import plots\nplots.importance(a_study().run())\n"
        "import matplotlib\nassert matplotlib.is_interactive()"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", ""), str(ROOT)])
    env = {**os.environ, "PYTHONPATH": path, "MPLBACKEND": "module://notebook_backend"}
    assert subprocess.run([sys.executable, "-c", code], env=env).returncode == 0


def test_figures_are_saved_whole_and_forgotten(tmp_path: Path) -> None:
    ax = plots.importance(the_study())
    target = plots.save(ax, tmp_path / "new" / "a.png")
    with Image.open(target) as picture:
        assert picture.size == (650, 450)
    assert os.listdir(target.parent) == ["a.png"]
    assert not pyplot.get_fignums()


def even(spec: TrialSpec) -> TrialResult:
    return TrialResult(COMPLETED, dict.fromkeys(METRICS, 1.0), {}, 3)


def failing(spec: TrialSpec) -> TrialResult:
    return TrialResult(FAILED, error="ValueError: no")


def test_what_can_not_be_drawn_is_refused_in_one_line() -> None:
    run, data = a_run()
    study, iris = the_study(), load_dataset("iris")
    empty = a_study(failing).run()
    no_rate = a_study(even, space={"batch_size": "16,32"}).run()
    for name in OF_STUDIES:
        function = getattr(plots, name)
        with pytest.raises(TypeError, match=f"^{name} must get a Study, as sweep returns it, but got 'study'$"):
            function("study")
        with pytest.raises(ValueError, match=r"completed(.*) to be drawn, but: 10 failed|metric of training"):
            function(empty)
    cases: list[tuple[Any, str]] = [
        (lambda: plots.learning_rate_curve(no_rate), "learning_rate must be among .*, but they are: batch_size"),
        (lambda: plots.learning_curves(no_rate, by="dropout"), "by must be a hyper-parameter .*, batch_size, but got"),
        (lambda: plots.heatmap(no_rate), "two hyper-parameters that were varied, but the study varied: batch_size"),
        (lambda: plots.importance(no_rate), "3 settings or more, with different scores"),
        (lambda: plots.heatmap(study, y="momentum"), "y must be a hyper-parameter .*, but got 'momentum'"),
        (lambda: plots.heatmap(study, metric="validation_los"), "did you mean 'validation_loss'"),
        (lambda: plots.validation_vs_train(run), "must have the loss of training and validation"),
        (lambda: plots.learning_curves(run, "r2"), "metric of a run must be one of loss, accuracy, but got 'r2'"),
        (lambda: plots.decision_boundary(run, iris), "2 features, but got classification with 4"),
        (lambda: plots.descent_path(run, data, np.ones((3, 2))), "rows of the model's 42 parameters, but got"),
        (lambda: plots.descent_path(run, data, np.ones((1, 42))), "2 rows of finite numbers at least, but got 1"),
        (lambda: plots.descent_path(run, data, np.outer([0, 1, 2], np.ones(42))), "straight line"),
        (lambda: plots.descent_path(run, data, np.eye(42), directions=np.ones((2, 42))), "two independent rows"),
        (lambda: a_run(callback=plots.Recorder([1.0])), "start must have the model's 42 parameters, but got shape"),
        (lambda: plots.Recorder().thinned(3), "a recorder must have been the callback"),
    ]
    for call, text in cases:
        with pytest.raises(ValueError, match=text) as caught:
            call()
        assert "\n" not in str(caught.value)
    with pytest.raises(TypeError, match="decision_boundary must get a Run, as train returns it, but got Study"):
        plots.decision_boundary(study, data)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="descent_path must get a Dataset beside the run"):
        plots.descent_path(run, data.X, run.theta)  # type: ignore[arg-type]
    assert not pyplot.get_fignums()


def test_without_matplotlib_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    study = the_study()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'pip install "nn-tuning\[plot\]"'):
        plots.heatmap(study)


def test_plots_are_there_without_being_imported_and_import_no_plotting_library() -> None:
    code = (
        "import sys, nn, tuning, tuning.cli; assert 'tuning.plots' not in sys.modules; from tuning import plots; "
        "plots.heatmap; sys.exit('matplotlib' in sys.modules or 'pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}).returncode == 0


def test_the_teaching_figures_are_drawn_and_a_rate_beyond_the_limit_climbs() -> None:
    from scripts.laboratory.teaching_figures import README_FIGURES, descent, run

    found = run(seed=7, quick=True)
    assert set(README_FIGURES) < set(found.figures)
    assert not any("largest rate" in claim.what for claim in found.claims)  # neighbours are a factor of 3.2 apart
    assert any("a factor of 3.2 apart can't show" in note for note in found.notes)
    assert len(found.claims) == 3
    assert all(claim.holds for claim in found.claims)
    assert Image.open(io.BytesIO(found.files["decision_boundary.gif"])).n_frames > 3  # type: ignore[attr-defined]
    _, ratios = descent(seed=11, steps=30)
    too_large, plain, momentum = ratios.values()
    assert plain < 0.01
    assert momentum < 0.01
    assert too_large > 3
    for name in README_FIGURES:
        assert (ROOT / "scripts" / "figures" / f"{name}.png").stat().st_size <= 60_000
