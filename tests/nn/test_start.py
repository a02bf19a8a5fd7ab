"""What an import and the first trained epoch wait for: modules imported, functions compiled and loaded, counted and not
timed; and that it makes no difference to the numbers who compiled the kernels, and when.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

FIRST_EPOCH = """
import json, sys
from numba.core import event

class Compiled(event.Listener):
    functions = []

    def on_start(self, event):
        function = event.data["dispatcher"].py_func
        self.functions.append([function.__module__, function.__qualname__])

    def on_end(self, event):
        pass

event.register("numba:compile", Compiled())
from nn import MLP, SGD, load_dataset, train
run = train(MLP((64, 32, 10)), load_dataset("digits").split(seed=0), SGD(0.1), epochs=1)
assert run.status == "completed"
functions = {id(f): f for m in list(sys.modules.values()) if m.__name__.startswith("nn.") for f in vars(m).values()}
loaded = [f.__name__ for f in functions.values() if hasattr(f, "stats") for _ in f.stats.cache_hits]
print(json.dumps({"compiled": Compiled.functions, "loaded": loaded, "modules": list(sys.modules)}))
"""

COMPILER = """
import json, sys
import numba
numba.njit(lambda x: x)(1)
print(json.dumps(list(sys.modules)))
"""

BITS = """
import hashlib, sys
import numpy as np
from nn import MLP, SGD, Adam, load_dataset, train
split = load_dataset("digits").split(seed=0)
models = [
    MLP((64, *hidden, 10), activation).for_task("classification")
    for hidden, activation in [((33,), "tanh"), ((16, 20), "relu"), ((8,), "gelu"), ((), "relu")]
]
seen = hashlib.sha256()
def look(model):
    theta, X, y = model.init(1), split.train.X, split.train.targets
    seen.update(np.float64(model.loss(theta, X, y)))
    seen.update(model.gradient(theta, X, y))
    seen.update(model.hessian_vector_product(theta, theta, X, y))
def fit(model):
    for optimizer in SGD(0.1, momentum=0.9, nesterov=True), Adam(0.01):
        run = train(model, split, optimizer, batch_size=17, epochs=3)
        seen.update(run.theta)
        for values in vars(run.history).values():
            seen.update(b"" if values is None else getattr(values, "records", values))
digests = {}
for work in {"fit": [fit, look], "look": [look, fit]}[sys.argv[1]]:
    seen = hashlib.sha256()
    for model in models:
        work(model)
    digests[work.__name__] = seen.hexdigest()
print(sorted(digests.items()))
"""


def test_bits_do_not_depend_on_which_process_compiled_what_and_in_which_order(tmp_path: Path) -> None:
    """Before, sums were reordered by the optimizer, differently in each copy of a function that kernels share."""

    def bits(first: str) -> str:
        own_cache = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
        line = [sys.executable, "-c", BITS, first]
        return subprocess.run(line, check=True, env=own_cache, capture_output=True, text=True).stdout

    compiled = bits("fit")
    assert bits("fit") == compiled
    assert bits("look") == compiled


def printed(code: str, **environment: str) -> tuple[Any, str]:
    """The JSON that a fresh process prints, and what it says on standard error."""
    ended = subprocess.run(
        [sys.executable, "-c", code], check=True, env={**os.environ, **environment}, capture_output=True, text=True
    )
    return json.loads(ended.stdout), ended.stderr


def test_the_first_start_compiles_each_function_once_and_says_so_and_the_next_compile_none(tmp_path: Path) -> None:
    first, said = printed(FIRST_EPOCH, NUMBA_CACHE_DIR=str(tmp_path))
    assert said.splitlines() == [
        "nn: compiling the float32 kernel train_steps, once on this machine; it takes a few seconds"
    ]
    ours = Counter(name for module, name in first["compiled"] if module.startswith("nn."))
    assert 20 < len(ours) < 40  # a quarter of a second each
    assert {name for name, times in ours.items() if times > 1} <= {"matrix"}  # a literal argument costs one more each
    assert first["loaded"] == []
    second, said = printed(FIRST_EPOCH, NUMBA_CACHE_DIR=str(tmp_path))
    assert said == ""
    assert second["compiled"] == []
    assert second["loaded"] == ["train_steps"]  # one entry has all that the kernel calls


def test_a_first_epoch_imports_nothing_that_the_compiler_does_not() -> None:
    needed, _ = printed(COMPILER)
    imported = set(printed(FIRST_EPOCH)[0]["modules"]) - set(needed)
    standard = {*sys.stdlib_module_names, "nn", "numba", "numpy"}
    assert sorted(name for name in imported if name.partition(".")[0] not in standard) == []


@pytest.mark.parametrize(
    ("code", "needed"),
    [
        ("import nn", {"nn"}),
        ("from nn import MLP, SGD, Dataset, load_dataset", {"nn", "numpy"}),
        ("import nn, tuning, tuning.cli", {"nn", "tuning", "numpy"}),
    ],
)
def test_an_import_waits_for_nothing_that_it_does_not_need(code: str, needed: set[str]) -> None:
    """What needs the compiler waits for it on its first use, not before."""
    imported, _ = printed(
        f"import json, sys; before = set(sys.modules); {code}; print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    packages = {name.partition(".")[0] for name in imported} - set(sys.stdlib_module_names)
    assert {name for name in packages if not name.startswith("_")} - {"cython_runtime"} == needed
