"""Two things that SQLMesh imports and most runs do not need, each with a contract test.

dateparser compiles some 800 patterns of names of time zones while it is imported: a third of what
importing SQLMesh takes, and most processes read no date with such a name. Here each is compiled
when it is first asked for.

SQLMesh's loader imports pandas, which it does not use, so that processes that it forks on macOS
have it already. Nothing is forked here, and a run that only checks needs no pandas at all.
"""

from __future__ import annotations

import builtins
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import MappingProxyType, ModuleType, SimpleNamespace
from typing import Any

Import = Callable[..., Any]
"""A module's own `__import__`."""


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
def less_imported() -> Iterator[None]:
    """While SQLMesh is imported: do without what it does not need."""
    finder = _Finder(_IMPORTS)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def import_beside(module: str) -> None:
    """Import a module on a thread of its own; whoever needs it next waits for that, or hears what
    went wrong."""

    def load() -> None:
        with suppress(Exception):
            import_module(module)

    threading.Thread(target=load, name=f"import-{module}", daemon=True).start()


def _regex_later(name: str, *arguments: Any) -> Any:
    found = builtins.__import__(name, *arguments)
    if name != "regex":
        return found

    def compile_later(*pattern: Any) -> LaterPattern:
        return LaterPattern(found.compile, *pattern)

    return SimpleNamespace(**{**vars(found), "compile": compile_later})


def _pandas_where_it_forks(name: str, *arguments: Any) -> Any:
    if name == "pandas" and os.environ.get("MAX_FORK_WORKERS") == "1":
        return SimpleNamespace()
    return builtins.__import__(name, *arguments)


_IMPORTS: Mapping[str, Import] = MappingProxyType(
    {
        "dateparser.timezone_parser": _regex_later,
        "sqlmesh.core.loader": _pandas_where_it_forks,
    }
)


class _Finder(MetaPathFinder):
    """Finds modules that are to import in their own way.

    Args:
        imports: Those, and their ways.
    """

    def __init__(self, imports: Mapping[str, Import]) -> None:
        self._imports = imports

    def find_spec(self, fullname: str, path: Any, *_: Any) -> ModuleSpec | None:
        """As Python finds it, with another loader."""
        own = self._imports.get(fullname)
        spec = None if own is None else PathFinder.find_spec(fullname, path)
        if spec is not None and spec.loader is not None and own is not None:
            spec.loader = _Loader(spec.loader, own)
        return spec


class _Loader(Loader):
    """Executes a module whose `import` is another one.

    Only that module's own: what other modules and threads import gets everything as it is.
    """

    def __init__(self, loader: Loader, own: Import) -> None:
        self._loader = loader
        self._own = own

    def exec_module(self, module: ModuleType) -> None:
        """With the module's own `import`; as ever where it can't be executed so."""
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": self._own}
        try:
            self._loader.exec_module(module)
        except (AttributeError, TypeError):
            module.__dict__["__builtins__"] = vars(builtins)
            self._loader.exec_module(module)
