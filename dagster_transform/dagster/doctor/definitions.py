"""What is wrong with the definitions that a code location loads."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dagster_transform.dagster._compat_doctor import definitions_in, goes_on_after_failures
from dagster_transform.planning.findings import Code, Finding, Severity, of_error


def definitions_findings(target: str, folder: Path) -> list[Finding]:
    """Load the definitions and look at their executor. Code of the user's is executed.

    Args:
        target: A file (`definitions.py`) or a module.
        folder: The working directory of the code location.
    """
    try:
        with _from(folder):
            found = definitions_in(target, folder)
            executors = [defs.executor for defs in found]
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's code may raise anything
        what = f"The definitions of {target} can't be loaded."
        remedy = "Mend them; `dagster definitions validate` says more."
        return [of_error(Code.DEFINITIONS_UNLOADABLE, what, error, target, remedy=remedy)]
    return [
        Finding(
            Code.EXECUTOR_NOT_OURS,
            Severity.WARNING,
            what=f"The definitions of {target} have {_called(executor)}, not the transform's.",
            cause="Pressing Materialize takes it: each op is then a process of its own, which "
            "loads everything anew, and a failed model stops every Python asset of its run.",
            remedy="Give them `executor=transform_executor()` of dagster_transform; where nothing "
            "else sets one, leave `executor` out of build_transform_definitions.",
            where=target,
        )
        for executor in executors
        if not goes_on_after_failures(executor)
    ]


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
