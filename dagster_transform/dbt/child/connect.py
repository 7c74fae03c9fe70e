"""The child process that tries a dbt project's connection, as `dbt debug --connection` does.

A JSON request on standard input, a JSON answer on standard output; what dbt itself prints goes to
standard error.

    {"folder": ..., "arguments": [...]}
    {"connected": true or false, "message": ...}
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from dagster_transform.dbt.child import _compat
from dagster_transform.errors import redact, words_of


def main() -> None:
    """Carry out the request on standard input."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    request = json.load(sys.stdin)
    os.chdir(request["folder"])
    with answer:
        json.dump(_tried(request["arguments"]), answer)


def _tried(arguments: list[str]) -> dict[str, Any]:
    said: list[str] = []

    def listen(event: Any) -> None:
        if (text := _compat.said_of_connection(event)) is not None:
            said.append(text)

    invocation = _compat.invoke(arguments, listen)
    if invocation.exception is None:
        return {"connected": True, "message": ""}
    message = "\n".join(said) or words_of(invocation.exception)
    return {"connected": False, "message": redact(message)}


if __name__ == "__main__":
    main()
