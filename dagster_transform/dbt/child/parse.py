"""The child process of `prepare`: one dbt command, and what dbt knows of the project after it.

A JSON request on standard input, a JSON answer on standard output; what dbt itself prints goes to
standard error.

    {"folder": ..., "arguments": [...], "selection": [...] or null}
    {"error": {"fault": ..., "place": ..., "message": ...} or null, "project": {...} or null}

`selection` are the arguments of a `dbt list` after it. `project` has `dbt` and `adapter`
(versions), `connection`, `threads` and `packages` (folders by name), as far as the command gets
that far; and of the list `selected` (unique ids) and `nothing` (criteria that select nothing).
"""

from __future__ import annotations

import json
import os
import sys
from importlib.metadata import version
from typing import Any

from dagster_transform.dbt.child import _compat
from dagster_transform.errors import words_of


def main() -> None:
    """Carry out the request on standard input."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    request = json.load(sys.stdin)
    # As people who use dbt do: a profiles.yml and the paths in it may be relative.
    os.chdir(request["folder"])
    with answer:
        json.dump(carry_out(request["arguments"], request.get("selection")), answer)


def carry_out(arguments: list[str], selection: list[str] | None = None) -> dict[str, Any]:
    """The answer to a request, whose folder is the working directory."""
    said: list[str] = []
    nothing: list[str] = []

    def listen(event: Any) -> None:
        if _compat.is_error(event):
            said.append(str(event.info.msg))
        if criterion := _compat.selects_nothing(event):
            nothing.append(criterion)

    invocation = _compat.invoke(arguments, listen)
    listed = None
    if invocation.exception is None and selection is not None:
        listed = _compat.invoke(selection, listen, invocation.parts["manifest"])
    if listed is not None and listed.exception is not None:
        return {
            "error": {"fault": "selection", "message": str(listed.exception)},
            "project": None,
        }
    if invocation.exception is not None:
        message = words_of(invocation.exception)
        # dbt logs the exception too, and details that it does not have.
        details = [text for text in said if message not in text]
        kind, place = _compat.fault(invocation)
        error = {"fault": kind, "place": place, "message": "\n".join([message, *details])}
        return {"error": error, "project": None}
    project = _project(invocation.parts.get("runtime_config"))
    if project is not None and listed is not None:
        found = [json.loads(line)["unique_id"] for line in listed.result]
        project |= {"selected": sorted(found), "nothing": nothing}
    return {"error": None, "project": project}


def _project(runtime_config: Any) -> dict[str, Any] | None:
    if runtime_config is None:
        return None
    connection = _compat.connection_of(runtime_config)
    return {
        "dbt": version("dbt-core"),
        "adapter": _compat.adapter_version(connection["type"]),
        "connection": connection,
        "threads": runtime_config.threads,
        "packages": _compat.package_folders(runtime_config),
    }


if __name__ == "__main__":
    main()
