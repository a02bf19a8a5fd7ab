"""The `nn-tuning` command."""

from tuning.cli.main import main

__all__ = [
    "main",
]
