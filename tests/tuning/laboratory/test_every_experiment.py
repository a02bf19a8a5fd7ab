"""Every experiment measures without knowing what is expected, and has a script that can be asked for help."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import tuning.laboratory
from tests.scripts.loading import load_script
from tuning.laboratory.findings import Claim

FOLDER = Path(tuning.laboratory.__file__).parent
HELPERS = {"charts", "digits", "findings", "parallel", "sharpening"}
EXPERIMENTS = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in {"__init__", "page", *HELPERS})
LINE = "# -- what was published -"
"""Below it stands what is expected, and nothing above it may look there."""


def expectations_used(source: str) -> set[str]:
    """Return the names defined below the line that code above it uses, also through functions of its own."""
    lines = source.splitlines()
    (border,) = (number for number, line in enumerate(lines, 1) if line.startswith(LINE))
    above = [node for node in ast.parse(source).body if node.lineno < border]
    below = [node for node in ast.parse(source).body if node.lineno > border]
    expected = {node.name for node in below if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    expected |= {
        name.id
        for node in below
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for name in ast.walk(node)
        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
    }
    used = {name.id for node in above for name in ast.walk(node) if isinstance(name, ast.Name)}
    return used & expected


def test_all_experiments_are_found() -> None:
    assert {"catapult", "quadratic_stability", "warm_up"} <= set(EXPERIMENTS)
    assert len(EXPERIMENTS) == 12
    assert [*EXPERIMENTS, "teaching_figures"] == sorted(load_script("all_experiments").EXPERIMENTS, key=_figures_last)


def _figures_last(name: str) -> tuple[bool, str]:
    return name == "teaching_figures", name


def test_the_former_name_of_the_laboratory_goes_on_working() -> None:
    program = (
        "import tuning.studies, tuning.laboratory; from tuning.studies import catapult, main; "
        "from tuning.studies.page import page; "
        "assert tuning.studies is tuning.laboratory; assert catapult is tuning.laboratory.catapult; "
        "assert callable(catapult.measure) and callable(main) and callable(page)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_says_what_it_is_and_has_measure_and_claims(name: str) -> None:
    experiment = importlib.import_module(f"tuning.laboratory.{name}")
    assert len((experiment.__doc__ or "").splitlines()) > 10
    assert "seed" in inspect.signature(experiment.measure).parameters
    assert inspect.signature(experiment.measure).parameters["seed"].default == 0
    assert "Claim" in str(inspect.signature(experiment.claims).return_annotation)
    assert experiment.Claim is Claim


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_measurement_uses_nothing_of_what_is_expected(name: str) -> None:
    source = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    assert "def measure(" in source.split(LINE)[0]
    assert "def claims(" in source.split(LINE)[1]
    assert expectations_used(source) == set()


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_takes_from_no_other(name: str) -> None:
    tree = ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
    taken = {
        str(node.module).removeprefix("tuning.laboratory.")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("tuning.laboratory")
    }
    assert taken <= HELPERS - {"charts"}


@pytest.mark.parametrize(
    "peek",
    [
        "limit(1.0)",
        "[claims(x) for x in ()]",
        "LEVEL + 1",
        "(lambda: limit)()(2)",
    ],
)
def test_a_measurement_that_looks_at_what_is_expected_is_found_out(peek: str) -> None:
    source = f"""
def helper(x):
    return {peek}

def measure(seed=0):
    return helper(seed)

{LINE * 3}
LEVEL: float = 2.0

def limit(x):
    return LEVEL

def claims(measured):
    return [limit(measure())]
"""
    assert len(expectations_used(source)) == 1
    assert expectations_used(source.replace(peek, "2 * x")) == set()


@pytest.mark.parametrize("name", [*EXPERIMENTS, "teaching_figures"])
def test_its_script_can_be_asked_for_help_and_refuses_a_bad_seed(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = load_script(name)
    seed, quick, *more = inspect.signature(script.run).parameters.values()
    assert (seed.name, quick.name) == ("seed", "quick")
    assert all(each.default is not each.empty for each in more)
    main = getattr(script, "main", None)

    def ask(*options: str) -> object:
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *options])
        with pytest.raises(SystemExit) as stop:
            script.laboratory.main(script.__doc__ or "", script.run) if main is None else main()
        return stop.value.code

    assert ask("--help") == 0
    shown = capsys.readouterr().out
    assert all(option in shown for option in ("--seed", "--quick", "--output", f"{name}.py"))
    assert " ".join((script.__doc__ or "").split()[:5]) in " ".join(shown.split())
    assert ask("--seed", "x") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[-1] == (
        f"{name}.py: error: argument --seed: must be a whole number from 0 to 2**32 - 1, but got 'x'"
    )
