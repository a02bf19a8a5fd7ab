"""The benchmark's plumbing, on next to no work: rows, goals, turns, medians, JSON, and peers that are missing."""

from __future__ import annotations

import importlib
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts" / "benchmarks"
PEERS = ("sklearn", "torch", "jax", "joblib", "threadpoolctl")


@pytest.fixture(scope="module")
def bench() -> Iterator[SimpleNamespace]:
    """The script and its parts, imported as `python scripts/benchmarks/benchmark.py` does."""
    sys.path.insert(0, str(SCRIPTS))
    try:
        parts = {name: importlib.import_module(f"rows.{name}") for name in ("measuring", "peers", "trainings")}
        parts |= {name: importlib.import_module(f"rows.{name}") for name in ("searches", "overheads", "growth")}
        yield SimpleNamespace(script=importlib.import_module("benchmark"), **parts)
    finally:
        sys.path.remove(str(SCRIPTS))
        for name in [name for name in sys.modules if name.partition(".")[0] in ("benchmark", "rows")]:
            del sys.modules[name]


@pytest.fixture
def tiny(bench: SimpleNamespace) -> Any:
    return bench.measuring.Effort(
        rounds=2, slow_rounds=1, least=0.0, seeds=2, slow_seeds=1, epochs=1, trials=20, size=0.001, compiled=False
    )


@pytest.fixture
def no_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that the extra `bench` brings can be imported."""
    for name in list(sys.modules):
        if name.partition(".")[0] in PEERS:
            monkeypatch.setitem(sys.modules, name, None)
    for name in (*PEERS, "sklearn.neural_network", "sklearn.model_selection"):
        monkeypatch.setitem(sys.modules, name, None)


def run(bench: SimpleNamespace, effort: Any, capsys: pytest.CaptureFixture[str], *given: str) -> tuple[int, str]:
    status = bench.script.main(list(given), effort)
    return status, capsys.readouterr().out


def a_row(bench: SimpleNamespace, measure: Any, bound: float = 2.0, at_least: bool = True) -> Any:
    goal = bench.measuring.Goal("it", "a figure", bound, "x", at_least)
    return bench.measuring.Row("row", "a row", (goal,), measure)


# -- rows and goals --------------------------------------------------------------------------------------------


def test_every_row_of_the_table_is_there_with_its_goals(bench: SimpleNamespace) -> None:
    seen = {row.name: [(goal.bound, goal.at_least) for goal in row.goals] for row in bench.script.ROWS.values()}
    assert seen == {
        "sweep": [(40, True)],
        "training": [(28, True), (50, True), (4, True)],
        "regression-and-adam": [(15, True), (15, True)],
        "peak": [(0.50, True), (0.65, True), (0.80, True)],
        "threads": [(1.9, True)],
        "halving": [(60, True)],
        "coordination": [(50, False)],
        "start": [(8, False), (0.7, False)],
        "memory": [(50, False), (50, False)],
        "growth": [(1.1, False)] * 4,
    }


def test_list_names_every_row_and_measures_none(
    bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench.script, "measure", lambda *_: pytest.fail("it measured"))
    status, said = run(bench, None, capsys, "--list")
    assert status == 0
    assert [line.split()[0] for line in said.splitlines()] == list(bench.script.ROWS)


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (["--row", "swep"], "swep"),
        (["--json", "/nowhere/at/all.json"], "the folder of a file to write must exist"),
        (["--row", "peak", "--plot", "x.png"], "--plot is of row growth"),
    ],
)
def test_a_wrong_argument_is_refused_before_anything_is_measured(
    bench: SimpleNamespace,
    given: list[str],
    part: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(bench.script, "measure", lambda *_: pytest.fail("it measured"))
    with pytest.raises(SystemExit) as ended:
        bench.script.main(given)
    assert ended.value.code == 2
    assert part in capsys.readouterr().err


def test_a_figure_is_never_rounded_across_its_bound(bench: SimpleNamespace) -> None:
    goal = bench.measuring.Goal
    assert bench.script.seen_text(goal("x", "x", 1.9, "x", True), 1.8997) == "1.8997x"
    assert bench.script.seen_text(goal("x", "x", 0.7, "s"), 0.7004) == "0.7004 s"
    assert bench.script.seen_text(goal("x", "x", 40, "x", True), 131.7) == "132x"
    assert bench.script.seen_text(goal("x", "x", 8, "s"), 12.345) == "12.3 s"


def test_nan_reaches_no_goal(bench: SimpleNamespace) -> None:
    for at_least in (True, False):
        assert not bench.measuring.Goal("x", "x", 1.0, "", at_least).reached(math.nan)


def test_a_row_that_fails_is_named_with_its_reason_and_the_others_go_on(
    bench: SimpleNamespace, tiny: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(effort: Any) -> Any:
        raise RuntimeError("no such luck")

    def works(effort: Any) -> Any:
        return bench.measuring.Outcome(figures={"it": 3.0})

    rows = {"bad": a_row(bench, breaks), "good": a_row(bench, works)}
    monkeypatch.setattr(bench.script, "ROWS", rows)
    status, said = run(bench, tiny, capsys)
    assert status == 1
    assert "row, a figure: not measured: RuntimeError: no such luck" in said
    assert [line.split()[-1] for line in said.splitlines() if "a figure  ≥ 2x" in line] == ["measured", "yes"]


# -- time ------------------------------------------------------------------------------------------------------


def test_contestants_take_turns_and_every_second_round_goes_backwards(bench: SimpleNamespace) -> None:
    called: list[str] = []
    seconds = bench.measuring.in_turn({name: (lambda name=name: called.append(name)) for name in "abc"}, 3)
    assert "".join(called) == "abccbaabc"
    assert {name: len(times) for name, times in seconds.items()} == {"a": 3, "b": 3, "c": 3}


def test_a_measurement_lasts_at_least_so_long_and_gives_the_seconds_of_one_call(
    bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, calls = 0.0, 0

    def call() -> None:
        nonlocal now, calls
        now, calls = now + 0.25, calls + 1

    monkeypatch.setattr(bench.measuring.time, "perf_counter", lambda: now)
    assert bench.measuring.in_turn({"x": call}, 2, least=1.0) == {"x": [0.25, 0.25]}
    assert calls == 8


def test_a_ratio_is_the_median_of_the_rounds_own_ratios(bench: SimpleNamespace) -> None:
    seconds = {bench.measuring.OURS: [1.0, 2.0, 1.0], "peer": [10.0, 14.0, 90.0]}
    assert bench.measuring.ratio(seconds, "peer") == 10.0


def test_scores_are_equal_within_the_spread_of_seeds_only(bench: SimpleNamespace) -> None:
    unequal = bench.measuring.unequal
    assert unequal([0.95, 0.96, 0.97], [0.94, 0.95, 0.96], 0.001) is None
    assert "final scores must be equal" in unequal([0.95, 0.96, 0.97], [0.90, 0.91, 0.92], 0.001)
    assert unequal([0.95, 0.95], [0.951, 0.951], 0.003) is None
    assert unequal([0.95, 0.96], [0.96], 0.003) is None
    assert unequal([0.95, 0.96], [math.nan, 0.95], 0.003) is not None


# -- contests --------------------------------------------------------------------------------------------------


def test_a_peer_that_learns_something_else_is_not_timed(bench: SimpleNamespace, tiny: Any) -> None:
    def guesses(work: Any) -> Any:
        return lambda seed: lambda rows: np.zeros(len(rows), int)

    work = bench.peers.digits_work(5)
    outcome = bench.trainings.contest(work, {"same": bench.peers.ours, "guesses": guesses}, tiny)
    assert list(outcome.seconds) == [bench.measuring.OURS, "same"]
    assert outcome.scores[bench.measuring.OURS] == outcome.scores["same"]
    assert "final scores must be equal" in outcome.missing["guesses"]


@pytest.mark.usefixtures("no_peers")
def test_peers_that_are_missing_are_named_and_what_needs_none_is_measured(
    bench: SimpleNamespace, tiny: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "all.json"
    names = ["training", "regression-and-adam", "sweep", "threads", "peak", "coordination"]
    status, said = run(bench, tiny, capsys, *(f"--row={name}" for name in names), "--json", str(path))
    assert status == 1
    for package in ("scikit-learn", "torch", "jax", "threadpoolctl"):
        assert f"{package} is not installed; pip install {package}" in said
    record = json.loads(path.read_text())
    rows = {row["row"]: row for row in record["rows"]}
    assert sorted(rows) == sorted(names)
    assert [figure["not_measured"] for figure in rows["training"]["figures"]] == [
        f"{name} is not installed; pip install {name}" for name in ("scikit-learn", "torch", "jax")
    ]
    assert len(rows["training"]["seconds"]["nn-tuning"]) == tiny.rounds
    assert rows["coordination"]["figures"][0]["seen"] > 0
    assert rows["coordination"]["figures"][0]["goal"] == 50
    assert {"date", "processor", "cores", "python", "versions", "load", "load_at_end"} <= record.keys()


def test_json_holds_null_where_a_number_is_not_one(bench: SimpleNamespace) -> None:
    outcome = bench.measuring.Outcome(figures={"it": math.inf}, scores={"x": [math.nan, 1.0]})
    record = bench.script.record({}, {a_row(bench, None): outcome})
    assert json.loads(json.dumps(record, allow_nan=False))["rows"][0]["scores"] == {"x": [None, 1.0]}


def test_useful_multiplications_are_counted_once(bench: SimpleNamespace) -> None:
    assert bench.trainings.multiplications((64, 32, 10)) == 2 * (64 * 32 + 32 * 10) + 32 * 10
    assert bench.trainings.multiplications((5, 3)) == 2 * 5 * 3


def test_the_exponent_of_a_power_law_is_found(bench: SimpleNamespace) -> None:
    work = [1.0, 2.0, 4.0, 8.0]
    assert bench.growth.exponent(work, [3 * x**1.5 for x in work]) == pytest.approx(1.5)


def test_growth_has_a_table_of_every_axis(
    bench: SimpleNamespace, tiny: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.growth, "LEAST_WORK", 0.0)
    monkeypatch.setattr(bench.growth, "EPOCHS_OF_A_TRIAL", 1)
    for name, values in (("EXAMPLES", (64, 128)), ("WIDTHS", (4, 8)), ("DEPTHS", (1, 2)), ("TRIALS", (1, 2))):
        monkeypatch.setattr(bench.growth, name, values)
    status, said = run(bench, tiny, capsys, "--row", "growth")
    assert status == 0
    points = [line.split()[:2] for line in said.splitlines() if line.startswith("  ") and line.split()[-1][0].isdigit()]
    assert [axis for axis, _ in points if axis in ("examples", "width", "depth", "trials")] == [
        axis for axis in ("examples", "width", "depth", "trials") for _ in range(2)
    ]
