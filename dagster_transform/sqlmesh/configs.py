"""The configuration of a SQLMesh project, with its paths taken from the project's own folder."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dagster_transform.sqlmesh.connections import relative_paths, taken_from

_CONNECTIONS = ("connection", "state_connection", "test_connection")


def read_configs(paths: Sequence[str]) -> dict[Path, Any]:
    """The configs of a project's folders, as SQLMesh reads them, but for relative paths of DuckDB
    files: each is taken from the folder whose config has it, and not from this process's working
    directory, which a code server, a run and the command line have another one of each.

    Args:
        paths: The folders, resolved.

    Returns:
        By folder, for `Context(config=...)`.

    Raises:
        ConfigError: SQLMesh's, where one is missing or wrong.
    """
    from sqlmesh import Context
    from sqlmesh.core.config.loader import load_configs

    found = load_configs(None, Context.CONFIG_TYPE, list(paths))
    return {folder: _taken_from(folder, config) for folder, config in found.items()}


def relative_files(paths: Sequence[str]) -> list[tuple[Path, str]]:
    """The DuckDB files that the configs of a project name by relative paths, with the folder of
    each config, from which `read_configs` takes them.

    Args:
        paths: The folders, resolved.

    Raises:
        ConfigError: SQLMesh's, where one is missing or wrong.
    """
    from sqlmesh import Context
    from sqlmesh.core.config.loader import load_configs

    found: dict[tuple[Path, str], None] = {}
    for folder, config in load_configs(None, Context.CONFIG_TYPE, list(paths)).items():
        gateways: Any = config.gateways
        every = gateways.values() if isinstance(gateways, dict) else [gateways]
        for owner in (*every, config):
            for name in (*_CONNECTIONS, "default_connection"):
                connection = getattr(owner, name, None)
                if connection is not None:
                    found.update(((folder, path), None) for path in relative_paths(connection))
    return [*found]


def shell_command(paths: Sequence[str | Path], what: str, gateway: str | None = None) -> str:
    """What people type for a project: in its folder, where its relative paths lead to the same
    files as here.

    Args:
        paths: Its folders.
        what: The command of `sqlmesh` and its arguments.
        gateway: The gateway, if it is not the project's default one.
    """
    first, *others = [shlex.quote(str(path)) for path in paths]
    options = "".join(f"-p {path} " for path in (".", *others)) if others else ""
    options += f"--gateway {shlex.quote(gateway)} " if gateway else ""
    return f"cd {first} && sqlmesh {options}{what}"


def shell_command_of(context: Any, what: str) -> str:
    """The same, for an open project (a sqlmesh Context)."""
    return shell_command([*context.configs], what, context.gateway)


def _taken_from(folder: Path, config: Any) -> Any:
    gateways = config.gateways
    if isinstance(gateways, dict):
        moved: Any = {name: _gateway(folder, gateway) for name, gateway in gateways.items()}
    else:
        moved = _gateway(folder, gateways)
    names = ("default_connection", "default_test_connection_")
    return config.model_copy(update={"gateways": moved, **_moved(folder, config, names)})


def _gateway(folder: Path, gateway: Any) -> Any:
    return gateway.model_copy(update=_moved(folder, gateway, _CONNECTIONS))


def _moved(folder: Path, owner: Any, names: Sequence[str]) -> dict[str, Any]:
    found = {name: getattr(owner, name) for name in names}
    return {n: taken_from(folder, c) for n, c in found.items() if c is not None}
