"""The sweep of one who says nothing but the data: what is chosen, and that it is said so that it can be said again."""

from __future__ import annotations

import itertools
import shlex
from pathlib import Path

import numpy as np
import pytest

from nn import Ensemble, load, load_dataset
from tuning import Study, sweep
from tuning.automatic import FOLDS, plan
from tuning.cli import main
from tuning.space import Space

SHORT, BRIEF = 1e-6, 0.003
"""Minutes for which the smallest plan is made, and the smallest with folds for a small table."""
SIZES = list(itertools.product([1, 2, 11, 12, 40, 333, 1000, 12_345, 10**7], [1, 30, 3000]))


def settings(chosen: dict) -> float:
    return chosen["n_trials"] / chosen["repeats"] / (chosen["folds"] or 1)


@pytest.mark.parametrize(("rows", "columns"), SIZES)
def test_every_size_has_a_plan_that_fits_it_and_more_time_never_buys_less(rows: int, columns: int) -> None:
    plans = [plan(rows, columns, minutes) for minutes in (SHORT, 0.04, 0.4, 4, 400)]
    for chosen in plans:
        space = Space(chosen["space"])
        assert all(size == "full" or size <= rows / 3 for size in space.parameters["batch_size"].values)
        assert () in space.parameters["hidden_units"].values
        assert settings(chosen) == int(settings(chosen)) >= 8
        assert chosen["folds"] in (None, FOLDS)
        assert chosen["early_stopping"] < chosen["epochs"]
    for less, more in itertools.pairwise(plans):
        assert more["n_trials"] >= less["n_trials"]
        assert more["space"] == less["space"]
    assert plan(rows, columns) == plan(rows, columns, 0.04)


def test_larger_tables_get_larger_batches_fewer_epochs_and_fewer_settings() -> None:
    plans = [plan(rows, 20) for rows in (500, 5000, 50_000, 5_000_000)]
    for small, large in itertools.pairwise(plans):
        assert large["epochs"] < small["epochs"]
        assert large["n_trials"] < small["n_trials"]
    assert (plans[0]["folds"], plans[-1]["folds"]) == (FOLDS, None)


def test_a_given_validation_part_and_few_groups_are_left_whole(tmp_path: Path) -> None:
    data = load_dataset("iris")
    assert sweep(data.split(), minutes=BRIEF, epochs=2, progress=False).folds is None
    assert sweep(data, minutes=BRIEF, epochs=2, progress=False).folds == FOLDS
    path = tmp_path / "groups.csv"
    path.write_text("\n".join(["x,group,y", *(f"{i % 7},{i % 3},{i % 5}.5" for i in range(60))]) + "\n")
    grouped = sweep(path, target_column="y", split_by="group", minutes=BRIEF, epochs=2)
    assert grouped.folds == 2  # one of the three groups is the test part
    assert sweep(path, target_column="y", split_in_order=True, minutes=BRIEF, epochs=2).folds is None
    other = {"target_column": "y", "validation_file": str(path)}
    assert sweep(path, minutes=BRIEF, epochs=2, **other).folds is None
    path.write_text("\n".join(["x,group,y", *(f"{i % 7},{max(0, i - 50)},{i % 5}.5" for i in range(60))]) + "\n")
    assert sweep(path, target_column="y", split_by="group", minutes=BRIEF, epochs=2).folds is None


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A file with a category, a missing cell and a number to predict."""
    rng = np.random.default_rng(0)
    rows = [
        f"{x:.2f},{'ab'[k]},{3 * x + k:.3f}" for x, k in zip(rng.normal(size=60), rng.integers(0, 2, 60), strict=True)
    ]
    path = tmp_path / "some.csv"
    path.write_text("\n".join(["size,kind,price", *rows, ",a,1.5"]) + "\n")
    return path


def test_what_was_chosen_is_a_command_that_makes_the_same_study(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = ["sweep", str(table), "--target-column", "price", "--minutes", str(SHORT), "--quiet", "--storage"]
    assert main([*nothing, str(table.with_name("a.db"))]) == 0
    printed = capsys.readouterr().out
    command = printed[printed.index("nn-tuning sweep") :].split("\n\n")[0]
    assert "--minutes" not in command
    words = shlex.split(command.replace("\\\n", ""))
    words[words.index("--storage") + 1] = str(table.with_name("b.db"))
    assert main([*words[1:], "--quiet"]) == 0
    capsys.readouterr()
    first, second = Study.open(table.with_name("a.db")), Study.open(table.with_name("b.db"))
    assert first.definition == second.definition
    assert first.limits == second.limits
    assert [trial.metrics for trial in first.trials] == [trial.metrics for trial in second.trials]
    assert main([*nothing, str(table.with_name("b.db"))]) == 0  # and it goes on with what is there
    assert len(Study.open(table.with_name("b.db")).trials) == len(first.trials)


def test_a_rerun_trains_nothing_and_the_model_averages_the_best_settings(table: Path) -> None:
    path = table.with_name("a.db")
    said: list[str] = []
    study = sweep(table, target_column="price", minutes=BRIEF, storage=path, say=said.append)
    assert "some.csv" in said[0]
    assert "nn-tuning sweep" in said[1]
    assert study.new_trials == len(study.trials) == study.planned > 0
    assert sweep(table, target_column="price", minutes=BRIEF, storage=path).new_trials == 0
    assert main(["test", str(path), "--save", str(table.with_name("best.npz"))]) == 0
    model = load(table.with_name("best.npz"))
    assert isinstance(model, Ensemble)
    assert len(model.runs) == len(study.members()) * FOLDS > FOLDS
    ranks = [summary.params for summary in study.summaries()[: study.definition.ensemble]]
    assert [member.setting for member in study.members()] == ranks
    assert (
        main(["predict", str(table.with_name("best.npz")), str(table), "--output", str(table.with_name("p.csv"))]) == 0
    )
    written = np.loadtxt(table.with_name("p.csv"), skiprows=1)
    np.testing.assert_allclose(written, study.final_run().predict(load_dataset(table, target_column="price")))


def test_what_is_given_goes_before_what_is_planned() -> None:
    study = sweep("iris", epochs=7, folds=2, minutes=SHORT, ensemble=1)
    d = study.definition
    assert (d.epochs, d.folds, d.ensemble, d.metric) == (7, 2, 1, "validation_loss")
    assert len(study.members()) == 1


def test_minutes_are_for_a_sweep_without_a_space() -> None:
    with pytest.raises(ValueError, match=r"^minutes must be left out .* timeout=60"):
        sweep("iris", {"learning_rate": [0.1]}, minutes=1)
