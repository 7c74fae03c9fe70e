"""Private parts of dbt that its commands and projects are reached by, each with a contract test.

What a build that gets its nodes from the run needs beyond that is in `_compat_build`.

tests/contract/test_dbt_compat.py fails, naming the part, when a new version moves one. dbt is
imported inside the functions, and only a child process calls those: no process that loads
definitions imports it.
"""

from __future__ import annotations

import errno
import importlib
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from dagster_transform.databases.transient import chain

_CREDENTIALS = (
    "host", "server", "account", "server_hostname", "region_name", "port", "database", "catalog",
    "path",
)  # fmt: skip
_NO_ADAPTER = "Could not find adapter type"
_NO_PROFILE = "Could not find profile named"
_NO_TARGET = "does not have a target named"
_NO_VARIABLE = "Env var required but not provided"
_DATABASE_SAID = "The database returned the following error:"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_PROFILES = "profiles.yml"
_PROJECT_FILE = "dbt_project.yml"
_FULL = frozenset({errno.EDQUOT, errno.EFBIG, errno.ENOSPC, errno.EROFS})


@dataclass(frozen=True, slots=True)
class Invocation:
    """How a dbt command ended.

    Attributes:
        exception: What ended it, or None.
        parts: What dbt had made by then, by the names of its own steps: `flags`, `profile`,
            `project`, `runtime_config`, `manifest`.
        result: What the command has found.
    """

    exception: BaseException | None
    parts: dict[str, Any] = field(default_factory=dict)
    result: Any = None


def invoke(
    arguments: Sequence[str], listen: Callable[[Any], None], manifest: Any = None
) -> Invocation:
    """Run a dbt command as dbt's own `dbtRunner` does, and keep what it made on the way.

    Args:
        arguments: As on the command line.
        listen: Called with each event.
        manifest: The project as it is parsed already; None: the command parses it.
    """
    from click.exceptions import Exit, UsageError
    from dbt.cli.exceptions import ExceptionExit, ResultExit
    from dbt.cli.main import cli

    parts: dict[str, Any] = {"manifest": manifest, "callbacks": [listen]}
    try:
        context = cli.make_context(cli.name, list(arguments))
        context.obj = parts
        result, _ = cli.invoke(context)
    except ExceptionExit as error:
        return Invocation(error.exception, parts)
    except (ResultExit, UsageError, Exit) as error:
        return Invocation(error, parts)
    return Invocation(None, parts, result)


def selects_nothing(event: Any) -> str | None:
    """The criterion of which an event says that it selects nothing; None: it says no such thing."""
    if event.info.name != "NoNodesForSelectionCriteria":
        return None
    return str(event.data.spec_raw)


def said_of_connection(event: Any) -> str | None:
    """Why the database can't be connected to, as `dbt debug` says it in an event; None: the event
    says something else."""
    if event.info.name not in {"DebugCmdOut", "DebugCmdResult"}:
        return None
    _, found, rest = _COLOURS.sub("", str(event.info.msg)).partition(_DATABASE_SAID)
    return rest.partition("\n\nCheck your database credentials")[0].strip(" >\n") if found else None


def is_error(event: Any) -> bool:
    """Whether dbt logs an event as an error."""
    return str(event.info.level) == "error"


def fault(invocation: Invocation) -> tuple[str, str]:
    """What is wrong where a command failed, and the file at fault; see `faults.Fault`."""
    error = invocation.exception
    links = list(chain(error))
    name, words = type(error).__name__, "\n".join(map(str, links))
    profiles = os.path.join(_profiles_folder(invocation), _PROFILES)
    early = "profile" not in invocation.parts
    flags = invocation.parts.get("flags")
    ours = [str(p) for name in ("TARGET_PATH", "LOG_PATH") if (p := getattr(flags, name, None))]
    if (refused := unwritable(error, ours)) is not None:
        return "artifacts", str(refused.filename or "")
    if _NO_ADAPTER in words:
        return "adapter", ""
    if name == "UninstalledPackagesFoundError":
        return "packages", ""
    of_option = getattr(getattr(error, "param", None), "name", None)
    if of_option == "profiles_dir" or (_NO_PROFILE in words and not os.path.exists(profiles)):
        return "no_profiles", ""
    if _NO_PROFILE in words:
        return "no_profile", profiles
    if _NO_TARGET in words:
        return "no_target", profiles
    # dbt_project.yml is read for the profile's name, and the profile after it.
    in_project_file = name == "DbtValidationError" and _PROFILES not in words
    in_project_file = in_project_file or name == "DbtProjectError"
    if _NO_VARIABLE in words:
        if early:
            return "variable", profiles
        return "variable", "" if "runtime_config" in invocation.parts else _PROJECT_FILE
    if not early or "flags" not in invocation.parts:
        return "files", ""
    return ("project_file", "") if in_project_file else ("profile", profiles)


def unwritable(error: BaseException | None, folders: Sequence[str] = ()) -> OSError | None:
    """What the system has said, where an error is that a file can't be written: there is no room,
    or the file is in one of the folders that dbt writes to."""
    for link in chain(error):
        if isinstance(link, OSError) and (
            link.errno in _FULL or str(link.filename).startswith(tuple(folders))
        ):
            return link
    return None


def _profiles_folder(invocation: Invocation) -> str:
    flags = invocation.parts.get("flags")
    return str(getattr(flags, "PROFILES_DIR", None) or "")


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
