"""A private part of dateparser's that makes importing SQLMesh slow, with a contract test.

When it is imported, dateparser compiles some 800 patterns of names of time zones: a quarter of
what importing SQLMesh takes, and most processes read no date with such a name. Here each is
compiled when it is first asked for.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType, SimpleNamespace
from typing import Any

_MODULE = "dateparser.timezone_parser"


class LaterPattern:
    """A pattern of the package regex, compiled when something is first asked of it.

    Args:
        compiler: What compiles it.
        arguments: With these.
    """

    __slots__ = ("_arguments", "_compile", "_compiled")

    def __init__(self, compiler: Any, *arguments: Any) -> None:
        self._compile = compiler
        self._arguments = arguments
        self._compiled: Any = None

    def __getattr__(self, name: str) -> Any:
        if self._compiled is None:
            self._compiled = self._compile(*self._arguments)
        return getattr(self._compiled, name)


@contextmanager
def time_zones_compiled_later() -> Iterator[None]:
    """While SQLMesh is imported: dateparser's patterns of time zones are compiled when needed."""
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Finder(MetaPathFinder):
    """Finds that one module."""

    def find_spec(self, fullname: str, path: Any, *_: Any) -> ModuleSpec | None:
        """As Python finds it, with another loader."""
        spec = PathFinder.find_spec(fullname, path) if fullname == _MODULE else None
        if spec is not None and spec.loader is not None:
            spec.loader = _Later(spec.loader)
        return spec


class _Later(Loader):
    """Executes a module in which `regex.compile` does nothing yet.

    Only that module's own `import` is another one: what other threads import meanwhile gets the
    package as it is.
    """

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def exec_module(self, module: ModuleType) -> None:
        """With the module's own `import`; as ever where it can't be executed so."""
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": _import}
        try:
            self._loader.exec_module(module)
        except (AttributeError, TypeError):
            module.__dict__["__builtins__"] = vars(builtins)
            self._loader.exec_module(module)


def _import(name: str, *arguments: Any) -> Any:
    found = builtins.__import__(name, *arguments)
    if name != "regex":
        return found

    def compile_later(*pattern: Any) -> LaterPattern:
        return LaterPattern(found.compile, *pattern)

    return SimpleNamespace(**{**vars(found), "compile": compile_later})
