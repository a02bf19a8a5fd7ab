"""The sources of studies: a study file refuses whatever changes in a part or in a data file, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nn import Dataset, load_dataset
from tuning import Study, sweep
from tuning.store import StudyFileError

SPACE = {"learning_rate": [0.1], "hidden_units": 4}
ROWS = 40
RNG = np.random.default_rng(3)
X, Y = RNG.normal(size=(ROWS, 3)), np.arange(ROWS) % 2
LINES = [
    f"{i},{RNG.normal():.3f},{'' if i % 9 == 0 else f'{RNG.normal():.3f}'},{'abc'[i % 3]},{'no' if i % 2 else 'yes'}"
    for i in range(ROWS)
]
CSV = "\n".join(["id,x,z,town,kind", *LINES, ""])


def refused(data: Any, path: Path, **options: Any) -> None:
    """Whether the file refuses these data, in `sweep` and in `resume`, and stays as it was."""
    before = path.read_bytes()
    for call in (
        lambda: sweep(data, SPACE, epochs=2, storage=path, **options),
        lambda: Study.open(path).resume(data, **{k: v for k, v in options.items() if k != "folds"}),
    ):
        with pytest.raises(StudyFileError) as error:
            call()
        assert "\n" not in str(error.value)
        assert "must have the same definition" in str(error.value)
    assert path.read_bytes() == before


def number(part: Dataset) -> Dataset:
    """One number is changed in its last bit."""
    values = np.array(part.X)
    values[1, 2] = np.nextafter(values[1, 2], np.inf)
    return part.replace(X=values)


def label(part: Dataset) -> Dataset:
    """One label is changed."""
    labels = np.array(part.y)
    labels[0] = 1 - labels[0]
    return part.replace(y=labels)


@pytest.mark.parametrize("where", ["train", "validation", "test"])
@pytest.mark.parametrize("change", [number, label, lambda part: part.subset(np.arange(len(part) - 1))])
def test_every_number_of_every_part_counts(where: str, change: Callable[[Dataset], Dataset], tmp_path: Path) -> None:
    split, path = Dataset(X, Y).split(), tmp_path / "x.db"
    sweep(split, SPACE, epochs=2, storage=path).close()
    refused(replace(split, **{where: change(getattr(split, where))}), path)
    assert sweep(Dataset(X.copy(), Y.copy()).split(), SPACE, epochs=2, storage=path).new_trials == 0


@pytest.mark.parametrize(
    ("old", "new", "options"),
    [
        ("0,", "0.5,", {}),
        ("\n1,", "\n9,", {}),
        (",a,", ",d,", {}),
        (",yes", ",no", {}),
        (",yes", ",Yes", {}),
        (LINES[-1] + "\n", "", {}),
        (",town,", ",city,", {}),
        ("", "", {"drop": ["z"]}),
        ("", "", {"categorical": ["id"]}),
        ("", "", {"missing": ["a"]}),
        ("", "", {"target_column": "town"}),
        ("", "", {"split_by": "town"}),
        ("", "", {"split_in_order": True}),
    ],
)
def test_every_cell_of_a_file_and_the_options_of_reading_count(
    old: str, new: str, options: dict[str, Any], tmp_path: Path
) -> None:
    file, path = tmp_path / "a.csv", tmp_path / "x.db"
    file.write_text(CSV)
    sweep(file, SPACE, epochs=2, storage=path).close()
    file.write_text(CSV.replace(old, new, 1 if old != ",yes" else -1 if new == ",Yes" else 1) if old else CSV)
    refused(file, path, **options)


def test_unchanged_data_go_on_from_a_moved_file_too(tmp_path: Path) -> None:
    file, path = tmp_path / "a.csv", tmp_path / "x.db"
    file.write_text(CSV)
    options: dict[str, Any] = {"missing": ["-"], "target_column": "kind"}
    sweep(file, SPACE, epochs=2, storage=path, **options).close()
    assert Study.open(path).resume().new_trials == 0
    moved = file.rename(tmp_path / "b.csv")
    with pytest.raises(ValueError, match=r"^the study's data must be at '.*a.csv', but are not there; "):
        Study.open(path).resume()
    assert Study.open(path).resume(moved).new_trials == 0
    assert Study.open(path).about["source"] == str(moved)
    assert Study.open(path).about["reading"] == options
    assert sweep(moved, SPACE, epochs=2, storage=path, **options).new_trials == 0
    assert Study.open(path).resume(load_dataset(moved, **options)).new_trials == 0


def test_how_missing_cells_are_filled_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, path = tmp_path / "a.csv", tmp_path / "x.db"
    file.write_text(CSV)
    sweep(file, SPACE, epochs=2, storage=path).close()
    monkeypatch.setattr("nn.data.encoding.np.median", lambda values: float(np.mean(values)))
    refused(file, path)
