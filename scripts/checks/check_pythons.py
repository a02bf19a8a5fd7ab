"""Check the built wheel in an empty environment, and run the tests, on every supported Python that is present.

    python scripts/checks/check_pythons.py               3.11, 3.12 and 3.13, wherever PATH or pyenv has them
    python scripts/checks/check_pythons.py --no-tests    the wheel alone

Exit status 1 where something fails.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

VERSIONS = ("3.11", "3.12", "3.13")
ROOT = Path(__file__).resolve().parents[2]

# What a user of the installed wheel does first, far from the clone.
FIRST_STEPS = """
import importlib.util
import nn, tuning
split = nn.load_dataset("digits").split(seed=0)
run = nn.train(nn.MLP((64, 16, 10)), split, nn.SGD(0.1), epochs=3)
assert run.status == "completed" and run.metrics["validation_accuracy"] > 0.8, run.metrics
assert importlib.util.find_spec("datasets") is None, "the wheel installs a top-level module named datasets"
"""


def interpreter(version: str) -> str | None:
    """Return the path of a working interpreter of that version, from PATH or from pyenv."""
    name = f"python{version}"
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [shutil.which(name), *map(str, sorted(pyenv.glob(f"versions/{version}*/bin/{name}")))]
    for candidate in filter(None, found):
        if subprocess.run([candidate, "-c", "import venv, ensurepip"], capture_output=True).returncode == 0:
            return candidate
    return None


def check(python: str, wheel: Path, folder: Path, tests: bool) -> None:
    """Raise CalledProcessError where something fails on one interpreter."""
    quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([python, "-m", "venv", str(folder / "empty")], check=True)
    own = str(folder / "empty" / "bin" / "python")
    subprocess.run([own, *quiet, str(wheel)], check=True)
    subprocess.run([own, "-c", FIRST_STEPS], check=True, cwd=folder)
    sweep = ["sweep", "iris", "--learning-rate", "0.01,0.1", "--hidden-units", "8", "--epochs", "3"]
    subprocess.run([str(folder / "empty" / "bin" / "nn-tuning"), *sweep], check=True, cwd=folder)
    if tests:
        subprocess.run([own, *quiet, f"{wheel}[test]"], check=True)
        shutil.copytree(ROOT, folder / "clone", ignore=shutil.ignore_patterns(".venv", ".git", "__pycache__", "runs"))
        subprocess.run([own, "-m", "pytest", "-n", "2"], check=True, cwd=folder / "clone")


def main() -> int:
    """Check each version, and print one line for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-tests", action="store_true", help="check the wheel alone")
    options = parser.parse_args()
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
        subprocess.run(build, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        wheel = next(Path(folder).glob("*.whl"))
        for version in VERSIONS:
            python = interpreter(version)
            if python is None:
                print(f"Python {version}: not present", flush=True)
                continue
            place = Path(folder) / version
            place.mkdir()
            try:
                check(python, wheel, place, not options.no_tests)
                print(f"Python {version}: passed", flush=True)
            except subprocess.CalledProcessError as error:
                failed.append(version)
                print(f"Python {version}: failed in {error.cmd}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
