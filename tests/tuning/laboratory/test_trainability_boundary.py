"""The edge of trainability: how roughness is measured, what a pixel is, and that the network's edge is rough."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from nn import Run
from tuning.laboratory import trainability_boundary as experiment
from tuning.laboratory.parallel import processes
from tuning.laboratory.trainability_boundary import Map, Measured, Window

UNIT = Window(0.0, 0.0, 1.0)


def mapped(trains: np.ndarray) -> Map:
    return Map(UNIT, np.where(trains, 1.0, -1.0))


def test_box_counting_knows_the_dimension_of_a_line_a_gasket_and_an_area() -> None:
    i, j = np.indices((128, 128))
    sides = [1, 2, 4, 8, 16]
    for edge, expected in ((i == j, 1.0), (i & j == 0, np.log2(3)), (i == i, 2.0)):  # i & j == 0: Sierpiński's gasket
        counts = np.array([experiment.box_count(edge, side) for side in sides], float)
        assert experiment.dimension(np.array(sides, float), counts) == pytest.approx(expected, abs=1e-9)


def test_the_edge_is_where_the_outcome_changes() -> None:
    i, j = np.indices((64, 64))
    upright = mapped(j >= 20)
    assert np.array_equal(np.unique(np.argwhere(upright.edge)[:, 1]), [19])
    assert upright.edge.sum() == 64
    assert upright.dimension == pytest.approx(1.0)
    assert np.array_equal(mapped(i >= 20).edge, upright.edge.T)
    assert mapped((i + j) % 2 == 0).dimension == pytest.approx(2.0, abs=0.01)
    assert np.isnan(mapped(j >= 0).dimension)


def test_zooms_are_centred_on_pixels_of_the_edge() -> None:
    window = Window(-1.0, 3.0, 2.0)
    rng = np.random.default_rng(5)
    plane = Map(window, rng.choice([1.0, -1.0], size=(32, 32), p=[0.98, 0.02]))
    x, y = window.centres(32)
    assert (x[0], y[-1]) == pytest.approx((-1 + 1 / 32, 5 - 1 / 32))
    for part in experiment.zooms(plane, 4, seed=9):
        assert part.side == 2.0 / 16
        column, row = np.argmin(abs(x - part.x - part.side / 2)), np.argmin(abs(y - part.y - part.side / 2))
        assert (x[column], y[row]) == pytest.approx((part.x + part.side / 2, part.y + part.side / 2))
        assert plane.edge[row, column]


def test_each_rate_belongs_to_its_layer() -> None:
    trainer = experiment.network(seed=6, steps=10)
    start = trainer(0.0, 0.0)
    first, second = (start.model.layers(start.theta)[layer][0] for layer in (0, 1))
    for rates, moved in (((0.1, 0.0), (True, False)), ((0.0, 0.1), (False, True))):
        run = trainer(*rates)
        layers = [W for W, _ in run.model.layers(run.theta)]
        assert (not np.array_equal(layers[0], first), not np.array_equal(layers[1], second)) == moved


def test_columns_are_the_first_rate_and_rows_the_second_whatever_the_number_of_workers() -> None:
    trainer, window = experiment.network(seed=8, steps=20), Window(-1.0, -1.5, 3.0)
    found = experiment.survey(trainer, window, 16, "here")
    x, y = window.centres(16)
    for row, column in ((0, 15), (15, 0), (7, 11)):
        assert found.pace[row, column] == experiment.pace(trainer(10 ** x[column], 10 ** y[row]))
    assert len({found.pace[0, 15], found.pace[15, 0], found.pace[7, 11]}) == 3
    with processes(2) as pool:
        assert np.array_equal(experiment.survey(trainer, window, 16, "pool", pool).pace, found.pace)


def test_pace_counts_steps_and_its_sign_says_whether_the_end_is_below_the_start() -> None:
    run = experiment.network(seed=6, steps=10)(0.1, 0.1)

    def with_losses(losses: list[float], status: str = "completed") -> Run:
        return replace(run, status=status, history=replace(run.history, step_loss=np.array(losses)))

    assert experiment.pace(with_losses([4.0] + [8.0] * 7 + [1.0] * 2)) == pytest.approx(1 + 14 + 0.5)
    assert experiment.pace(with_losses([4.0] + [1.0] * 7 + [8.0] * 2)) == pytest.approx(-(1 + 28 + 1))
    assert experiment.pace(with_losses([4.0, 8.0, np.inf], "diverged")) == pytest.approx(-1.5)
    assert experiment.pace(with_losses([4.0, 8.0, np.nan], "diverged")) == pytest.approx(-1.5)
    assert experiment.pace(with_losses([4.0] * 9 + [1.0], "diverged")) < 0


def test_the_convex_control_trains_exactly_where_the_theory_of_quadratics_says() -> None:
    found = experiment.survey(experiment.convex(seed=12), experiment.CONTROL_PLANE, 32, "control")
    model = experiment.convex(seed=12)(1e-9, 1e-9).model
    rates = 10 ** np.array(experiment.CONTROL_PLANE.centres(32))
    data = experiment.problem(12)
    hessian = np.array([model.hessian_vector_product(np.zeros(8), v, data.X, data.targets) for v in np.eye(8)])
    eigenvalues = np.linalg.eigvalsh(hessian)
    growth = np.abs((1 - rates[0][:, None] * eigenvalues) * (1 - rates[1][:, None, None] * eigenvalues)).max(axis=2)
    clear = (growth < 0.99) | (growth > 1.2)  # near 1, a hundred steps don't tell
    assert clear.mean() > 0.7
    assert np.array_equal(found.trains[clear], growth[clear] < 1)
    assert 0.2 < found.trains.mean() < 0.8


def test_the_edge_of_networks_is_rough_when_seen_from_near_and_that_of_the_control_is_not() -> None:
    found = experiment.measure(size=32, zoom_size=32, zoom_count=3, seeds=2, seed=40, steps=80)
    assert found.whole.shape == (2,)
    assert found.zoomed.shape == (2, 3)
    assert np.median(found.zoomed) > found.whole.max() + 0.1
    assert np.median(found.zoomed) > np.median(found.controlled) + 0.2


def test_claims_hold_for_smooth_planes_with_rough_zooms_and_for_nothing_else() -> None:
    i, j = np.indices((64, 64))
    smooth, rough = mapped(j >= 20), mapped((i + j) % 2 == 0)

    def holds(plane: Map, part: Map, control: Map) -> list[bool]:
        result = Measured((plane,) * 5, ((part,) * 3,) * 5, control, (control,))
        return [claim.holds for claim in experiment.claims(result)]

    outcomes = {each: holds(*each) for each in itertools.product((smooth, rough), repeat=3)}
    assert outcomes[smooth, rough, smooth] == [True, True, True]
    assert outcomes[rough, smooth, rough] == [False, False, False]
    assert sum(all(outcome) for outcome in outcomes.values()) == 1
