"""What a run says of a project that its outcomes don't say: the files, the environment and the
database are not what the graph was made from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dagster_transform.graph import Node
from dagster_transform.sqlmesh.gateways import Gateways
from dagster_transform.sqlmesh.settings import SqlmeshSettings
from dagster_transform.sqlmesh.state.current_environment import PlannedEnvironment

_NAMED = 10


def of_other_versions(
    name: str, path: Any, settings: SqlmeshSettings, nodes: Iterable[Node], by_name: Any
) -> str:
    """That the files have other versions of what a run builds; empty if they have the same.

    Args:
        name: The project's name in transform.yaml.
        path: Its folder.
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
        f"plan: run the job {name}_plan, or `sqlmesh -p {path} plan {environment}`"
    )


def of_expiry(name: str, path: Any, environment: str, planned: PlannedEnvironment) -> str:
    """That an environment has expired; empty if it has not.

    Args:
        name: The project's name in transform.yaml.
        path: Its folder.
        environment: The environment's name.
        planned: The environment.
    """
    if planned.expired_at is None:
        return ""
    return (
        f"Project {name}: environment {environment} has expired on "
        f"{planned.expired_at:%Y-%m-%d %H:%M} UTC, and the janitor drops it. To keep it, plan it "
        f"again: `sqlmesh -p {path} plan {environment}`, or the job {name}_plan with apply: true"
    )


def of_another_database(name: str, context: Any, nodes: Iterable[Node]) -> str:
    """That a run's tables are elsewhere than the graph says; empty if they are there.

    Args:
        name: The project's name in transform.yaml.
        context: Its Context. No connection is opened.
        nodes: Those that were selected, as `prepare` read them.
    """
    gateways = Gateways(context)
    for node in sorted(nodes, key=lambda node: node.name):
        gateway = node.properties.get("gateway", "")
        catalog = node.relation.catalog
        here = [
            gateways.connection_of(g, catalog)
            for g in dict.fromkeys((gateways.default, gateway))
            if g in gateways.connections
        ]
        if node.relation.connection not in here:
            return (
                f"Project {name}: in this run {node.name} is in {here[0]}; when the graph was "
                f"prepared it was in {node.relation.connection}. The gateway, or an environment "
                "variable that the project's config reads, has another value here."
            )
    return ""


def _differs(node: Node, snapshot: Any | None) -> bool:
    if snapshot is None:
        return False
    if node.fingerprint is None:
        return bool(node.code_version and node.code_version != snapshot.fingerprint.data_hash)
    return bool(node.fingerprint != snapshot.fingerprint.to_identifier())


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
