from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning.space import Choice, IntUniform, LogUniform, Parameter, Space, Uniform
from tuning.space.spaces import parse

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


flat_parameters = st.one_of(
    ordered(positive).map(lambda ends: LogUniform(*ends)),
    ordered(finite).map(lambda ends: Uniform(*ends)),
    ordered(st.integers(-(10**15), 10**15)).map(lambda ends: IntUniform(*ends)),
    ordered(st.integers(1, 10**15)).map(lambda ends: IntUniform(*ends, log=True)),
    st.lists(values, min_size=1, max_size=5).filter(lambda v: all(x not in v[:i] for i, x in enumerate(v))).map(Choice),
)

part = st.dictionaries(names, flat_parameters, max_size=3)
parameters = st.one_of(
    flat_parameters,
    st.dictionaries(names, part, min_size=1, max_size=3).map(Choice),
    st.dictionaries(names, st.one_of(part, st.fixed_dictionaries({"q": st.dictionaries(names, part, min_size=1)})),
                    min_size=1, max_size=2).map(Choice),
)  # fmt: skip


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
        ("8:64:log:int", IntUniform(8, 64, log=True)),
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
        (lambda: Choice(["1:16"]), "a range must stand alone, outside of any list"),
        (lambda: Choice(["a b"]), "a value must be"),
        (lambda: Space({"hidden_units": "32,32"}), "^hidden_units: .* comes twice; join .* by x, as in 32x32"),
        (lambda: Space({"learning_rate": (1e-3, 1)}), r"write LogUniform\(0.001, 1\) or \[0.001, 1\]"),
        (lambda: Space({"dropout": (0, 0.5)}), r"write Uniform\(0, 0.5\) or \[0, 0.5\]"),
        (lambda: Space({"batch_size": (8, 64)}), r"write IntUniform\(8, 64\) or \[8, 64\]"),
        (lambda: Space({"activation": ["sigmoid", "logistic"]}), "sigmoid, logistic has one twice"),
        (lambda: Space({"hidden_units": "4.5:64"}), "ends of a range of whole numbers must be whole, but got 4.5:64"),
        (lambda: IntUniform(0, 8, log=True), "low must be at least 1"),
        (lambda: IntUniform(1, 8, log="yes"), "log must be True or False"),  # type: ignore[arg-type]
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


NESTED = {
    "optimizer": {
        "sgd": {"momentum": "0:0.9", "schedule": {"none": {}, "step": {"schedule_every": [5, 10]}}},
        "adam": {},
    },
    "hidden_units": "8,4x4",
}


def test_parts_exist_only_where_their_value_is_chosen() -> None:
    space = Space(NESTED)
    settings = list(space.grid(2))
    assert len(settings) == space.grid_size(2) == (2 * 3 + 1) * 2
    assert len({tuple(setting.items()) for setting in settings}) == len(settings)
    for setting in settings:
        assert ("momentum" in setting) == ("schedule" in setting) == (setting["optimizer"] == "sgd")
        assert ("schedule_every" in setting) == (setting.get("schedule") == "step")
        assert list(space.active(setting)) == list(setting)
    assert space.size is None
    assert Space({"optimizer": {"sgd": {"nesterov": [True, False]}, "adam": {}}, "batch_size": [8, 16]}).size == 6


@given(st.lists(st.floats(0, 1), min_size=5, max_size=5))
def test_every_point_of_the_cube_is_a_setting_of_its_branch(u: list[float]) -> None:
    space = Space(NESTED)
    assert space.dimensions == 5
    setting = space.at(u)
    assert list(setting) == list(space.active(setting))
    assert setting == space.at(u)


def test_parts_are_written_in_python_in_a_text_and_in_tables_alike() -> None:
    text = "sgd(momentum=0:0.9; nesterov=true,false),adam"
    branches = {"sgd": {"momentum": Uniform(0, 0.9), "nesterov": [True, False]}, "adam": {}}
    assert parse(text) == Choice(branches)
    assert str(Choice(branches)) == text
    assert Space({"optimizer": text}) == Space({"optimizer": branches})
    assert exact(parse(" none , cosine( schedule_final = 0:0.5 ) ,()(x=1)")) == exact(
        Choice({None: {}, "cosine": {"schedule_final": "0:0.5"}, (): {"x": 1}})
    )
    space = Space(NESTED)
    assert Space(space.texts()) == space
    assert hash(Space(space.texts())) == hash(space)


def test_a_flat_space_has_one_variant_and_a_nested_one_for_each_way_it_can_fall() -> None:
    flat = Space({"batch_size": [8, 16], "momentum": "0:0.9"})
    assert list(flat.variants()) == [flat.parameters]
    assert [list(variant) for variant in Space(NESTED).variants()] == [
        ["optimizer", "momentum", "schedule", "hidden_units"],
        ["optimizer", "momentum", "schedule", "schedule_every", "hidden_units"],
        ["optimizer", "hidden_units"],
    ]


@pytest.mark.parametrize(
    ("make", "law"),
    [
        (lambda: Space({"momentum": 0.5, "optimizer": {"sgd": {"momentum": 0.9}}}), "momentum must stand beside"),
        (lambda: Space({"a": {"x": {"m": 1}}, "b": {"y": {"m": 2}}}), "given by a and by b"),
        (lambda: parse("sgd(momentum=0:0.9"), "parentheses must match"),
        (lambda: parse("sgd)"), "parentheses must match"),
        (lambda: parse("a(" * 9 + "b=1" + ")" * 9), "parentheses must match and be 8 deep"),
        (lambda: parse("sgd(momentum)"), "a part must be name=values"),
        (lambda: parse("sgd(a=1; a=2)"), "must name each parameter once"),
        (lambda: parse("sgd(a=1),sgd"), "comes twice"),
        (lambda: parse("sgd(momentum=1:0)"), "momentum: low must be below high"),
        (lambda: Space({"optimizer": {"sgd": {"momentum": "1:0"}}}), "^optimizer: momentum: low must be below high"),
        (lambda: Choice({"sgd": 3}), "the part of sgd must be a dict"),
        (lambda: Choice({}), "at least one value"),
    ],
)
def test_what_can_not_be_a_part_is_refused_with_its_law(make: Any, law: str) -> None:
    with pytest.raises((ValueError, TypeError), match=law):
        make()


class Counted(str):
    """A name that counts with how many others it is compared."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return str.__eq__(self, other)

    def __hash__(self) -> int:
        return str.__hash__(self)


def test_a_choice_compares_each_value_with_few_others() -> None:
    names = [Counted(f"name{i}") for i in range(5000)]
    choice = Choice({name: {"momentum": [0.0, 0.9]} for name in names})
    assert choice.part("name4999") is not None
    assert Counted.compared < 20 * len(names)


@pytest.mark.parametrize("values", [[1, True], [0, False], [2, 2.0], [0.0, -0.0], [(8,), 8], ["relu", "tanh", "relu"]])
def test_values_that_are_equal_are_refused_whatever_their_types(values: list[Any]) -> None:
    with pytest.raises(ValueError, match=r"values of a choice must be different, but .* comes twice"):
        Choice(values)


@pytest.mark.parametrize(
    ("name", "given", "way_out"),
    [
        ("learning_rate", "0.1 0.2", "try '1e-3:1:log'"),
        ("learning_rate", {0.1, 0.2}, "try '1e-3:1:log'"),
        ("learning_rate", [[0.1, 0.2]], "try '1e-3:1:log'"),
        ("learning_rate", "-3:0:log", "values, not exponents, and above 0"),
        ("optimizer", object(), "try 'sgd,adam'"),
        ("hidden_units", "8X8", "join several hidden layers by x, as in 32x32"),
        ("hidden_units", ["64,32"], "join several hidden layers by x, as in 32x32"),
    ],
)
def test_what_is_no_parameter_is_shown_what_is_one(name: str, given: Any, way_out: str) -> None:
    with pytest.raises((ValueError, TypeError), match=f"^{name}: .*; .*{way_out}"):
        Space({name: given})
