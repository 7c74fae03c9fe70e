"""Private parts of dbt that its commands and projects are reached by, each with a contract test.

What a build that gets its nodes from the run needs beyond that is in `_compat_build`.

tests/contract/test_dbt_compat.py fails, naming the part, when a new version moves one. dbt is
imported inside the functions, and only a child process calls those: no process that loads
definitions imports it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

_CREDENTIALS = (
    "host", "server", "account", "server_hostname", "region_name", "port", "database", "catalog",
    "path",
)  # fmt: skip
_NO_ADAPTER = "Could not find adapter type"
_NO_PROFILE = "Could not find profile named"
_PROFILES = "profiles.yml"


@dataclass(frozen=True, slots=True)
class Invocation:
    """How a dbt command ended.

    Attributes:
        exception: What ended it, or None.
        parts: What dbt had made by then, by the names of its own steps: `flags`, `profile`,
            `project`, `runtime_config`, `manifest`.
    """

    exception: BaseException | None
    parts: dict[str, Any] = field(default_factory=dict)


def invoke(arguments: Sequence[str], listen: Callable[[Any], None]) -> Invocation:
    """Run a dbt command as dbt's own `dbtRunner` does, and keep what it made on the way.

    Args:
        arguments: As on the command line.
        listen: Called with each event.
    """
    from click.exceptions import Exit, UsageError
    from dbt.cli.exceptions import ExceptionExit, ResultExit
    from dbt.cli.main import cli

    parts: dict[str, Any] = {"manifest": None, "callbacks": [listen]}
    try:
        context = cli.make_context(cli.name, list(arguments))
        context.obj = parts
        cli.invoke(context)
    except ExceptionExit as error:
        return Invocation(error.exception, parts)
    except (ResultExit, UsageError, Exit) as error:
        return Invocation(error, parts)
    return Invocation(None, parts)


def is_error(event: Any) -> bool:
    """Whether dbt logs an event as an error."""
    return str(event.info.level) == "error"


def fault(invocation: Invocation) -> str:
    """What is wrong where a command failed: `adapter`, `profile`, `packages`, `project_file` (what
    is in dbt_project.yml) or `files`."""
    error = invocation.exception
    name = type(error).__name__
    if _NO_ADAPTER in str(error):
        return "adapter"
    if name == "UninstalledPackagesFoundError":
        return "packages"
    of_option = getattr(getattr(error, "param", None), "name", None)
    if of_option == "profiles_dir" or _NO_PROFILE in str(error):
        return "profile"
    if "profile" in invocation.parts or "flags" not in invocation.parts:
        return "files"
    # dbt_project.yml is read for the profile's name, and the profile after it.
    in_project_file = name == "DbtValidationError" and _PROFILES not in str(error)
    return "project_file" if in_project_file or name == "DbtProjectError" else "profile"


def connection_of(runtime_config: Any) -> dict[str, Any]:
    """Where the target of a profile leads to; never a user, a password or a token."""
    credentials = runtime_config.credentials
    found = {
        name: value
        for name in _CREDENTIALS
        if isinstance(value := getattr(credentials, name, None), str | int)
    }
    if "path" in found:
        found["path"] = _without_query(found["path"])
    attached = []
    for attachment in getattr(credentials, "attach", None) or ():
        options = getattr(attachment, "options", None) or {}  # since dbt-duckdb 1.10
        kind = attachment.type or options.get("type") or "duckdb"
        # Of other databases, the path is a connection string.
        path = _without_query(attachment.path) if kind == "duckdb" else None
        attached.append({"path": path, "alias": attachment.alias, "type": kind})
    return {"type": credentials.type, **found, **({"attach": attached} if attached else {})}


def _without_query(path: object) -> str:
    """A path without what MotherDuck has behind its `?`: there may be a token."""
    return str(path).partition("?")[0]


def package_folders(runtime_config: Any) -> dict[str, str]:
    """The folder of each package of a project, its own included, by name."""
    return {
        name: str(package.project_root)
        for name, package in runtime_config.load_dependencies().items()
    }


def adapter_version(adapter: str) -> str:
    """The version of an installed adapter, as its own package says it."""
    return str(importlib.import_module(f"dbt.adapters.{adapter}.__version__").version)
