"""What is wrong with the definitions that a code location loads."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from dagster_transform.dagster._compat_doctor import definitions_in, goes_on_after_failures
from dagster_transform.dagster.schedules.launching import schedule_name
from dagster_transform.errors import redact, with_class
from dagster_transform.planning.findings import Code, Finding, Severity, of_error

_ONE_NAME = re.compile(r"Duplicate (?:job )?definition found for (?:.*')?(\w+)\b")
_ONE_KEY = "Duplicate asset key"
_TWO_EXECUTORS = "both have an executor"


def definitions_findings(
    target: str, folder: Path, groups: Collection[str] = (), file: str = ""
) -> list[Finding]:
    """Load the definitions as a code location does, and look at their executor. Code of the user's
    is executed.

    Args:
        target: A file (`definitions.py`) or a module.
        folder: The working directory of the code location.
        groups: The names of the job groups.
        file: The job group file.
    """
    try:
        with _from(folder):
            found = definitions_in(target, folder)
            executors = [defs.executor for defs in found]
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's code may raise anything
        what = f"The definitions of {target} can't be loaded."
        remedy = _remedy(str(error), groups, file)
        told = of_error(Code.DEFINITIONS_UNLOADABLE, what, error, target, remedy=remedy)
        return [replace(told, cause="\n".join([told.cause, *_causes(error)]))]
    return [
        Finding(
            Code.EXECUTOR_NOT_OURS,
            Severity.WARNING,
            what=f"The definitions of {target} have {_called(executor)}, not the transform's.",
            cause="Pressing Materialize takes it: each op is then a process of its own, which "
            "loads everything anew, and a failed model stops every Python asset of its run.",
            remedy="Your Definitions take `executor=transform_executor()` of dagster_transform. "
            "build_transform_definitions and TransformComponent set it by themselves, unless their "
            "`executor` says otherwise; build_dbt_assets and build_sqlmesh_assets can't.",
            where=target,
        )
        for executor in executors
        if not goes_on_after_failures(executor)
    ]


def _causes(error: BaseException) -> Iterator[str]:
    """What an error was raised from: Dagster's "Failed to resolve asset job" does not say why."""
    while (cause := error.__cause__) is not None:
        yield redact(with_class(cause))
        error = cause


def _remedy(said: str, groups: Collection[str], file: str) -> str:
    """What helps against an error of Dagster's."""
    if _ONE_KEY in said:
        return (
            "Two definitions make this asset. Where @dbt_assets or dagster-sqlmesh makes it too, "
            "take that out: docs/moving has the steps."
        )
    if _TWO_EXECUTORS in said:
        return (
            "A code location has one executor: `build_transform_definitions(executor=None)`, and "
            "`executor=transform_executor()` of dagster_transform in your own Definitions."
        )
    one = _ONE_NAME.search(said)
    if one is None:
        return "Mend them; `dagster definitions validate` says more."
    for group in groups:
        if one[1] in (group, schedule_name(group)):
            return (
                f"Job group {group} of {file} makes {one[1]}, and so do your definitions. Rename "
                "the group in the file, or what is your own; a schedule with a new name begins "
                "switched off."
            )
    return f"Two of your definitions are called {one[1]}: rename one."


def _called(executor: object) -> str:
    if executor is None:
        return "no executor"
    return f"the executor {getattr(executor, 'name', type(executor).__name__)}"


@contextmanager
def _from(folder: Path) -> Iterator[None]:
    """In a folder, as a code location that is started there."""
    before, path = os.getcwd(), list(sys.path)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
        sys.path[:] = path
