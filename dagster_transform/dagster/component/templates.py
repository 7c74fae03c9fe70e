"""What templates of `translation` see of a node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dagster_transform.graph import Node, default_key


@dataclass(frozen=True, slots=True)
class NodeInTemplates:
    """A node, as `{{ node.... }}`.

    Attributes:
        name: As its framework's users write it: `marts.delays`, `stg_flights`.
        project: Its project's name in the attributes.
        framework: `sqlmesh` or `dbt`.
        kind: `FULL`, `VIEW`...; in dbt its materialisation.
        catalog, schema, table: Of its relation; None where the engine has none.
        key: The asset key that it has without a translation.
        group, tags, owners, description, cron, time_zone: As in the files.
        path: Of its file, from the folder of the YAML file; None where that is not known.
        properties: `dialect`, `partitioned_by`, `unique_id`... as texts.
    """

    # More than twelve attributes: what people may want to name an asset after.
    name: str
    project: str
    framework: str
    kind: str
    catalog: str | None
    schema: str | None
    table: str
    key: list[str]
    group: str | None
    tags: list[str]
    owners: list[str]
    description: str | None
    cron: str | None
    time_zone: str | None
    path: str | None
    properties: Mapping[str, str]


def in_templates(node: Node) -> NodeInTemplates:
    """A node as templates see it."""
    return NodeInTemplates(
        name=node.name,
        project=node.project,
        framework=node.framework,
        kind=node.kind,
        catalog=node.relation.catalog,
        schema=node.relation.schema,
        table=node.relation.name,
        key=list(default_key(node)),
        group=node.group,
        tags=list(node.tags),
        owners=list(node.owners),
        description=node.description,
        cron=node.cron,
        time_zone=node.time_zone,
        path=None if node.location is None else node.location.path,
        properties=node.properties,
    )
