"""Values of JSON whose type is tested when they are taken out.

Without a library that validates, because reading a graph file is on the path of every process that
Dagster starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ShapeError(Exception):
    """JSON that is not shaped like a graph file; the message begins with where."""


def known(raw: Mapping[str, Any], keys: frozenset[str]) -> None:
    """Raises ShapeError where `raw` has a key that is not one of `keys`."""
    if not raw.keys() <= keys:
        raise ShapeError(f"unknown key {min(raw.keys() - keys)!r}")


def text(raw: Mapping[str, Any], key: str, default: str | None = None) -> str:
    """The string at `key`, or `default` where there is none. Raises ShapeError."""
    value = raw.get(key, default)
    if type(value) is not str:
        raise ShapeError(f"{key}: a string is expected")
    return value


def text_or_none(raw: Mapping[str, Any], key: str) -> str | None:
    """The string at `key`, or None where there is none. Raises ShapeError."""
    value = raw.get(key)
    if value is not None and type(value) is not str:
        raise ShapeError(f"{key}: a string is expected")
    return value


def flag(raw: Mapping[str, Any], key: str, default: bool) -> bool:
    """The boolean at `key`, or `default` where there is none. Raises ShapeError."""
    value = raw.get(key, default)
    if type(value) is not bool:
        raise ShapeError(f"{key}: true or false is expected")
    return value


def texts(raw: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """The list of strings at `key`, or an empty one. Raises ShapeError."""
    values = raw.get(key)
    if values is None:
        return ()
    if type(values) is not list or not all(type(value) is str for value in values):
        raise ShapeError(f"{key}: a list of strings is expected")
    return tuple(values)


def texts_by_key(raw: Mapping[str, Any], key: str) -> dict[str, str]:
    """The object of strings at `key`, or an empty one. Raises ShapeError."""
    values = raw.get(key)
    if values is None:
        return {}
    if type(values) is not dict or not all(type(value) is str for value in values.values()):
        raise ShapeError(f"{key}: an object of strings is expected")
    return values
