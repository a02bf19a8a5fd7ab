"""The laws that every method keeps; a new one has to be added to METHODS only."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from itertools import combinations, islice, pairwise, product
from typing import Any

import pytest

from tuning.methods import METHODS, Proposal, Sampler, Score, make_sampler
from tuning.methods.samplers import Grid, Random, Sobol
from tuning.space import Choice, LogUniform, Setting, Space
from tuning.space.order import even_order

pytest.importorskip("optuna", reason="needs the extra optuna")

MIXED = Space({"learning_rate": "1e-3:1:log", "momentum": "0:0.9", "batch_size": [16, 32], "hidden_units": "4:64:int"})
FINITE = Space({"batch_size": [16, 32, 64], "nesterov": [True, False], "activation": "relu"})
PARTS = Space(
    {
        "optimizer": {
            "sgd": {"momentum": "0:0.9", "nesterov": [True, False]},
            "adam": {"beta1": [0.8, 0.9]},
            "adamw": {},
        },
        "hidden_units": [8, (4, 4)],
    }
)
EPOCHS = 9


@pytest.fixture(params=sorted(METHODS))
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def score(proposal: Proposal) -> Score:
    """One that has its best in the middle, some ties, and some settings that can't be ranked."""
    setting = proposal.setting
    rate, units = float(setting.get("learning_rate", 0.1)), setting.get("hidden_units", 8)  # type: ignore[arg-type]
    if rate > 0.7:
        return Score(math.nan, math.nan)
    return Score(-abs(math.log10(rate) + 1.3) - (0.1 if units == (4, 4) else 0.0), -float(len(setting)))


def proposals(
    sampler: Sampler, space: Space, n: int = 200, scored: Callable[[Proposal], Score] = score
) -> list[Proposal]:
    """Everything that a sampler proposes, up to n."""
    rounds, told, found = sampler.rounds(space, EPOCHS), None, []
    try:
        while len(found) < n:
            asked = list(islice(rounds.send(told), n))  # type: ignore[arg-type]
            found += asked
            told = [scored(proposal) for proposal in asked] if sampler.learns else []
    except StopIteration:
        pass
    return found


def stream(sampler: Sampler, space: Space, n: int = 200) -> list[Setting]:
    """The different settings, in the order in which they are first proposed."""
    return list({p.place: p.setting for p in proposals(sampler, space, n)}.values())


@pytest.mark.parametrize("space", [MIXED, FINITE, PARTS])
def test_the_stream_is_the_same_every_time(method: str, space: Space) -> None:
    assert proposals(make_sampler(method, 50, 1), space) == proposals(make_sampler(method, 50, 1), space)


def test_a_limit_cuts_the_stream_and_changes_nothing_before_it(method: str) -> None:
    if METHODS[method].budgets:
        pytest.skip("here the limit says how many settings compete")
    assert stream(make_sampler(method, 10, 1), MIXED) == stream(make_sampler(method, 20, 1), MIXED)[:10]


@pytest.mark.parametrize("space", [MIXED, FINITE, PARTS])
def test_no_setting_comes_twice_and_places_count_the_settings(method: str, space: Space) -> None:
    found = proposals(make_sampler(method, 60, 1), space)
    places = {proposal.place: tuple(proposal.setting.items()) for proposal in found}
    numbered = len(places) if method != "grid" else space.grid_size(7)  # of a grid that is cut, any may be left out
    assert places.keys() <= set(range(numbered))
    assert len(places) == numbered or method == "grid"
    assert len(set(places.values())) == len(places) > 5
    assert all(tuple(p.setting.items()) == places[p.place] for p in found)
    seen: dict[int, int] = {}
    for proposal in found:
        assert seen.get(proposal.place, 0) < proposal.epochs <= EPOCHS
        assert METHODS[method].budgets or proposal.epochs == EPOCHS
        seen[proposal.place] = proposal.epochs


@pytest.mark.parametrize("space", [MIXED, PARTS])
def test_every_setting_has_what_is_active_and_lies_in_the_space(method: str, space: Space) -> None:
    for setting in stream(make_sampler(method, 60, 2), space):
        active = space.active(setting)
        assert list(setting) == list(active)
        for name, parameter in active.items():
            value: Any = setting[name]
            inside = (
                value in parameter.values if isinstance(parameter, Choice) else parameter.low <= value <= parameter.high
            )  # type: ignore[attr-defined]
            assert inside, (name, value)


def test_the_count_is_that_of_the_stream(method: str) -> None:
    for space, limit in ((FINITE, None), (FINITE, 4), (MIXED, 17), (PARTS, 11)):
        sampler = make_sampler(method, limit, 0)
        count = sampler.count(space, EPOCHS)
        assert count == len(stream(sampler, space)) or (count is None and method == "refine")


def test_a_finite_space_is_exhausted(method: str) -> None:
    settings = stream(make_sampler(method, None, 3), FINITE)
    assert {tuple(s.values()) for s in settings} == set(product([16, 32, 64], [True, False], ["relu"]))


def test_the_planned_epochs_are_those_of_the_rounds_where_all_can_be_ranked(method: str) -> None:
    for space, limit in ((FINITE, None), (MIXED, 17)):
        sampler = make_sampler(method, limit, 0)
        given: dict[int, int] = {}
        for proposal in proposals(sampler, space, scored=lambda proposal: Score(float(proposal.place), 0.0)):
            given[proposal.place] = proposal.epochs
        assert sampler.planned_epochs(space, EPOCHS) in (sum(given.values()), None)
        assert METHODS[method].budgets == (sum(given.values()) < len(given) * EPOCHS)


def test_another_seed_draws_other_settings(method: str) -> None:
    if method in ("grid", "refine"):
        pytest.skip("nothing is drawn")
    assert stream(make_sampler(method, 9, 0), MIXED) != stream(make_sampler(method, 9, 1), MIXED)


def test_a_method_goes_on_where_nothing_can_be_ranked(method: str) -> None:
    sampler = make_sampler(method, 40, 0)
    found = proposals(sampler, MIXED, scored=lambda proposal: Score(math.nan, math.nan))
    assert 9 <= len({proposal.place for proposal in found}) <= 40
    assert METHODS[method].budgets is False or max(proposal.epochs for proposal in found) <= EPOCHS


def test_a_space_of_one_setting_is_searched(method: str) -> None:
    one = Space({"batch_size": 16, "activation": "relu"})
    assert stream(make_sampler(method, None, 0), one) == [{"batch_size": 16, "activation": "relu"}]


def test_grid_covers_exactly_the_product_and_numbers_it_in_order() -> None:
    space = Space({"learning_rate": LogUniform(1e-3, 1.0), "batch_size": [16, 32], "hidden_units": [8, (4, 4)]})
    expected = list(product([1e-3, 1e-2, 1e-1, 1.0], [16, 32], [8, (4, 4)]))
    found = {p.place: tuple(p.setting.values()) for p in proposals(Grid(points=4), space)}
    assert [found[place] for place in range(16)] == expected
    assert [tuple(s.values()) for s in stream(Grid(points=4, even=False), space)] == expected


@pytest.mark.parametrize("space", [MIXED, PARTS, FINITE], ids=["mixed", "parts", "finite"])
def test_any_first_part_of_a_grid_knows_each_whole_range(space: Space) -> None:
    points = 6
    settings = stream(Grid(points=points), space, 10_000)
    assert len({tuple(s.items()) for s in settings}) == len(settings) == space.grid_size(points)
    axes = {name: list(parameter.grid(points)) for name, parameter in space.parameters.items()}
    for n in range(1, len(settings) + 1):
        for name, levels in axes.items():
            been = sorted({levels.index(setting[name]) for setting in settings[:n]})
            size, parts = len(levels), bool(getattr(space.parameters[name], "parts", ()))
            assert parts or len(been) == min(n, size)  # as many different values as there can be
            gap = max(b - a for a, b in pairwise([-1, *been, size]))
            assert parts or gap <= 3 * (size + 1) / (min(n, size) + 1), (name, n)


@pytest.mark.parametrize("lengths", [(7, 3, 3), (3, 3, 7), (7, 7), (5, 1, 5, 2)])
def test_two_axes_of_a_grid_do_not_go_hand_in_hand(lengths: tuple[int, ...]) -> None:
    order = list(even_order(lengths))
    assert sorted(order) == list(product(*map(range, lengths)))
    for a, b in combinations(range(len(lengths)), 2):
        third = {(places[a], places[b]) for places in order[: 3 * max(lengths)]}
        assert len(third) >= 0.6 * min(lengths[a] * lengths[b], 3 * max(lengths))


def test_a_grid_too_large_to_be_held_is_begun_at_once() -> None:
    space = Space({f"{name}": "0:1" for name in "abcdefgh"})
    assert len(proposals(Grid(points=1000), space, 20)) == 20


def test_grid_enumerates_only_what_is_active() -> None:
    settings = stream(Grid(points=3), PARTS)
    assert len(settings) == PARTS.grid_size(3) == (3 * 2 + 2 + 1) * 2
    assert {"optimizer": "adamw", "hidden_units": 8} in settings
    assert all(("momentum" in s) == (s["optimizer"] == "sgd") for s in settings)


@pytest.mark.parametrize("kind", [Random, Sobol])
def test_draws_fill_the_range(kind: type[Sampler]) -> None:
    settings = stream(kind(200, seed=0), Space({"learning_rate": LogUniform(1e-3, 1.0)}))
    below = sum(float(s["learning_rate"]) < 10**-1.5 for s in settings)  # type: ignore[arg-type]
    assert 70 < below < 130  # the middle of the logarithms halves them: 100 ± 4 standard deviations of 7


def test_sobol_is_more_even_than_chance_and_silent_for_any_number() -> None:
    space = Space({"learning_rate": "1e-3:1:log", "momentum": "0:0.9"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        settings = stream(Sobol(64, seed=3), space)
        stream(Sobol(77, seed=3), space)
    cells = {
        (int(float(s["momentum"]) / 0.9 * 8), int((math.log10(float(s["learning_rate"])) + 3) / 3 * 8))
        for s in settings
    }  # type: ignore[arg-type]
    assert len(cells) == 64  # a net: one point in each of 8 x 8 cells


@pytest.mark.parametrize(
    ("arguments", "law"),
    [
        ({"method": "randm"}, "did you mean 'random'"),
        ({"method": 3}, "method must be one of"),
        ({"method": "grid", "eta": 3}, "eta must go with method halving or hyperband, but the method is grid"),
        ({"method": "halving", "rounds": 3}, "rounds must go with method refine"),
        ({"method": "halving", "eta": 1}, "eta must be"),
        ({"method": "hyperband", "min_epochs": 0}, "min_epochs must be"),
        ({"method": "refine", "points": 1}, "points must be"),
        ({"method": "refine", "rounds": 0}, "rounds must be"),
        ({"method": "refine", "widen": 3}, "widen must be"),
        ({"method": "tpe", "batch": 0}, "batch must be"),
    ],
)
def test_what_is_no_method_is_refused_with_its_law(arguments: dict[str, Any], law: str) -> None:
    with pytest.raises((ValueError, TypeError), match=law):
        make_sampler(**arguments)
