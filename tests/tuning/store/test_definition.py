from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.tuning.fakes import a_study, definition
from tuning.store import DataDescription, Definition, StudyFileError
from tuning.store.schema import encode

OLD = Path(__file__).parents[2] / "old_files" / "study.db"


def stored(path: Path) -> str:
    """The text of the definition in a study file."""
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        return str(connection.execute("SELECT value FROM study WHERE key = 'definition'").fetchone()[0])
    finally:
        connection.close()


def test_a_definition_is_written_as_it_was_before_to_the_last_byte() -> None:
    text = stored(OLD)
    assert encode(Definition.from_json(OLD, json.loads(text)).to_json()) == text


@pytest.mark.parametrize("changes", [{}, {"auto": {"learning_rate": "auto"}}, {"folds": 3, "repeats": 2}])
def test_a_definition_read_again_is_the_same(changes: dict[str, Any], tmp_path: Path) -> None:
    one = definition(**changes, data=DataDescription("fake", "regression", "f" * 64, "0" * 16, True))
    study = a_study(storage=tmp_path / "a.db", **changes, data=one.data)
    study.close()
    assert study.open(tmp_path / "a.db").definition == one
    assert list(json.loads(stored(tmp_path / "a.db"))) == [
        "space", "method", "method_options", "epochs", "repeats", "folds", "metric", "metrics", "seed", "data",
        *(["auto"] if "auto" in changes else []),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "law"),
    [
        ({"epochs": 0}, "epochs must be an integer between 1 and 1,000,000, but got 0"),
        ({"repeats": 1.5}, "repeats must be an integer between 1 and 100,000, but got 1.5"),
        ({"folds": 1}, "folds must be an integer of at least 2, but got 1"),
        ({"seed": -1}, "seed must be an integer of at least 0, but got -1"),
        ({"metric": "train_los"}, "metric must be one of .* did you mean 'train_loss'"),
    ],
)
def test_what_no_study_can_have_is_refused_also_when_it_is_read(changes: dict[str, Any], law: str) -> None:
    with pytest.raises(ValueError, match=law):
        definition(**changes)
    with pytest.raises(StudyFileError, match=f"must have a definition that this version knows, but: {law}"):
        Definition.from_json(Path("a.db"), {**definition().to_json(), **changes})


def test_a_definition_of_a_later_version_is_refused_in_one_line() -> None:
    with pytest.raises(StudyFileError, match=r"^'a\.db' must have .*'weather'; upgrade nn-tuning$"):
        Definition.from_json(Path("a.db"), {**definition().to_json(), "weather": "fine"})
