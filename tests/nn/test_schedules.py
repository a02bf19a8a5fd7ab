"""Schedules against their equations written in another way, and what they promise to `train`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nn import MLP, SGD, Dataset, schedules, train
from nn.schedules import SCHEDULES, Constant, Cosine, Exponential, OneCycle, Ramp, Schedule, Step, Triangular, Warmup

rates = st.floats(1e-6, 10)
lengths = st.integers(1, 500)
shares = st.floats(0, 1)
above_zero = st.floats(1e-4, 1)

# Every kind, with all that it takes; the rate is never above `learning_rate`.
PARTS: dict[type[Schedule], st.SearchStrategy[Schedule]] = {
    Constant: st.builds(Constant, rates, lengths),
    Step: st.builds(Step, rates, lengths, every=lengths, factor=above_zero),
    Exponential: st.builds(Exponential, rates, lengths, final=above_zero),
    Cosine: st.builds(Cosine, rates, lengths, final=shares),
    OneCycle: st.builds(
        OneCycle, rates, lengths, rise=st.floats(0.01, 0.99), start=st.floats(1, 100), end=st.floats(1, 1e5)
    ),
    Triangular: st.builds(Triangular, rates, lengths, half=lengths, low=shares),
}
EVERY = {
    **PARTS,
    Warmup: st.builds(Warmup, rates, lengths, warmup=lengths, then=st.sampled_from([Constant(), Cosine()])),
    Ramp: rates.flatmap(
        lambda top: st.builds(Ramp, st.floats(1e-7, top), lengths, final=st.just(top), linear=st.booleans())
    ),
}
any_schedule = st.one_of(*EVERY.values())


def top(schedule: Schedule) -> float:
    assert schedule.learning_rate is not None
    return schedule.final if isinstance(schedule, Ramp) else schedule.learning_rate


def test_every_schedule_has_a_name_and_is_tested() -> None:
    assert set(SCHEDULES.values()) == set(EVERY)
    own = {c for c in vars(schedules).values() if isinstance(c, type) and issubclass(c, Schedule) and c is not Schedule}
    assert own == set(EVERY)


@settings(max_examples=200, deadline=None)
@given(any_schedule, st.lists(st.integers(0, 1200), min_size=1, max_size=40))
def test_rates_lie_between_0_and_the_peak(schedule: Schedule, steps: list[int]) -> None:
    values = schedule(steps)
    assert values.shape == (len(steps),)
    assert values.dtype == np.float64
    assert (values >= 0).all()
    assert (values <= top(schedule) * (1 + 1e-12)).all()


@settings(max_examples=200, deadline=None)
@given(any_schedule, st.lists(st.integers(0, 1200), min_size=1, max_size=40))
def test_one_step_at_a_time_gives_the_same_bits_as_all_at_once(schedule: Schedule, steps: list[int]) -> None:
    one_by_one = [schedule(step) for step in steps]
    assert all(type(value) is float for value in one_by_one)
    np.testing.assert_array_equal(schedule(steps), one_by_one)
    np.testing.assert_array_equal(schedule(np.arange(1201))[steps], one_by_one)


@settings(max_examples=100, deadline=None)
@given(any_schedule)
def test_a_schedule_holds_its_last_value(schedule: Schedule) -> None:
    if schedule.takes_length:
        assert schedule.steps is not None
        ends = schedule([schedule.steps + 500, schedule.steps + 501, 10**9])
        assert ends[0] == ends[1] == ends[2]


@settings(max_examples=100, deadline=None)
@given(any_schedule, st.integers(1, 300))
def test_resolving_fills_in_what_was_left_out_and_nothing_else(schedule: Schedule, steps: int) -> None:
    assert schedule.resolve(123.0, 456)(np.arange(50)).tolist() == schedule(np.arange(50)).tolist()
    if isinstance(schedule, Ramp):
        return
    options = {
        name: getattr(schedule, name)
        for name in schedule.__dataclass_fields__
        if name not in ("learning_rate", "steps")
    }
    bare = type(schedule)(**options)
    assert bare.learning_rate is None
    assert bare.steps is None
    filled = bare.resolve(schedule.learning_rate or 0, schedule.steps or 0)
    assert (filled.learning_rate, filled.steps) == (schedule.learning_rate, schedule.steps)
    np.testing.assert_array_equal(filled(np.arange(600)), schedule(np.arange(600)))


# -- the equations ---------------------------------------------------------------------------------------------


def assert_follows(schedule: Schedule, by_hand: Any, steps: int = 60) -> None:
    np.testing.assert_allclose(schedule(np.arange(steps)), [by_hand(t) for t in range(steps)], rtol=1e-12, atol=1e-15)


def test_constant() -> None:
    assert_follows(Constant(0.3), lambda t: 0.3)


def test_step_multiplies_by_its_factor_again_and_again() -> None:
    value, seen = 2.0, []
    for t in range(60):
        if t and t % 7 == 0:
            value *= 0.3
        seen.append(value)
    assert_follows(Step(2.0, every=7, factor=0.3), seen.__getitem__)


def test_exponential_falls_by_the_same_factor_each_step() -> None:
    each = 0.02 ** (1 / 40)
    assert_follows(Exponential(2.0, 40, final=0.02), lambda t: 2.0 * each ** min(t, 40))


def test_cosine_is_the_square_of_a_half_cosine() -> None:
    """(1 + cos x)/2 = cos²(x/2)."""
    assert_follows(Cosine(2.0, 40), lambda t: 2.0 * math.cos(math.pi * min(t, 40) / 80) ** 2)
    assert_follows(Cosine(2.0, 40, final=0.1), lambda t: 0.2 + 1.8 * math.cos(math.pi * min(t, 40) / 80) ** 2)


def test_warmup_rises_in_a_line_and_then_does_what_is_next() -> None:
    assert_follows(Warmup(2.0, warmup=8), lambda t: 2.0 * min(1, (t + 1) / 8))
    after = Cosine(2.0, 32)
    assert_follows(Warmup(2.0, 40, warmup=8, then=Cosine()), lambda t: 2.0 * (t + 1) / 8 if t < 8 else after(t - 8))
    own = Warmup(2.0, warmup=8, then=Cosine(0.5, 20))
    assert_follows(own, lambda t: 2.0 * (t + 1) / 8 if t < 8 else Cosine(0.5, 20)(t - 8))
    assert_follows(own.resolve(9.0, 999), own)


def test_one_cycle_goes_up_and_down_along_cosines() -> None:
    def by_hand(t: int) -> float:
        if t < 12:
            return 0.08 + (2.0 - 0.08) * math.sin(math.pi * t / 24) ** 2
        low = 0.08 / 1e4
        return low + (2.0 - low) * math.cos(math.pi * (min(t, 40) - 12) / 56) ** 2

    cycle = OneCycle(2.0, 40)
    assert_follows(cycle, by_hand)
    assert cycle(0) == 0.08
    assert cycle(12) == 2.0
    assert cycle(40) == pytest.approx(8e-6)


def test_one_cycle_is_that_of_pytorch() -> None:
    """`torch.optim.lr_scheduler.OneCycleLR(max_lr=2, total_steps=41, pct_start=13/41)` peaks at step 12, ends at 40."""
    recorded = {
        0: 0.08, 1: 0.11271120676249469, 4: 0.56, 6: 1.04, 9: 1.7188225099390855, 12: 2.0, 13: 1.9937122350444032,
        20: 1.6234913078995261, 26: 1.000004, 33: 0.2929000472405773, 40: 8e-06,
    }  # fmt: skip
    for step, value in recorded.items():
        assert OneCycle(2.0, 40)(step) == pytest.approx(value, rel=1e-12)


def test_triangular_bounces_between_its_bounds() -> None:
    value, way, seen = 0.5, 1, []
    for t in range(60):
        seen.append(value)
        way = 1 if (t // 10) % 2 == 0 else -1
        value += way * 0.15
    assert_follows(Triangular(2.0, half=10, low=0.25), seen.__getitem__)


def test_a_ramp_reaches_its_end_with_the_last_step() -> None:
    assert_follows(Ramp(1e-3, 31, final=1.0), lambda t: 10 ** (-3 + min(t, 30) / 10))
    assert_follows(Ramp(1.0, 31, final=4.0, linear=True), lambda t: 1 + min(t, 30) / 10)
    falling = Ramp(1.0, 31, final=0.01)(np.arange(31))
    assert (np.diff(falling) < 0).all()
    assert falling[-1] == pytest.approx(0.01)
    assert Ramp(1e-3, 1, final=1.0)(0) == 1e-3


# -- how they read, and what they refuse -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        (Cosine(), "Cosine()"),
        (Cosine(0.1, 100, final=0.1), "Cosine(learning_rate=0.1, steps=100, final=0.1)"),
        (Warmup(warmup=5, then=Cosine()), "Warmup(warmup=5, then=Cosine())"),
        (Ramp(final=1, linear=True), "Ramp(final=1.0, linear=True)"),
    ],
)
def test_a_schedule_reads_as_what_makes_it(schedule: Schedule, text: str) -> None:
    assert repr(schedule) == text


@pytest.mark.parametrize(
    ("schedule", "missing"),
    [(Cosine(), "learning_rate and steps"), (Cosine(0.1), "steps"), (Step(), "learning_rate"), (Ramp(0.1), "steps")],
)
def test_a_schedule_called_by_itself_needs_rate_and_length(schedule: Schedule, missing: str) -> None:
    with pytest.raises(ValueError, match=rf"^a schedule called by itself must have its {missing}, but got") as seen:
        schedule(3)
    assert "\n" not in str(seen.value)


@pytest.mark.parametrize(
    ("schedule", "needs"),
    [
        (Warmup(warmup=3), False),
        (Warmup(warmup=3, then=Cosine()), True),
        (Warmup(warmup=3, then=Cosine(steps=9)), False),
        (Triangular(), False),
        (Exponential(), True),
    ],
)
def test_whether_the_length_matters_is_known(schedule: Schedule, needs: bool) -> None:
    assert schedule.takes_length == needs
    short, long = (schedule.resolve(1.0, steps)(np.arange(30)).tolist() for steps in (20, 300))
    assert (short != long) == needs


def test_a_run_with_a_schedule_that_is_fixed_can_go_on_further() -> None:
    data = Dataset(np.arange(8.0)[:, None], np.arange(8.0) + 0.5)
    options: dict[str, Any] = {"batch_size": 4, "schedule": Warmup(warmup=3, then=Cosine(steps=9))}
    first = train(MLP((1, 1)), data, SGD(0.01), epochs=2, **options)
    more = train(MLP((1, 1)), data, SGD(0.01), epochs=5, resume=first.state, **options)
    np.testing.assert_array_equal(more.theta, train(MLP((1, 1)), data, SGD(0.01), epochs=5, **options).theta)


BAD: list[tuple[Any, dict[str, Any], str]] = [
    *((Cosine, {"learning_rate": value}, "learning_rate") for value in (0, -1, math.nan, math.inf, "0.1", True)),
    *((Cosine, {"steps": value}, "steps") for value in (0, -1, 1.5, math.nan, "9", True)),
    *((Step, {"every": value}, "every") for value in (0, 2.5, None)),
    *((Step, {"factor": value}, "factor") for value in (0, -1, math.nan)),
    *((Exponential, {"final": value}, "final") for value in (0, -1, math.inf)),
    *((Cosine, {"final": value}, "final") for value in (-0.1, math.nan)),
    *((Warmup, {"warmup": value}, "warmup") for value in (0, 1.5)),
    *((Warmup, {"then": value}, "then") for value in ("cosine", None, 0.1, Cosine)),
    *((OneCycle, {"rise": value}, "rise") for value in (0, 1, math.nan)),
    *((OneCycle, {name: value}, name) for name in ("start", "end") for value in (0, 0.9, math.inf)),
    *((Triangular, {"half": value}, "half") for value in (0, -3)),
    *((Triangular, {"low": value}, "low") for value in (-0.1, 1.1)),
    *((Ramp, {"final": value}, "final") for value in (0, -1, math.nan)),
]


@pytest.mark.parametrize(("kind", "options", "name"), BAD)
def test_what_does_not_fit_is_refused_in_one_line(kind: Any, options: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name} must be .*but got") as seen:
        kind(**options)
    assert "\n" not in str(seen.value)


def test_a_schedule_of_ones_own_without_a_formula_is_refused_in_one_line() -> None:
    class Mine(Schedule):
        pass

    with pytest.raises(
        TypeError, match=r"^a schedule must be one of constant, .* function of the step, .* but Mine says"
    ):
        train(MLP((1, 1)), Dataset([[0.0], [1.0]], [0.0, 1.0], task="regression"), schedule=Mine())
