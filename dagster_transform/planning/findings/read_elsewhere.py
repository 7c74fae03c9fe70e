"""What a project reads in one database and another project builds in another one.

Dagster draws no line between the two, and the reader finds a table that is missing or old. It comes
of two relative paths that look like one DuckDB file, or of two names for one server.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TypeAlias

from dagster_transform.databases.identity import ConnectionIdentity, duckdb_file
from dagster_transform.graph import Graph, Node, Relation, Source
from dagster_transform.planning.findings.values import Code, Finding, Severity

_NAMED = 3
_Pair: TypeAlias = tuple[str, str, ConnectionIdentity, ConnectionIdentity]
"""Who reads, who builds, and the database of each."""


def read_elsewhere_findings(graphs: Collection[Graph], root: Path) -> list[Finding]:
    """A finding for each pair of projects and their databases.

    Two engines may have tables of one name on purpose, and so may two databases of one engine: that
    is why it is a warning.

    Args:
        graphs: One for each project, not combined: two that don't fit are looked at as well.
        root: The folder of transform.yaml; files below it are shown from there.
    """
    nodes = [node for graph in graphs for node in graph.nodes.values()]
    built = {node.relation for node in nodes}
    by_name: dict[tuple[str, str], list[Node]] = {}
    for node in nodes:
        by_name.setdefault(_name(node.relation), []).append(node)
    alike: dict[_Pair, set[str]] = {}
    for source, node in _pairs(graphs, built, by_name):
        pair = (source.project, node.project, source.relation.connection, node.relation.connection)
        alike.setdefault(pair, set()).add(".".join(_name(source.relation)).lstrip("."))
    return [_finding(pair, sorted(names), root) for pair, names in sorted(alike.items())]


def _pairs(
    graphs: Iterable[Graph],
    built: Collection[Relation],
    by_name: dict[tuple[str, str], list[Node]],
) -> Iterable[tuple[Source, Node]]:
    """What is read and nobody builds, with what is called like it in another database."""
    for graph in graphs:
        for source in graph.sources.values():
            relation = source.relation
            if relation in built:
                continue
            for node in by_name.get(_name(relation), ()):
                there = node.relation.connection
                if (
                    node.project != source.project
                    and there != relation.connection
                    and _engine(there) == _engine(relation.connection)
                ):
                    yield source, node


def _name(relation: Relation) -> tuple[str, str]:
    return (relation.schema or "").lower(), relation.name.lower()


def _engine(connection: ConnectionIdentity) -> str:
    return connection.partition(":")[0]


def _finding(pair: _Pair, names: list[str], root: Path) -> Finding:
    reader, builder, read, built = pair
    more = f" and {len(names) - _NAMED} more" * (len(names) > _NAMED)
    what = f"{', '.join(names[:_NAMED])}{more}"
    files = duckdb_file(read) is not None and duckdb_file(built) is not None
    cause = "Those are two databases: Dagster shows no line between them, and what is read may be "
    cause += "missing or old."
    remedy = "Give both projects the same connection, letter by letter. "
    if files:
        cause += " A relative path of a DuckDB file is taken from the folder of its own project."
        remedy = "Give both projects the same file: an absolute path, or one relative to each "
        remedy += "project's own folder. "
    return Finding(
        Code.READ_ELSEWHERE,
        Severity.WARNING,
        what=f"Project {reader} reads {what} in {_shown(read, root)}; project {builder} builds "
        f"{'it' if len(names) == 1 else 'them'} in {_shown(built, root)}.",
        cause=cause,
        remedy=f"{remedy}If both databases have tables of that name on purpose, nothing is wrong.",
        where=reader,
    )


def _shown(connection: ConnectionIdentity, root: Path) -> str:
    file = duckdb_file(connection)
    if file is None:
        return connection
    path = Path(file)
    return str(path.relative_to(root) if path.is_relative_to(root) else path)
