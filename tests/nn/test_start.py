"""How long the first trained epoch takes, in seconds of processor time, which other programs do not change."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

FIRST_EPOCH = """
import time
from nn import MLP, SGD, load_dataset, train
run = train(MLP((64, 32, 10)), load_dataset("digits").split(seed=0), SGD(0.1), epochs=1)
assert run.status == "completed"
print(time.process_time())
"""


def first_epoch(cache: Path) -> tuple[float, str]:
    """Seconds from the start of the process to the end of the first epoch, and what was said meanwhile."""
    own_cache = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    ended = subprocess.run(
        [sys.executable, "-c", FIRST_EPOCH], check=True, env=own_cache, capture_output=True, text=True
    )
    return float(ended.stdout), ended.stderr


def test_the_first_start_takes_15_seconds_and_says_what_is_compiled_and_the_next_take_one(tmp_path: Path) -> None:
    cold, said = first_epoch(tmp_path)
    assert said.splitlines() == [
        "nn: compiling the float32 kernel train_steps, once on this machine; it takes a few seconds"
    ]
    assert cold <= 15
    warm = [first_epoch(tmp_path) for _ in range(5)]
    assert {said for _, said in warm} == {""}
    assert min(seconds for seconds, _ in warm) <= 1
