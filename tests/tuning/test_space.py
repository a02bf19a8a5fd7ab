from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning.space import Choice, IntUniform, LogUniform, Parameter, Space, Uniform, parse

finite = st.floats(-1e300, 1e300)
positive = st.floats(1e-300, 1e300)
names = st.from_regex(r"[a-z][a-z_]{2,8}", fullmatch=True).filter(
    lambda s: s not in ("true", "none", "false", "nan", "inf", "infinity")
)
values = st.one_of(
    st.integers(-(2**63) + 1, 2**63 - 1), finite, st.booleans(), st.none(), names,
    st.lists(st.integers(1, 10**6), min_size=2, max_size=4).map(tuple), st.just(()),
)  # fmt: skip


def ordered(numbers: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(numbers, numbers).filter(lambda ends: ends[0] < ends[1])


parameters = st.one_of(
    ordered(positive).map(lambda ends: LogUniform(*ends)),
    ordered(finite).map(lambda ends: Uniform(*ends)),
    ordered(st.integers(-(10**15), 10**15)).map(lambda ends: IntUniform(*ends)),
    st.lists(values, min_size=1, max_size=5).filter(lambda v: all(x not in v[:i] for i, x in enumerate(v))).map(Choice),
)


def exact(parameter: Parameter) -> str:
    """The parameter with the types of its values, which equality overlooks: 1 == 1.0 == True."""
    return repr(parameter)


@given(parameters)
def test_text_is_read_back_as_the_same_parameter(parameter: Parameter) -> None:
    assert exact(parse(str(parameter))) == exact(parameter)


@given(parameters, st.floats(0, 1))
def test_every_value_lies_in_its_parameter(parameter: Parameter, u: float) -> None:
    value = parameter.at(u)
    if isinstance(parameter, Choice):
        assert value in parameter.values
    else:
        assert parameter.low <= value <= parameter.high  # type: ignore[attr-defined]


@given(ordered(st.floats(1e-9, 1e9)).filter(lambda e: e[1] > 1.001 * e[0]), st.integers(2, 30))
def test_grid_has_exact_ends_and_equal_ratios(ends: tuple[float, float], points: int) -> None:
    grid: Any = LogUniform(*ends).grid(points)
    assert (grid[0], grid[-1]) == ends
    assert len(grid) == points
    ratios = [math.log(b / a) for a, b in pairwise(grid)]
    assert ratios == pytest.approx([math.log(ends[1] / ends[0]) / (points - 1)] * (points - 1), rel=1e-5)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("1e-3:1:log", LogUniform(1e-3, 1.0)),
        ("0:0.9", Uniform(0.0, 0.9)),
        ("8:64:int", IntUniform(8, 64)),
        ("16,32,64", Choice([16, 32, 64])),
        ("64x32", Choice([(64, 32)])),
        ("relu, tanh", Choice(["relu", "tanh"])),
        ("true,none,()", Choice([True, None, ()])),
    ],
)
def test_texts_mean_what_the_help_says(text: str, meaning: Parameter) -> None:
    assert exact(parse(text)) == exact(meaning)


def test_a_list_is_a_choice_and_a_plain_value_a_constant() -> None:
    space = Space({"batch_size": [16, 32], "hidden_units": (8, (4, 4)), "momentum": 0.9, "activation": "relu,tanh"})
    assert space.texts() == {
        "batch_size": "16,32",
        "hidden_units": "8,4x4",
        "momentum": "0.9",
        "activation": "relu,tanh",
    }
    assert (space.dimensions, space.size) == (3, 8)


@pytest.mark.parametrize(
    ("make", "law"),
    [
        (lambda: LogUniform(1.0, 1e-3), "low must be below high"),
        (lambda: LogUniform(0.0, 1.0), "low must be a finite number > 0"),
        (lambda: LogUniform(1e-3, math.inf), "high must be a finite number"),
        (lambda: Uniform(math.nan, 1.0), "low must be a finite number"),
        (lambda: Uniform(-1.7e308, 1.7e308), "high - low must be a finite number"),
        (lambda: Uniform(0.5, 0.5), "write the value 0.5 alone"),
        (lambda: IntUniform(1.5, 3), "low must be an integer"),
        (lambda: Choice([]), "at least one value"),
        (lambda: Choice([16, 16.0]), "comes twice"),
        (lambda: Choice([math.nan]), "finite"),
        (lambda: Choice(["16"]), "must be a name"),
        (lambda: Choice([object()]), "a value must be"),
        (lambda: Space({}), "at least one parameter"),
        (lambda: Space({"learning_rate": "1:2:lg"}), "learning_rate: a range must be"),
        (lambda: Space({"learning_rate": ""}), "learning_rate: a value must be"),
        (lambda: Space({"learning_rate": "1e-3:1:log,2"}), "learning_rate: a range must be"),
        (lambda: Space({"batch_size": "8:6x:int"}), "two whole numbers"),
        (lambda: Space([("a", 1)]), "must be a dict"),  # type: ignore[arg-type]
    ],
)
def test_what_can_not_be_a_space_is_refused_with_its_law(make: Any, law: str) -> None:
    with pytest.raises((ValueError, TypeError), match=law):
        make()


@given(st.text(max_size=20))
def test_any_text_is_a_parameter_or_one_clear_line(text: str) -> None:
    try:
        parameter = parse(text)
    except ValueError as error:
        assert "must" in str(error)  # noqa: PT017
    else:
        assert exact(parse(str(parameter))) == exact(parameter)
