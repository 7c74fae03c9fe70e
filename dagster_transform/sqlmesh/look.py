"""A process of its own that looks at a project's state and says what it has seen, as JSON.

A sensor is evaluated in a code server, which is to stay small and quick: it imports no SQLMesh. It
starts this: `python -m dagster_transform.sqlmesh.look <transform.yaml> <project> place|recorded`.
What it answers may have a password in it: it goes through a pipe, and nowhere else.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from typing import Any

from dagster_transform.config import SqlmeshProject, load_config
from dagster_transform.databases.transient import FILE_IS_LOCKED
from dagster_transform.errors import TransformError
from dagster_transform.sqlmesh._compat import import_sqlmesh, state_connection
from dagster_transform.sqlmesh.connections import postgres_settings

PLACE, RECORDED = "place", "recorded"
FAILED, IN_USE = 1, 4
"""How the process ends where it can't answer; its standard error has the reason. IN_USE: another
process has the project's DuckDB file."""


def main(arguments: list[str]) -> int:
    """Answer on standard output; how the process ends."""
    file, name, what = arguments
    # SQLMesh and what a config imports may print.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        project = load_config(file).project(name)
        if not isinstance(project, SqlmeshProject):
            raise TypeError(f"{name} is no SQLMesh project")
        found = _place(name, project) if what == PLACE else _recorded(name, project)
    except TransformError as error:
        sys.stderr.write(f"{error}\n")
        return IN_USE if FILE_IS_LOCKED in str(error) else FAILED
    json.dump(found, answers)
    answers.flush()
    return 0


def _place(name: str, project: SqlmeshProject) -> dict[str, Any]:
    """Where the state is, without connecting: what is claimed while it is read, and how a look
    without SQLMesh gets there, where that is known."""
    import_sqlmesh()
    from dagster_transform.sqlmesh.gateways import Gateways
    from dagster_transform.sqlmesh.project import opened
    from dagster_transform.sqlmesh.runs.resource_keys import environment_key, file_keys

    with opened(name, project, [str(path) for path in project.paths]) as context:
        return {
            "environment": environment_key(context, project.environment),
            "files": sorted(file_keys(context, Gateways(context).connections.values())),
            "state_files": sorted(file_keys(context, ())),
            "schema": context.config.get_state_schema(context.gateway),
            "postgres": postgres_settings(state_connection(context)),
        }


def _recorded(name: str, project: SqlmeshProject) -> dict[str, Any]:
    import_sqlmesh()
    from dagster_transform.sqlmesh.project import opened
    from dagster_transform.sqlmesh.state.recorded import read_recorded

    paths = [str(path) for path in project.paths]
    with opened(name, project, paths, "its state can't be read") as context:
        return asdict(read_recorded(context, project.environment))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
