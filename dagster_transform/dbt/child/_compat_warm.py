"""Private parts of dbt that are done ahead of a build, with a contract test
(tests/contract/dbt/test_compat_warm.py)."""

from __future__ import annotations

import importlib
import inspect
import sys
import threading
from contextlib import suppress
from typing import Any

_made: dict[bytes, Any] = {}
"""Projects that are read and not taken yet, by content of partial_parse.msgpack."""
_read: list[Any] = []
"""dbt's own way to read one, once it is replaced."""


def import_dbt() -> None:
    """Import what every build needs."""
    for name in ("dbt.cli.main", "dbt.task.build"):
        importlib.import_module(name)


def read_ahead(parsed: bytes) -> None:
    """Do ahead what every build of a project does first, whatever its options: import, make
    validators, read parsed files.

    Args:
        parsed: Content of partial_parse.msgpack. A build whose project is read from the same
            content takes what was made of it here, once.

    Raises:
        Exception: Whatever dbt raises; it will say so again when the build is begun.
    """
    if parsed in _made:
        return
    import_dbt()
    manifests: Any = importlib.import_module("dbt.contracts.graph.manifest")
    decoder = importlib.import_module("dbt.parser.manifest").extended_mashumuro_decoder
    read = _read[0] if _read else manifests.Manifest.from_msgpack
    of_dbt = manifests.get_mp_context
    manifests.get_mp_context = lambda: threading
    try:
        manifest = _made[parsed] = read(parsed, decoder=decoder)
    finally:
        manifests.get_mp_context = of_dbt
    if not _read:  # not before: the first call makes the method, and puts it in its place
        _read.append(manifests.Manifest.from_msgpack)
        manifests.Manifest.from_msgpack = _take
    for kind in _validated(manifest):
        kind.json_schema()


def make_methods() -> None:
    """Have the methods made, for the projects that are read, that mashumaro makes at their first
    call: of what a build reads from a project's files, and of what it says of its nodes. A process
    that has only one build to do makes no more of them than it needs."""
    selection = importlib.import_module("dbt.contracts.selection")
    for manifest in _made.values():
        relation = _plugin(manifest).adapter.Relation
        for kind in (*_validated(manifest), selection.SelectorFile, relation):
            with suppress(Exception):  # it misses what each of them has
                kind.from_dict({})
        first: dict[type, Any] = {}
        for known in (manifest.nodes, manifest.sources, manifest.unit_tests, manifest.macros):
            for each in known.values():
                first.setdefault(type(each), each)
        for each in first.values():
            each.to_dict(omit_none=False)
    # dbt asks, for a warning that it may never give, in which module each caller is. What that
    # finds out of all modules is kept.
    inspect.stack()


def _validated(manifest: Any) -> tuple[Any, ...]:
    """What a build validates that it reads from a project's files."""
    project = importlib.import_module("dbt.contracts.project")
    return (project.Project, project.ProjectFlags, project.PackageConfig, project.Configuration,
            _plugin(manifest).credentials)  # fmt: skip


def _plugin(manifest: Any) -> Any:
    return importlib.import_module(f"dbt.adapters.{manifest.metadata.adapter_type}").Plugin


def end_threads() -> None:
    """End what importing an adapter has begun and a fork would lack.

    Since 1.4, DuckDB has a default connection from its import on, with threads. It makes a new one
    for whoever asks for it; before 1.3 it does not.
    """
    if has_threads() and (duckdb := sys.modules.get("duckdb")) is not None:
        duckdb.close()


def has_threads() -> bool:
    """Whether there are others than the main thread, of Python or not."""
    import psutil  # type: ignore[import-untyped]

    return bool(psutil.Process().num_threads() > 1)


def forget() -> None:
    """Forget the projects that nobody has taken."""
    _made.clear()


def _take(parsed: bytes, *args: Any, **kwargs: Any) -> Any:
    found = _made.pop(parsed, None)
    if found is None:
        return _read[0](parsed, *args, **kwargs)
    # Not the one that it was read with: several processes would share a lock of multiprocessing's,
    # and wait for ever for the one that is killed with it.
    manifests: Any = importlib.import_module("dbt.contracts.graph.manifest")
    found._lock = manifests.get_mp_context().Lock()
    return found
