"""The JSON shape of columns inside a graph file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster_transform.graph.json_shapes import ShapeError
from dagster_transform.graph.nodes import Column

Columns = Mapping[int, Column]
"""By place in the file's list of columns."""
Reach = Mapping[int, int]
"""By the same: the place of the last dependency that a column is computed from."""


def encode_column(column: Column) -> list[Any]:
    """Its fields, without those at the end that have their default value; the sources flat."""
    row: list[Any] = [column.name, column.type, column.description]
    if column.sources:
        row.append([part for source in column.sources for part in source])
    while row[-1] is None or (row[-1] == "" and len(row) == 2):
        row.pop()
    return row


def rank(column: Column) -> tuple[Any, ...]:
    """The place of a column among others."""
    described = column.description is not None
    return column.name, column.type, described, column.description or "", column.sources


def decode_columns(raw: Any, columns: Columns) -> tuple[Column, ...]:
    """The columns at places in the file's list. Raises ShapeError."""
    if raw is None:
        return ()
    if type(raw) is list:
        try:
            return tuple([columns[place] for place in raw])
        except (KeyError, TypeError):
            pass
    raise ShapeError("columns: places in the file's list of columns are expected")


def decode_node_columns(
    raw: Mapping[str, Any], columns: Columns, reach: Reach
) -> tuple[Column, ...]:
    """The columns of a node; what they are computed from, it reads. Raises ShapeError."""
    places = raw.get("columns")
    decoded = decode_columns(places, columns)
    if (
        decoded
        and reach
        and max([reach.get(place, -1) for place in places or ()]) >= len(raw.get("deps") or ())
    ):
        raise ShapeError("columns: one is computed from a dependency that the node does not have")
    return decoded


def decode_column(raw: Any) -> Column:
    """A column from its fields. Raises ShapeError."""
    match raw:
        case [str() as name]:
            return Column(name)
        case [str() as name, str() as type]:
            return Column(name, type)
        case [str() as name, str() as type, str() as description]:
            return Column(name, type, description)
        case [str() as name, str() as type, (str() | None) as description, [_, *_] as sources]:
            return Column(name, type, description, _decode_sources(sources))
    raise ShapeError("columns: [name, type, description, sources] are expected")


def _decode_sources(raw: list[Any]) -> tuple[tuple[int, str], ...]:
    pairs = tuple(zip(raw[::2], raw[1::2], strict=False))
    if len(raw) % 2 or not all(
        type(place) is int and place >= 0 and type(name) is str for place, name in pairs
    ):
        raise ShapeError("columns: sources: [place of a dependency, column, ...] are expected")
    return pairs
