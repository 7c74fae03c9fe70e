"""What a run says of a project that its outcomes don't say: the files, the environment and the
database are not what the graph was made from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from sqlglot import exp

from dagster_transform.databases.identity import ConnectionIdentity
from dagster_transform.graph import Graph, InputId, Node, Source
from dagster_transform.sqlmesh.errors import ProjectLoadError
from dagster_transform.sqlmesh.gateways import Gateways
from dagster_transform.sqlmesh.settings import SqlmeshSettings
from dagster_transform.sqlmesh.state.current_environment import PlannedEnvironment
from dagster_transform.walk import Elsewhere

_NAMED = 10


def of_other_versions(
    name: str,
    command: str,
    settings: SqlmeshSettings,
    nodes: Iterable[Node],
    by_name: Mapping[str, Any],
) -> str:
    """That the files have other versions of what a run builds; empty if they have the same.

    Args:
        name: The project's name in transform.yaml.
        command: What people type to plan it.
        settings: What the run asks for.
        nodes: What is built, as the files have it.
        by_name: What the environment has of it: SQLMesh's snapshots by fully qualified name.
    """
    other = sorted(n.name for n in nodes if _differs(n, by_name.get(n.reference)))
    if not other:
        return ""
    environment = settings.environment
    return (
        f"Project {name}: the files have other versions of {_listed(other)} than environment "
        f"{environment}. What is built is what the environment has. To build what the files have, "
        f"plan: run the job {name}_plan with apply: true, or `{command}`"
    )


def of_expiry(
    name: str, command: str, settings: SqlmeshSettings, planned: PlannedEnvironment
) -> str:
    """That an environment has expired; empty if it has not.

    Args:
        name: The project's name in transform.yaml.
        command: What people type to plan it.
        settings: What the run asks for.
        planned: The environment.
    """
    if planned.expired_at is None:
        return ""
    environment = settings.environment
    return (
        f"Project {name}: environment {environment} has expired on "
        f"{planned.expired_at:%Y-%m-%d %H:%M} UTC, and the janitor drops it. To keep it, plan it "
        f"again: `{command}`, or the job {name}_plan with apply: true"
    )


def of_another_database(name: str, context: Any, nodes: Collection[Node]) -> str:
    """That a run's tables are elsewhere than the graph says; empty if they are there.

    What is built and claimed is what SQLMesh says in the run. Only the assets' keys, which have the
    catalog, are those of the graph.

    Args:
        name: The project's name in transform.yaml.
        context: Its Context. No connection is opened.
        nodes: Those that were selected, as `prepare` read them.

    Raises:
        ProjectLoadError: Their catalog is another one: their keys would be those of other assets.
    """
    gateways = Gateways(context)
    for node in sorted(nodes, key=lambda node: node.name):
        if (here := _other_database(gateways, node)) is not None:
            elsewhere = (
                f"Project {name}: in this run {node.name} is in {here}; when the graph was "
                f"prepared it was in {node.relation.connection}. The gateway, or an environment "
                "variable that the project's config reads, has another value here."
            )
            _refuse_other_catalog(context, nodes, elsewhere)
            return (
                f"{elsewhere} What is built, and claimed, is what is here; the links between "
                "assets are those of the graph. Run `dagster-transform prepare` with the values "
                "that runs have"
            )
    return ""


def in_other_databases(
    context: Any, nodes: Collection[Node], graph: Graph
) -> dict[InputId, Elsewhere]:
    """What is in another database than the graph says, under the same name.

    Args:
        context: The project's Context. No connection is opened.
        nodes: Those that were selected. A source that they read is where they are, if it was.
        graph: The graph.
    """
    gateways = Gateways(context)
    there: dict[ConnectionIdentity, ConnectionIdentity] = {}
    for node in nodes:
        if (here := _other_database(gateways, node)) is not None:
            there[node.relation.connection] = here
    found: dict[InputId, Elsewhere] = {}
    above = {id for node in nodes for id in graph.upstream(node.id)}
    read = [source for id in sorted(above) if (source := graph.source(id)) is not None]
    concerned: tuple[Node | Source, ...] = (*nodes, *read)
    for each in concerned:
        if (here := there.get(each.relation.connection)) is not None:
            before = f"(the graph file says {each.relation.connection})"
            relation = replace(each.relation, connection=here)
            found[each.id] = Elsewhere(relation, f"{relation} in {here} {before}")
    return found


def _other_database(gateways: Gateways, node: Node) -> ConnectionIdentity | None:
    """Where a node is, if not in the database that the graph says."""
    named = dict.fromkeys((gateways.default, node.properties.get("gateway", "")))
    here = [
        gateways.connection_of(gateway, node.relation.catalog)
        for gateway in named
        if gateway in gateways.connections
    ]
    return here[0] if node.relation.connection not in here else None


def _refuse_other_catalog(context: Any, nodes: Collection[Node], elsewhere: str) -> None:
    catalogs = {exp.to_table(node.reference).catalog for node in nodes}
    here = context.default_catalog
    if here and here not in catalogs:
        raise ProjectLoadError(
            f"{elsewhere} The catalog is {here}, where the assets' is "
            f"{', '.join(sorted(catalogs))}: what is built here would be told of other assets.",
            remedy="Give this process the same values, or run `dagster-transform prepare` with "
            "those that it has.",
        )


def _differs(node: Node, snapshot: Any | None) -> bool:
    if snapshot is None:
        return False
    if node.fingerprint is None:
        return bool(node.code_version and node.code_version != snapshot.fingerprint.data_hash)
    return bool(node.fingerprint != snapshot.fingerprint.to_identifier())


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def of_skipped_audits(nodes: Iterable[Node], by_name: Mapping[str, Any]) -> str:
    """Which audits are not run because their files say so; empty if there are none.

    Args:
        nodes: What is built or checked.
        by_name: What the environment has of it: SQLMesh's snapshots by fully qualified name.
    """
    found = [
        f"{audit.name} of {node.name}"
        for node in nodes
        if node.reference in by_name
        for audit, _ in by_name[node.reference].node.audits_with_args
        if audit.skip
    ]
    return f"Audits that their files skip are not run: {_listed(sorted(found))}" if found else ""
