"""The `nn-tuning` command."""

from tuning.cli.main import main
