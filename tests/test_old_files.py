"""Files that version 0.1.0 wrote, before its modules had rooms, open and go on as if they had been written today.

`old_files/study.db` is a sweep under halving that `total_epochs` ended, one trial waiting for more epochs;
`old_files/grid.db` is the first half of a grid, to which `n_trials` cut it; `old_files/run.npz` is a run of four
epochs. Their numbers are those of the machine that made them, so they are compared with today's to rounding.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from nn import MLP, Adam, load, load_dataset, train
from tuning import Study, sweep

FOLDER = Path(__file__).parent / "old_files"
SPACE = {"learning_rate": "1e-2:10:log", "batch_size": [16, 32]}
OPTIONS: dict[str, Any] = {"method": "halving", "points": 5, "epochs": 9}


def assert_close(old: Study, new: Study, count: int = 10) -> None:
    assert len(old.trials) == len(new.trials) == count
    for before, after in zip(old.trials, new.trials, strict=True):
        assert (before.params, before.seed, before.epochs) == (after.params, after.seed, after.epochs)
        assert before.state == after.state
        for name, curve in before.curves.items():
            np.testing.assert_allclose(curve, after.curves[name], rtol=1e-4, atol=1e-5)


def test_an_old_study_opens_and_goes_on_from_its_checkpoints(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    shutil.copy(FOLDER / "study.db", path)
    assert_close(Study.open(path), sweep("iris", SPACE, total_epochs=17, **OPTIONS))
    assert [trial.state for trial in Study.open(path).trials].count("paused") == 1
    resumed = Study.open(path).resume(total_epochs=None)
    assert resumed.new_trials == 1
    assert_close(resumed, sweep("iris", SPACE, **OPTIONS))


def test_the_call_that_made_an_old_study_continues_it(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    shutil.copy(FOLDER / "study.db", path)
    assert sweep("iris", SPACE, storage=path, **OPTIONS).new_trials == 1
    assert sweep("iris", SPACE, storage=path, **OPTIONS).new_trials == 0


def test_an_old_grid_keeps_its_order_and_its_limit_and_goes_on_to_the_whole(tmp_path: Path) -> None:
    path, options = tmp_path / "grid.db", {"points": 5, "epochs": 3, "repeats": 2}
    shutil.copy(FOLDER / "grid.db", path)
    assert [trial.number for trial in Study.open(path).trials] == list(range(10))
    assert sweep("iris", SPACE, storage=path, n_trials=10, **options).new_trials == 0
    more = Study.open(path).resume(n_trials=12)
    assert [trial.number for trial in more.trials] == list(range(12))
    more.close()
    assert_close(Study.open(path).resume(n_trials=None), sweep("iris", SPACE, **options), 20)


def test_an_old_run_opens_and_goes_on() -> None:
    old, split = load(FOLDER / "run.npz"), load_dataset("iris").split(validation=0.2, test=0.2, seed=0)
    model, optimizer = MLP((4, 6, 3), dropout=0.1), Adam(0.01)
    new = train(model, split, optimizer, epochs=4, seed=1)
    np.testing.assert_allclose(old.theta, new.theta, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(old.history.validation_loss, new.history.validation_loss, rtol=1e-4)
    assert (old.predict(split.test) == new.predict(split.test)).all()
    longer = [train(model, split, optimizer, epochs=8, seed=1, resume=run.state) for run in (old, new)]
    np.testing.assert_allclose(longer[0].theta, longer[1].theta, rtol=1e-3, atol=1e-4)
