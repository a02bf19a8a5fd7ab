"""An option of a method is a field of its sampler and an argument of `sweep`; all else follows from the field."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tuning import sweep
from tuning.cli.config import KEYS, SweepFile
from tuning.cli.main import main
from tuning.cli.options import Parser
from tuning.cli.options import sweep as add_sweep_options
from tuning.methods import METHODS, OPTIONS, make_sampler, sampler_of
from tuning.methods import table as methods
from tuning.methods.samplers import Random, option


def test_sweep_has_an_argument_and_a_line_of_documentation_for_each_option_in_the_order_of_the_table() -> None:
    assert tuple(name for name in inspect.signature(sweep).parameters if name in OPTIONS) == OPTIONS
    documented = re.findall(r"\n    (\w[\w, ]*): ", inspect.getdoc(sweep) or "")
    names = {name for line in documented for name in line.split(", ")}
    assert names >= set(OPTIONS)
    assert set(KEYS) >= set(OPTIONS)


@dataclass(frozen=True)
class Striding(Random):
    """Random draws, of which only every so manieth is taken."""

    stride: float = option(1.5, "how far apart draws are", kind=float)


def test_an_option_of_a_new_method_reaches_sampler_study_file_and_command_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(METHODS, "striding", Striding)
    sampler = make_sampler("striding", stride=2.5)
    assert sampler.options() == {"stride": 2.5}
    with pytest.raises(ValueError, match="stride must go with method striding, but the method is grid"):
        make_sampler("grid", stride=2.5)
    monkeypatch.setattr(methods, "OPTIONS", (*OPTIONS, "stride"))
    monkeypatch.setattr("tuning.cli.options.OPTIONS", (*OPTIONS, "stride"))
    assert sampler_of("striding", sampler.options(), None, 0) == sampler
    parser = Parser()
    add_sweep_options(parser)
    assert parser.parse(["iris", "--stride", "2.5"]).stride == 2.5
    assert re.search(r"--stride X +striding: how far apart draws are\s+\(1.5\)", parser.format_help())


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_can_stand_on_the_command_line_and_in_a_sweep_file(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    takers = [method for method, kind in METHODS.items() if name in kind.own_options()]
    value = METHODS[takers[0]].own_options()[name].default
    (tmp_path / "sweep.toml").write_text(f"{name} = {str(value).lower()}\n")
    assert SweepFile.read(tmp_path / "sweep.toml").values == {name: value}
    wrong = "random"  # takes none but points, which it lets pass
    line = ["sweep", "iris", "--learning-rate", "0.1,0.2", "--epochs", "1", "--method", wrong, "--quiet"]
    status = main([*line, f"--{name.replace('_', '-')}", str(value if value else "learning_rate")])
    assert status == (0 if name == "points" else 2)
    assert (
        status == 0
        or f"--{name.replace('_', '-')} must go with method {' or '.join(takers)}" in capsys.readouterr().err
    )
