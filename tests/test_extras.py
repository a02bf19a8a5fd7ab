"""The extras: none is imported unasked, and where one is missing, one line says what to install."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

# The modules that the extras bring, under the name of the extra.
EXTRAS = {
    "pandas": ["pandas"],
    "parquet": ["pyarrow"],
    "plot": ["matplotlib"],
    "report": ["plotly"],
    "sklearn": ["sklearn"],
    "optuna": ["optuna"],
    "dask": ["distributed", "dask"],
}

IMPORTED = """
import sys
{code}
print([name for name in {names} if name in sys.modules])
"""

WITHOUT = """
import contextlib, io, sys
for name in {names}:
    sys.modules[name] = None  # as if it were not installed
from nn import *
from tuning import *
from tuning.cli import main

study = sweep("iris", {{"learning_rate": [0.1, 1.0], "batch_size": [16, 32]}}, epochs=2, progress=False, storage="s.db")
assert study.best.metrics["validation_accuracy"] > 0.5

def estimators():
    import nn.estimators

def figures():
    from tuning import plots
    plots.heatmap(study)

def cluster():
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        assert main(["sweep", "iris", "--learning-rate", "0.1", "--dask", "tcp://127.0.0.1:1"]) == 2
    raise ImportError(said.getvalue().rstrip())

def report():
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        assert main(["report", "s.db"]) == 2
    raise ImportError(said.getvalue().rstrip())

uses = {{
    "pandas": study.to_pandas,
    "parquet": lambda: study.table().to_parquet("s.parquet"),
    "plot": figures,
    "report": report,
    "sklearn": estimators,
    "optuna": lambda: study.to_optuna("sqlite:///o.db"),
    "dask": cluster,
}}
for extra, use in uses.items():
    try:
        use()
    except (ImportError, ValueError) as error:
        print(extra, repr(str(error)))
"""


def test_the_extras_are_these_and_the_tests_need_them_all() -> None:
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
    extras = {name: set(lines) for name, lines in project["optional-dependencies"].items()}
    tests, _, _ = extras.pop("test"), extras.pop("bench"), extras.pop("docs")
    assert extras.keys() == EXTRAS.keys()
    tested = {re.match(r"[\w-]+", line)[0] for line in tests}  # type: ignore[index]
    assert {re.match(r"[\w-]+", line)[0] for lines in extras.values() for line in lines} <= tested  # type: ignore[index]


def run(code: str, folder: Path) -> str:
    """What a new process prints."""
    return subprocess.run([sys.executable, "-c", code], check=True, cwd=folder, capture_output=True, text=True).stdout


@pytest.mark.parametrize(
    ("code", "besides"),
    [
        ("import nn", ["numba", "scipy", "tqdm"]),
        ("from nn import MLP, SGD, load_dataset\nMLP((4, 3)).init(), load_dataset('iris').split()", ["numba", "scipy"]),
        ("import nn, tuning, tuning.cli", ["numba", "scipy"]),
        ("import tuning.charts, tuning.report, tuning.export.notebook", ["numba", "scipy", "matplotlib"]),
        ("from nn import *\nfrom tuning import *\nimport tuning.cli", []),
        ("from nn import *\nrun = train(MLP((64, 8, 10)), load_dataset('digits').split(), SGD(0.1), epochs=1)", []),
    ],
    ids=["nn", "descriptions and data", "tuning", "report and notebook", "all names", "a training"],
)
def test_an_import_brings_in_no_extra(code: str, besides: list[str], tmp_path: Path) -> None:
    names = [module for modules in EXTRAS.values() for module in modules] + besides
    assert run(IMPORTED.format(code=code, names=names), tmp_path) == "[]\n"


def test_without_any_extra_a_sweep_runs_and_each_that_is_asked_for_is_named_in_one_line(tmp_path: Path) -> None:
    names = [module for modules in EXTRAS.values() for module in modules]
    said = dict(line.split(" ", 1) for line in run(WITHOUT.format(names=names), tmp_path).splitlines())
    assert said.keys() == EXTRAS.keys()
    for extra, text in said.items():
        assert f'pip install "nn-tuning[{extra}]"' in text
        assert r"\n" not in text
    assert [path.name for path in tmp_path.iterdir() if path.name != "s.db"] == []  # nothing half-written
