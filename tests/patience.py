"""How long a test waits for what must happen before it gives up: a guard against hanging that says nothing of speed."""

from __future__ import annotations

PATIENCE = 600.0
"""Seconds: enough for the slowest machine in its busiest hour."""
