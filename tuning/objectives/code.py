"""The identity of code of one's own: an importable name, and a digest of the source that its results depend on.

The digest covers the source, without comments and docstrings, of a function or class, and of all functions and classes
that it refers to, directly or through others, as long as they are one's own: neither Python's, nor installed as a
package, nor of this project. It also covers the numbers, texts, tuples of such, and arrays that they refer to as
globals, defaults, from enclosing functions, or as attributes of an object. It does not cover lists, dicts and other
things that change, what a function imports while it runs, files that are read, and the packages that are imported.
"""

from __future__ import annotations

import ast
import contextlib
import dis
import functools
import hashlib
import inspect
import json
import multiprocessing
import os
import pickle
import sys
import sysconfig
import textwrap
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

_PLAIN = (type(None), bool, int, float, complex, str, bytes)
_HERE = Path(__file__).parents[2]
_NOT_OWN = tuple(
    {str(Path(sysconfig.get_path(name)).resolve()) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    | {str(_HERE / package) + os.sep for package in ("nn", "tuning")}
)


@dataclass(frozen=True)
class Code:
    """Where code is found: its `name`, and the SHA-256 `digest` of its source.

    `importable` says whether another process can import it, `in_main` whether it is in the script that is run.
    """

    name: str
    digest: str
    importable: bool
    in_main: bool

    @property
    def in_processes(self) -> bool:
        """Whether other processes of this machine can run it.

        What stands in the script that is run is there in a fork alone: what else is started would run the script again.
        """
        way = multiprocessing.get_start_method(allow_none=True) or multiprocessing.get_all_start_methods()[0]
        return self.importable and (not self.in_main or way == "fork")

    @classmethod
    def of(cls, thing: Any) -> Code:
        """Return the identity of a function, a class, or an object of such a class."""
        found: dict[str, str] = {}
        _collect(thing, found, "", {id(found)})
        digest = hashlib.sha256(json.dumps(sorted(found.items())).encode()).hexdigest()
        content = _pickled(thing)
        in_main = b"__main__" in content
        importable = bool(content) and (not in_main or hasattr(sys.modules["__main__"], "__file__"))
        return cls(name_of(thing), digest, importable, in_main)


def name_of(thing: Any) -> str:
    """Return the name by which a function or class is imported; that of its class for an object.

    >>> name_of(json.dumps), name_of(Path("."))[:7]
    ('json.dumps', 'pathlib')
    """
    found: Any = thing.func if isinstance(thing, functools.partial) else thing
    named: Any = found if hasattr(found, "__qualname__") else type(found)
    module, name = getattr(named, "__module__", None) or "builtins", named.__qualname__
    if module == "__main__":
        main = sys.modules["__main__"]
        spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
        module = spec.name if spec is not None else Path(file).stem if file else module
    public = module
    while "._" in public:  # as in sklearn.tree._classes
        public = public.rpartition(".")[0]
        if getattr(sys.modules.get(public), name, None) is named:
            return f"{public}.{name}"
    return f"{module}.{name}"


def _pickled(thing: Any) -> bytes:
    """Return what pickle makes of it, with its name; nothing where pickle does not find it by that."""
    try:
        return pickle.dumps(thing)
    except Exception:
        return b""


def _collect(thing: Any, found: dict[str, str], key: str, seen: set[int], names: frozenset[str] = frozenset()) -> None:
    """Add to `found` what a result depends on, by name; `names` are those that are looked up in a module.

    `seen` are the objects whose attributes were looked at: they may refer to each other.
    """
    if isinstance(thing, functools.partial):
        for part, value in {"": thing.func, "args": thing.args, **thing.keywords}.items():
            _collect(value, found, f"{key}({part})", seen)
    elif isinstance(thing, MethodType):
        _collect(thing.__func__, found, key, seen)
        _collect(thing.__self__, found, key, seen)
    elif isinstance(thing, ModuleType):
        if _own(thing):
            for name in sorted(names & vars(thing).keys()):
                _collect(vars(thing)[name], found, f"{thing.__name__}.{name}", seen)
    elif isinstance(thing, FunctionType | type):
        if _own(thing) and (place := thing.__qualname__) not in found:
            found[place] = _source(thing)
            for name, value, used in _used_by(thing):
                _collect(value, found, f"{place}.{name}", seen, used)
    elif isinstance(thing, np.ndarray) and not thing.dtype.hasobject:
        content = hashlib.sha256(np.ascontiguousarray(thing).tobytes()).hexdigest()
        found[key] = f"{thing.dtype.str} {thing.shape} {content}"
    elif isinstance(thing, _PLAIN) or (isinstance(thing, tuple) and all(isinstance(each, _PLAIN) for each in thing)):
        found[key] = repr(thing)
    elif isinstance(thing, tuple):
        for i, value in enumerate(thing):
            _collect(value, found, f"{key}[{i}]", seen)
    elif _own(type(thing)) and id(thing) not in seen:
        seen.add(id(thing))
        _collect(type(thing), found, key, seen)
        for name, value in sorted(getattr(thing, "__dict__", {}).items()):
            _collect(value, found, f"{key}.{name}", seen)


def _own(thing: Any) -> bool:
    """Return whether code is neither Python's, nor of an installed package, nor of this project."""
    name = thing.__name__ if isinstance(thing, ModuleType) else getattr(thing, "__module__", None)
    module = sys.modules.get(name or "")
    if module is None or module.__name__ == "builtins":
        return False
    file = getattr(module, "__file__", None)
    return (module.__name__ == "__main__") if file is None else not str(Path(file).resolve()).startswith(_NOT_OWN)


def _source(thing: Any) -> str:
    """Return the source without comments and docstrings; of what has none, as in a lambda, what was compiled."""
    with contextlib.suppress(OSError, TypeError, SyntaxError, tokenize.TokenError):  # no file, or another one by now
        tree = ast.parse(textwrap.dedent(inspect.getsource(thing)))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and ast.get_docstring(node):
                node.body = node.body[1:] or [ast.Pass()]
        return ast.unparse(tree)
    return " ".join(f"{code.co_code.hex()} {_constants(code)!r} {code.co_names}" for code in _codes(thing))


def _constants(code: CodeType) -> list[Any]:
    return [constant for constant in code.co_consts if not isinstance(constant, CodeType)]


def _codes(thing: Any) -> Iterator[CodeType]:
    """Yield what was compiled of a function or of a class's methods, and of the functions inside."""
    for function in _functions(thing):
        waiting = [function.__code__]
        while waiting:
            code = waiting.pop()
            yield code
            waiting += [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def _functions(thing: Any) -> list[FunctionType]:
    """Return a function itself, or the methods of a class."""
    if isinstance(thing, FunctionType):
        return [thing]
    inner = [getattr(value, "__func__", getattr(value, "fget", value)) for value in vars(thing).values()]
    return [value for value in inner if isinstance(value, FunctionType)]


def _used_by(thing: Any) -> Iterator[tuple[str, Any, frozenset[str]]]:
    """Yield what a function, or a class's methods and bases, refer to: name, value, and the names looked up in it."""
    if isinstance(thing, type):
        yield from ((base.__name__, base, frozenset()) for base in thing.__bases__)
        for name, value in sorted(vars(thing).items()):
            if not name.startswith("__") and not isinstance(value, _PLAIN):  # a count may change; its start is source
                yield name, value, frozenset()
    for function in _functions(thing):
        names: dict[str, set[str]] = {"LOAD_GLOBAL": set(), "LOAD_NAME": set(), "STORE_GLOBAL": set()}
        known = frozenset(name for code in _codes(function) for name in code.co_names)
        for each in chain.from_iterable(map(dis.get_instructions, _codes(function))):
            names.get(each.opname, set()).add(each.argval)
        read = (names["LOAD_GLOBAL"] | names["LOAD_NAME"]) - names["STORE_GLOBAL"]  # what it sets itself, may change
        yield from ((k, function.__globals__[k], known) for k in sorted(read & function.__globals__.keys()))
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            with contextlib.suppress(ValueError):  # a cell that is still empty
                yield name, cell.cell_contents, known
        defaults = [*enumerate(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).items()]
        yield from ((f"default {name}", value, frozenset()) for name, value in defaults)
