"""Asking Dagster's webserver to load a code location anew.

A reload in a sensor's own process never reaches it: the webserver, and the daemon after it, ask the
code server for definitions when they are told to.
"""

from __future__ import annotations

import base64
import json
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from dagster_transform.errors import redact, words_of

_MUTATION = """
mutation ReloadByTransform($location: String!) {
  reloadRepositoryLocation(repositoryLocationName: $location) {
    __typename
    ... on WorkspaceLocationEntry {
      locationOrLoadError { __typename ... on PythonError { message } }
    }
    ... on Error { message }
  }
}
"""
_LIMIT = 60.0
_LONGEST = 500
"""Characters of an answer that a message shows."""


@dataclass(frozen=True, slots=True)
class Reload:
    """What became of a reload.

    Attributes:
        done: Whether the webserver has it, with the definitions loaded; or still is at it.
        said: In words.
    """

    done: bool
    said: str


def reload_location(webserver: str, location: str, *, wait: float) -> Reload:
    """Ask for a reload, and wait a while for its end.

    The sensor that asks is evaluated in the very code server that is to be replaced: it can't wait
    for that to the end.

    Args:
        webserver: Where it is; a user and a password in it are sent as such (Basic).
        location: The code location's name.
        wait: Seconds to wait for the answer, at most.
    """
    found: list[Reload] = []
    asking = threading.Thread(
        target=lambda: found.append(_reload(webserver, location)), name="reload", daemon=True
    )
    asking.start()
    asking.join(wait)
    if not found:
        return Reload(True, f"Code location {location} is being reloaded by {redact(webserver)}.")
    return found[0]


def _reload(webserver: str, location: str) -> Reload:
    where = redact(webserver)
    failed = f"{where} has not reloaded code location {location}"
    try:
        answer = _post(webserver, {"query": _MUTATION, "variables": {"location": location}})
        found = answer["data"]["reloadRepositoryLocation"]
        error = found if "message" in found else found.get("locationOrLoadError") or {}
    except (OSError, ValueError, KeyError, TypeError) as problem:
        return Reload(False, f"{failed}: {redact(words_of(problem))[:_LONGEST]}")
    if "message" in error:
        return Reload(False, f"{failed}: {redact(str(error['message']))[:_LONGEST]}")
    return Reload(True, f"Code location {location} was reloaded by {where}.")


def _post(webserver: str, body: object) -> Any:
    parts = urlsplit(webserver)
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    place = parts.netloc.rpartition("@")[2]
    path = f"{parts.path.rstrip('/')}/graphql"
    request = urllib.request.Request(  # noqa: S310 - the configuration takes only http and https
        urlunsplit((parts.scheme, place, path, parts.query, "")),
        data=json.dumps(body).encode(),
        headers=headers,
    )
    with urllib.request.urlopen(request, timeout=_LIMIT) as answer:  # noqa: S310 - as above
        return json.load(answer)
