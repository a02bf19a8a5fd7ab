"""The laws that every method keeps, and every sampler of Optuna's; a new one has to be added to METHODS only."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from itertools import combinations, islice, pairwise, product
from typing import Any

import pytest

from tuning.methods import METHODS, OptunaSampler, Proposal, Sampler, Score, make_sampler
from tuning.methods.samplers import Grid, Random, Sobol
from tuning.space import Choice, LogUniform, Setting, Space
from tuning.space.order import even_order

optuna = pytest.importorskip("optuna", reason="needs the extra optuna")

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


def values_of(space: Space, path: str = "") -> dict[str, list[Any]]:
    """Return a grid over the space as Optuna has it, three values of each range."""
    found: dict[str, list[Any]] = {}
    for name, parameter in space.parameters.items():
        found[path + name] = ["4x4" if value == (4, 4) else value for value in parameter.grid(3)]
        if isinstance(parameter, Choice):
            for value, part in parameter.branches():
                found |= values_of(part, f"{path}{name}={value}.") if part else {}
    return found


OPTUNAS: dict[str, Callable[[int, Space], Any]] = {
    "BruteForceSampler": lambda seed, space: optuna.samplers.BruteForceSampler(seed=seed),
    "CmaEsSampler": lambda seed, space: optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False),
    "GPSampler": lambda seed, space: optuna.samplers.GPSampler(seed=seed),
    "GridSampler": lambda seed, space: optuna.samplers.GridSampler(values_of(space), seed=seed),
    "NSGAIISampler": lambda seed, space: optuna.samplers.NSGAIISampler(seed=seed, population_size=8),
    "NSGAIIISampler": lambda seed, space: optuna.samplers.NSGAIIISampler(seed=seed, population_size=8),
    "PartialFixedSampler": lambda seed, space: optuna.samplers.PartialFixedSampler(
        {"activation": "relu"}, optuna.samplers.RandomSampler(seed=seed)
    ),
    "QMCSampler": lambda seed, space: optuna.samplers.QMCSampler(seed=seed),
    "RandomSampler": lambda seed, space: optuna.samplers.RandomSampler(seed=seed),
}
UNKNOWN = {"refine", "GridSampler", "PartialFixedSampler"}  # how many settings they have is not known before
NEEDED = {"CmaEsSampler": "cmaes", "GPSampler": "torch"}
pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


@pytest.fixture(params=[*sorted(METHODS), *OPTUNAS])
def method(request: pytest.FixtureRequest) -> str:
    if request.param in NEEDED:
        pytest.importorskip(NEEDED[request.param], reason=f"{request.param} needs it")
    return str(request.param)


def made(method: str, n_settings: int | None, seed: int, space: Space) -> Sampler:
    """Return the sampler of a method of ours, or that of one of Optuna's."""
    if method in METHODS:
        return make_sampler(method, n_settings, seed)
    if method == "BruteForceSampler" and space.size is None:
        pytest.skip("its space must be finite")
    return make_sampler(OPTUNAS[method](seed, space), n_settings, seed)


def test_these_are_all_samplers_that_optuna_ships() -> None:
    shipped = {name for name in optuna.samplers.__all__ if name.endswith("Sampler") and not name.startswith("Base")}
    assert shipped == {*OPTUNAS, "TPESampler"}  # the last is our "tpe"


def has(method: str, trait: str) -> bool:
    return bool(getattr(METHODS.get(method, OptunaSampler), trait))


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
    assert proposals(made(method, 50, 1, space), space) == proposals(made(method, 50, 1, space), space)


def test_a_limit_cuts_the_stream_and_changes_nothing_before_it(method: str) -> None:
    if has(method, "budgets"):
        pytest.skip("here the limit says how many settings compete")
    assert stream(made(method, 10, 1, MIXED), MIXED) == stream(made(method, 20, 1, MIXED), MIXED)[:10]


@pytest.mark.parametrize("space", [MIXED, FINITE, PARTS])
def test_no_setting_comes_twice_and_places_count_the_settings(method: str, space: Space) -> None:
    found = proposals(made(method, 60, 1, space), space)
    places = {proposal.place: tuple(proposal.setting.items()) for proposal in found}
    numbered = len(places) if method != "grid" else space.grid_size(7)  # of a grid that is cut, any may be left out
    assert places.keys() <= set(range(numbered))
    assert len(places) == numbered or method == "grid"
    assert len(set(places.values())) == len(places) > 5
    assert all(tuple(p.setting.items()) == places[p.place] for p in found)
    seen: dict[int, int] = {}
    for proposal in found:
        assert seen.get(proposal.place, 0) < proposal.epochs <= EPOCHS
        assert has(method, "budgets") or proposal.epochs == EPOCHS
        seen[proposal.place] = proposal.epochs


@pytest.mark.parametrize("space", [MIXED, PARTS])
def test_every_setting_has_what_is_active_and_lies_in_the_space(method: str, space: Space) -> None:
    for setting in stream(made(method, 60, 2, space), space):
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
        sampler = made(method, limit, 0, space)
        count = sampler.count(space, EPOCHS)
        assert count == len(stream(sampler, space)) or (count is None and method in UNKNOWN)


def test_a_finite_space_is_exhausted(method: str) -> None:
    settings = stream(made(method, None, 3, FINITE), FINITE)
    assert {tuple(s.values()) for s in settings} == set(product([16, 32, 64], [True, False], ["relu"]))


def test_the_planned_epochs_are_those_of_the_rounds_where_all_can_be_ranked(method: str) -> None:
    for space, limit in ((FINITE, None), (MIXED, 17)):
        sampler = made(method, limit, 0, space)
        given: dict[int, int] = {}
        for proposal in proposals(sampler, space, scored=lambda proposal: Score(float(proposal.place), 0.0)):
            given[proposal.place] = proposal.epochs
        assert sampler.planned_epochs(space, EPOCHS) in (sum(given.values()), None)
        assert has(method, "budgets") == (sum(given.values()) < len(given) * EPOCHS)


def test_another_seed_draws_other_settings(method: str) -> None:
    if method in ("grid", "refine"):
        pytest.skip("nothing is drawn")
    assert stream(made(method, 9, 0, MIXED), MIXED) != stream(made(method, 9, 1, MIXED), MIXED)


def test_a_method_goes_on_where_nothing_can_be_ranked(method: str) -> None:
    sampler = made(method, 40, 0, MIXED)
    found = proposals(sampler, MIXED, scored=lambda proposal: Score(math.nan, math.nan))
    assert 9 <= len({proposal.place for proposal in found}) <= 40
    assert not has(method, "budgets") or max(proposal.epochs for proposal in found) <= EPOCHS


def test_a_space_of_one_setting_is_searched(method: str) -> None:
    one = Space({"batch_size": 16, "activation": "relu"})
    assert stream(made(method, None, 0, one), one) == [{"batch_size": 16, "activation": "relu"}]


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
