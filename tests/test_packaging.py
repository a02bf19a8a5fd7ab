"""What a wheel holds, and what `--help` can do without."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, check=True, cwd=ROOT, capture_output=True)
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_a_wheel_carries_the_data_inside_nn_and_nothing_else_at_the_top(wheel: zipfile.ZipFile) -> None:
    top = {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" not in name}
    assert top == {"nn", "tuning"}
    data = {path.name for path in (ROOT / "datasets").iterdir()}
    assert data <= {Path(name).name for name in wheel.namelist() if name.startswith("nn/datasets/")}


def test_a_wheel_says_that_it_is_typed(wheel: zipfile.ZipFile) -> None:
    assert {"nn/py.typed", "tuning/py.typed"} <= set(wheel.namelist())


def test_an_unpacked_wheel_loads_its_own_data(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path)
    code = "import nn.data as d; print(len(d.load_dataset('digits')), d.__file__)"
    found = subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, capture_output=True, text=True)
    assert found.stdout.split() == ["1797", str(tmp_path / "nn" / "data" / "__init__.py")]


def test_help_needs_no_compiler() -> None:
    code = "import contextlib, sys, tuning.cli\nwith contextlib.suppress(SystemExit): tuning.cli.main(['--help'])\n"
    code += "print('numba' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True, text=True)
    assert found.stdout.splitlines()[-1] == "False"
