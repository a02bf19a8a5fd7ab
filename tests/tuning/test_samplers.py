"""The laws that every sampler keeps; a new one has to be added to SAMPLERS only."""

from __future__ import annotations

from itertools import chain, islice, product

import pytest

from tuning.samplers import SAMPLERS, Grid, Random, Sampler, make_sampler
from tuning.space import Choice, LogUniform, Space
from tuning.values import Setting

MIXED = Space({"learning_rate": "1e-3:1:log", "momentum": "0:0.9", "batch_size": [16, 32], "hidden_units": "4:64:int"})
FINITE = Space({"batch_size": [16, 32, 64], "nesterov": [True, False], "activation": "relu"})


@pytest.fixture(params=sorted(SAMPLERS))
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def stream(sampler: Sampler, space: Space, n: int = 200) -> list[Setting]:
    return list(islice(chain.from_iterable(sampler.rounds(space)), n))


def test_the_stream_is_the_same_every_time(method: str) -> None:
    assert stream(make_sampler(method, 50, 3, 1), MIXED) == stream(make_sampler(method, 50, 3, 1), MIXED)


def test_a_limit_cuts_the_stream_and_changes_nothing_before_it(method: str) -> None:
    assert stream(make_sampler(method, 10, 3, 1), MIXED) == stream(make_sampler(method, 20, 3, 1), MIXED)[:10]


def test_no_setting_comes_twice(method: str) -> None:
    for space in (MIXED, FINITE):
        settings = [tuple(setting.items()) for setting in stream(make_sampler(method, 100, 3, 1), space)]
        assert len(set(settings)) == len(settings) > 5


def test_every_setting_has_every_name_and_lies_in_the_space(method: str) -> None:
    for setting in stream(make_sampler(method, 60, 4, 2), MIXED):
        assert list(setting) == list(MIXED.parameters)
        for name, parameter in MIXED.parameters.items():
            value = setting[name]
            inside = (
                value in parameter.values if isinstance(parameter, Choice) else parameter.low <= value <= parameter.high
            )  # type: ignore[attr-defined]
            assert inside, (name, value)


def test_the_count_is_that_of_the_stream(method: str) -> None:
    for space, limit in ((FINITE, None), (FINITE, 4), (MIXED, 17)):
        sampler = make_sampler(method, limit, 3, 0)
        assert sampler.count(space) == len(stream(sampler, space))


def test_a_finite_space_is_exhausted(method: str) -> None:
    settings = stream(make_sampler(method, None, 7, 3), FINITE)
    assert {tuple(s.values()) for s in settings} == set(product([16, 32, 64], [True, False], ["relu"]))


def test_grid_covers_exactly_the_product_in_order() -> None:
    space = Space({"learning_rate": LogUniform(1e-3, 1.0), "batch_size": [16, 32], "hidden_units": [8, (4, 4)]})
    expected = product([1e-3, 1e-2, 1e-1, 1.0], [16, 32], [8, (4, 4)])
    assert [tuple(s.values()) for s in stream(Grid(points=4), space)] == list(expected)


def test_random_draws_depend_on_the_seed_and_fill_the_range() -> None:
    one, other = (stream(Random(200, seed=seed), Space({"learning_rate": LogUniform(1e-3, 1.0)})) for seed in (0, 1))
    assert one != other
    below = sum(float(s["learning_rate"]) < 10**-1.5 for s in one)  # type: ignore[arg-type]
    assert 70 < below < 130  # the middle of the logarithms halves them: 100 ± 4 standard deviations of 7


def test_an_unknown_method_suggests_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'random'"):
        make_sampler("randm", None, 7, 0)
