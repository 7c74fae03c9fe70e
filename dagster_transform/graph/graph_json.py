"""The JSON shape of a graph inside a graph file: nodes, sources, checks and the drift.

Constructor calls are written out: every process that Dagster starts reads it. What has its default
value is not in the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from dagster_transform.databases.identity import ConnectionIdentity
from dagster_transform.graph.column_json import (
    Columns,
    Reach,
    decode_column,
    decode_columns,
    decode_node_columns,
    encode_column,
    rank,
)
from dagster_transform.graph.drift import Drift
from dagster_transform.graph.graph import Graph
from dagster_transform.graph.ids import CheckId, InputId, NodeId, SourceId, UnitId
from dagster_transform.graph.json_shapes import (
    ShapeError,
    flag,
    known,
    text,
    text_or_none,
    texts,
    texts_by_key,
)
from dagster_transform.graph.nodes import (
    Check,
    Column,
    Location,
    Node,
    Position,
    Presence,
    Relation,
    Source,
)

_T = TypeVar("_T")
_Object = dict[str, Any]


def encode_graph(graph: Graph) -> _Object:
    """The graph as an object of JSON, with the keys `columns`, `nodes`, `sources` and `checks`.

    `columns` lists each distinct column once; nodes and sources have their columns' places in it.
    """
    owners: tuple[Node | Source, ...] = (*graph.nodes.values(), *graph.sources.values())
    columns = {column: encode_column(column) for owner in owners for column in owner.columns}
    in_order = sorted(columns, key=rank)
    table = [columns[column] for column in in_order]
    places = {column: place for place, column in enumerate(in_order)}
    return {
        "columns": table,
        "nodes": [_encode_node(node, places) for node in graph.nodes.values()],
        "sources": [_encode_source(source, places) for source in graph.sources.values()],
        "checks": [_encode_check(check) for check in graph.checks.values()],
    }


def decode_graph(raw: Mapping[str, Any]) -> Graph:
    """The graph that `encode_graph` encoded; other keys are not looked at.

    Raises:
        ShapeError: A key is missing or unknown in a node, source or check, or a type is wrong.
        GraphError: The graph is not consistent (see `Graph.of`).
    """
    rows = raw.get("columns")
    if type(rows) is not list:
        raise ShapeError("columns: a list is expected")
    # A dict and not a list, which would take a negative place.
    columns = {place: decode_column(row) for place, row in enumerate(rows)}
    reach = {
        place: max(dependency for dependency, _ in column.sources)
        for place, column in columns.items()
        if column.sources
    }
    return Graph.of(
        _each(raw, "nodes", lambda node: _decode_node(node, columns, reach)),
        _each(raw, "sources", lambda source: _decode_source(source, columns)),
        _each(raw, "checks", _decode_check),
    )


# Writing. A value is not written where it equals the default of its type's constructor.

_NODE_DEFAULTS: _Object = {
    "key": (),
    "physical": None,
    "deps": (),
    "cron": None,
    "time_zone": None,
    "interval_unit": None,
    "group": None,
    "tags": (),
    "owners": (),
    "description": None,
    "columns": [],
    "code_version": None,
    "fingerprint": None,
    "location": None,
    "presence": "unknown",
    "properties": {},
}
_SOURCE_DEFAULTS: _Object = {
    "description": None,
    "columns": [],
    "key": (),
    "key_is_default": False,
}
_CHECK_DEFAULTS: _Object = {
    "also": (),
    "kind": "audit",
    "reference": "",
    "blocking": True,
    "in_build": False,
    "position": None,
    "description": None,
    "location": None,
    "properties": {},
}
_DRIFT_DEFAULTS: _Object = {"new": (), "changed": (), "affected": (), "removed": (), "other": ()}


def _fields(value: object, defaults: _Object, **encoded: object) -> _Object:
    """The fields that `defaults` names and that differ; `encoded` stands in for what JSON lacks."""
    found = {name: encoded.get(name, getattr(value, name)) for name in defaults}
    return {name: item for name, item in found.items() if item != defaults[name]}


def _encode_node(node: Node, places: Mapping[Column, int]) -> _Object:
    return {
        "id": node.id,
        "project": node.project,
        "framework": node.framework,
        "reference": node.reference,
        "name": node.name,
        "kind": node.kind,
        "relation": _encode_relation(node.relation),
        **_fields(
            node,
            _NODE_DEFAULTS,
            physical=None if node.physical is None else _encode_relation(node.physical),
            columns=[places[column] for column in node.columns],
            location=_encode_location(node.location),
            presence=node.presence.value,
            properties=dict(node.properties),
        ),
    }


def _encode_source(source: Source, places: Mapping[Column, int]) -> _Object:
    columns = [places[column] for column in source.columns]
    return {
        "id": source.id,
        "project": source.project,
        "reference": source.reference,
        "name": source.name,
        "relation": _encode_relation(source.relation),
        **_fields(source, _SOURCE_DEFAULTS, columns=columns),
    }


def _encode_check(check: Check) -> _Object:
    return {
        "id": check.id,
        "project": check.project,
        "name": check.name,
        "target": check.target,
        **_fields(
            check,
            _CHECK_DEFAULTS,
            position=_encode_position(check.position),
            location=_encode_location(check.location),
            properties=dict(check.properties),
        ),
    }


def _encode_position(position: Position | None) -> list[list[str]] | None:
    return None if position is None else [[*position.after], [*position.behind], [*position.before]]


def encode_drift(drift: Drift) -> _Object:
    """The drift as an object of JSON."""
    return _fields(drift, _DRIFT_DEFAULTS)


def _encode_relation(relation: Relation) -> list[str | None]:
    return [relation.connection, relation.catalog, relation.schema, relation.name]


def _encode_location(location: Location | None) -> list[Any] | None:
    return None if location is None else [location.path, location.line]


# Reading. Every value's type is tested, so that damage shows here and not in the middle of a run.

_NODE_KEYS = frozenset(
    {"id", "project", "framework", "reference", "name", "kind", "relation"}
) | frozenset(_NODE_DEFAULTS)
_SOURCE_KEYS = frozenset({"id", "project", "reference", "name", "relation"}) | frozenset(
    _SOURCE_DEFAULTS
)
_CHECK_KEYS = frozenset({"id", "project", "name", "target"}) | frozenset(_CHECK_DEFAULTS)
_PRESENCE = {presence.value: presence for presence in Presence}


def _each(raw: Mapping[str, Any], key: str, decode: Callable[[Mapping[str, Any]], _T]) -> list[_T]:
    items = raw.get(key)
    if type(items) is not list:
        raise ShapeError(f"{key}: a list is expected")
    decoded: list[_T] = []
    for item in items:
        try:
            if type(item) is not dict:
                raise ShapeError("an object is expected")
            decoded.append(decode(item))
        except ShapeError as error:
            raise ShapeError(f"{key}[{len(decoded)}]: {error}") from None
    return decoded


def _decode_node(raw: Mapping[str, Any], columns: Columns, reach: Reach) -> Node:
    known(raw, _NODE_KEYS)
    presence = _PRESENCE.get(text(raw, "presence", "unknown"))
    if presence is None:
        raise ShapeError("presence: an unknown word")
    physical = raw.get("physical")
    return Node(
        id=NodeId(UnitId(text(raw, "id"))),
        project=text(raw, "project"),
        framework=text(raw, "framework"),
        reference=text(raw, "reference"),
        name=text(raw, "name"),
        kind=text(raw, "kind"),
        relation=_decode_relation(raw.get("relation")),
        key=texts(raw, "key"),
        physical=None if physical is None else _decode_relation(physical),
        deps=_inputs(raw, "deps"),
        cron=text_or_none(raw, "cron"),
        time_zone=text_or_none(raw, "time_zone"),
        interval_unit=text_or_none(raw, "interval_unit"),
        group=text_or_none(raw, "group"),
        tags=texts(raw, "tags"),
        owners=texts(raw, "owners"),
        description=text_or_none(raw, "description"),
        columns=decode_node_columns(raw, columns, reach),
        code_version=text_or_none(raw, "code_version"),
        fingerprint=text_or_none(raw, "fingerprint"),
        location=_decode_location(raw.get("location")),
        presence=presence,
        properties=texts_by_key(raw, "properties"),
    )


_OF_A_KEY = _NODE_KEYS - {"columns", "deps", "location", "physical", "presence"}


def decode_named_node(raw: Any) -> Node:
    """A node of another version of the format, without what it reads and its columns.

    Raises:
        ShapeError: It does not say even what it is called.
    """
    if type(raw) is not dict:
        raise ShapeError("nodes: an object is expected")
    return _decode_node({key: raw[key] for key in _OF_A_KEY & raw.keys()}, {}, {})


def _decode_source(raw: Mapping[str, Any], columns: Columns) -> Source:
    known(raw, _SOURCE_KEYS)
    return Source(
        id=SourceId(text(raw, "id")),
        project=text(raw, "project"),
        reference=text(raw, "reference"),
        name=text(raw, "name"),
        relation=_decode_relation(raw.get("relation")),
        description=text_or_none(raw, "description"),
        columns=decode_columns(raw.get("columns"), columns),
        key=texts(raw, "key"),
        key_is_default=flag(raw, "key_is_default", False),
    )


def _decode_check(raw: Mapping[str, Any]) -> Check:
    known(raw, _CHECK_KEYS)
    return Check(
        id=CheckId(UnitId(text(raw, "id"))),
        project=text(raw, "project"),
        name=text(raw, "name"),
        target=SourceId(text(raw, "target")),
        also=_inputs(raw, "also"),
        kind=text(raw, "kind", "audit"),
        reference=text(raw, "reference", ""),
        blocking=flag(raw, "blocking", True),
        in_build=flag(raw, "in_build", False),
        position=_decode_position(raw.get("position")),
        description=text_or_none(raw, "description"),
        location=_decode_location(raw.get("location")),
        properties=texts_by_key(raw, "properties"),
    )


def _decode_position(raw: Any) -> Position | None:
    if raw is None:
        return None
    if type(raw) is not list or len(raw) != 3:
        raise ShapeError("position: [after, behind, before] are expected")
    after, behind, before = (texts({"position": part}, "position") for part in raw)
    return Position(
        cast("tuple[InputId, ...]", after),
        cast("tuple[InputId, ...]", behind),
        cast("tuple[NodeId, ...]", before),
    )


def _inputs(raw: Mapping[str, Any], key: str) -> tuple[InputId, ...]:
    """Which of them are nodes and which sources, the graph knows."""
    return cast("tuple[InputId, ...]", texts(raw, key))


def decode_drift(raw: Any) -> Drift:
    """The drift that `encode_drift` encoded; an empty one for None. Raises ShapeError."""
    if raw is None:
        return Drift()
    if type(raw) is not dict:
        raise ShapeError("drift: an object is expected")
    known(raw, frozenset(_DRIFT_DEFAULTS))
    return Drift(**{key: texts(raw, key) for key in raw})


def _decode_relation(raw: Any) -> Relation:
    match raw:
        case [str() as connection, str() | None as catalog, str() | None as schema, str() as name]:
            return Relation(ConnectionIdentity(connection), catalog, schema, name)
    raise ShapeError("relation, physical: [connection, catalog, schema, name] is expected")


def _decode_location(raw: Any) -> Location | None:
    match raw:
        case None:
            return None
        case [str() as path, int() as line] if type(line) is int:  # a bool is an int too
            return Location(path, line)
    raise ShapeError("location: [path, line] is expected")
