"""What SQLMesh or a driver raises, as one clear error: what is at fault, and what helps.

SQLMesh's errors are known by their names and its words, so that it is not imported here.
"""

from __future__ import annotations

import errno
import logging
import re
import traceback
from collections.abc import Callable, Sequence
from functools import partial

from dagster_transform.databases.faults import (
    is_disk_full,
    is_forbidden,
    is_missing_relation,
    is_unreachable,
)
from dagster_transform.databases.transient import chain, database_error, is_file_locked
from dagster_transform.errors import redact, with_class, words_of
from dagster_transform.sqlmesh.configs import shell_command
from dagster_transform.sqlmesh.errors import (
    DatabaseError,
    HookError,
    LinterError,
    PackageMissingError,
    PlanRefusedError,
    ProjectFilesError,
    ProjectLoadError,
    SignalError,
    SqlmeshError,
    StateError,
    UnexpectedError,
)

LOADED = "can't be loaded"
"""What can't be done with a project whose files or configuration are wrong."""

_STATE_TABLES = (
    "_auto_restatements", "_environment_statements", "_environments", "_intervals", "_snapshots",
    "_versions",
)  # fmt: skip
_HOOK = re.compile(r"An error occurred during .*'(?P<hook>before_all|after_all)' statement")
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
_log = logging.getLogger("dagster_transform")


def error_of(error: BaseException, name: str, paths: Sequence[str], what: str) -> SqlmeshError:
    """The error of ours for what SQLMesh or a driver has raised.

    Args:
        error: What was raised.
        name: The project's name in transform.yaml.
        paths: Its folders.
        what: What can't be done with it, where nothing more is known.
    """
    links = list(chain(error))
    names = {cls.__name__ for link in links for cls in type(link).__mro__}
    words = words_of(error)
    sqlmesh = partial(shell_command, paths)
    if hook := _HOOK.search(str(error)):
        return HookError(
            f"Project {name}: {hook['hook']} failed: {words}",
            remedy=f"Correct the statement of {hook['hook']} in the project's config.yaml, and "
            f"apply a plan: `{sqlmesh('plan')}`.",
        )
    if database := database_error(error):
        return _of_database(database, name, sqlmesh)
    if system := next((x for x in links if isinstance(x, OSError) and x.errno), None):
        return _of_file(system, name)
    if missing := next((x for x in links if isinstance(x, ImportError)), None):
        return PackageMissingError(
            f"Project {name} {what}: {words_of(missing)}",
            remedy="Install what is missing into the Python environment that Dagster runs in.",
        )
    if "LinterError" in names:
        return LinterError(f"Project {name}: {words}", remedy=f"`{sqlmesh('lint')}` lists what.")
    if "TestError" in names:
        return PlanRefusedError(
            f"Project {name} {what}: {words}", remedy=f"`{sqlmesh('test')}` runs its unit tests."
        )
    if "SignalEvalError" in names:
        return SignalError(f"Project {name}: a signal raised an error: {words}")
    if names & {"PlanError", "RestatementError"}:
        return PlanRefusedError(
            f"Project {name} can't be planned: {words}",
            remedy=f"`{sqlmesh('plan')}` shows the same plan.",
        )
    if "sqlmesh migrate" in words:
        return StateError(
            f"Project {name}: {words}",
            remedy=f"Run `{sqlmesh('migrate')}`, once nothing else uses the project.",
        )
    if "(local)" in words and "(remote)" in words:
        return StateError(
            f"Project {name}: {words}",
            remedy="Install the version here that the state was made with.",
        )
    if what == LOADED:
        return ProjectLoadError(
            f"Project {name} {what}: {words}",
            remedy=f"Correct it, then check with: {sqlmesh('info')}",
        )
    _log.error("%s", redact("".join(traceback.format_exception(error))))
    return UnexpectedError(
        f"Project {name} {what}: {with_class(error)}",
        remedy="The log of this process has its traceback.",
    )


def _of_database(error: BaseException, name: str, sqlmesh: Callable[[str], str]) -> SqlmeshError:
    words = words_of(error)
    if is_missing_relation(error) and (
        table := next((t for t in _STATE_TABLES if re.search(rf"\b{t}\b", words)), None)
    ):
        return StateError(
            f"Project {name}: table {table} of SQLMesh's state is not there: {words}",
            remedy="Restore the state's schema from a backup of its database, or, from a file that "
            f"`sqlmesh state export` has written: {sqlmesh('state import --replace -i FILE')}",
        )
    if is_file_locked(error):
        words = f"{words.rstrip('.')}."  # it ends with a link, to which nothing may be glued
        remedy = "Another process holds the DuckDB file: close it, then run again."
    elif is_disk_full(error):
        remedy = "Make room on the disk of the database, then run again."
    elif is_forbidden(error):
        remedy = "Grant it to the user of the connection in the project's config.yaml."
    elif is_unreachable(error):
        remedy = f"Check the connection in the project's config.yaml; `{sqlmesh('info')}` tests it."
    else:
        remedy = f"The database was reached, and refused a statement; see `{sqlmesh('plan')}`."
    return DatabaseError(f"Project {name}: its database can't be used: {words}", remedy=remedy)


def _of_file(error: OSError, name: str) -> ProjectFilesError:
    place = f"{error.filename}: " if error.filename else ""
    if error.errno in _NO_SPACE:
        remedy = "Make room there"
    else:
        remedy = "Let the user that runs Dagster use it"
    return ProjectFilesError(
        f"Project {name}: {place}{error.strerror or error}",
        remedy=f"{remedy}. SQLMesh keeps its cache in the project's folder, or where cache_dir in "
        "the project's config.yaml says.",
    )
