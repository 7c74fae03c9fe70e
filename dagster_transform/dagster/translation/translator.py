"""How nodes and checks look in Dagster: one method for each aspect.

Subclass it and override what should look different; everything else keeps the names that users of
the peers know (shared rules: the asset key of a SQLMesh model is `[catalog, schema, model]`, its
group the schema, a check is named after its audit; dbt's are those of dagster-dbt).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import dagster as dg

from dagster_transform.dagster._compat import code_references
from dagster_transform.dagster.translation import dbt_translation as of_dbt
from dagster_transform.dagster.translation.metadata import arguments, column_lineage, with_code
from dagster_transform.graph import RAW_CODE, Check, InputId, Node, Source, default_key

_NOT_A_TAG = re.compile(r"[^A-Za-z0-9_.-]+")
_NOT_A_GROUP = re.compile(r"[^A-Za-z0-9_]+")
# What Dagster takes for an address; it refuses to load anything where an owner is neither that nor
# a team.
_EMAIL = re.compile(r"\b[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,7}\b")
_TEAM = "team:"
_GROUP_TAG = "dagster:group_name:"
_OWNER_TAG = "dagster:owner:"
LONGEST_TAG = 63


def group_called(node: Node, key: dg.AssetKey) -> str | None:
    """The group of a node as its framework calls it; None where it has none."""
    if of_dbt.is_dbt(node):
        return node.group or None
    tagged = [t.removeprefix(_GROUP_TAG) for t in node.tags if t.startswith(_GROUP_TAG)]
    names = [*tagged, node.group, key.path[-2] if len(key.path) > 1 else None]
    return next((name for name in names if name), None)


def group_spelled(called: str | None) -> str | None:
    """A group in Dagster's alphabet."""
    return _NOT_A_GROUP.sub("_", called) if called else None


def tags_called(node: Node) -> list[str]:
    """The tags of a SQLMesh model as they are, without those that mean something else here."""
    return [tag for tag in node.tags if not tag.startswith((_GROUP_TAG, _OWNER_TAG))]


def tag_spelled(called: str) -> str:
    """A tag in Dagster's alphabet; empty where nothing of it is in there."""
    return _NOT_A_TAG.sub("_", called).strip("_.-")[:LONGEST_TAG]


class TransformTranslator:
    """Translates nodes, sources and checks into Dagster's terms.

    Args:
        root: Folder of transform.yaml, to which locations are relative; None leaves out the
            links to the code.
    """

    said_by: ClassVar[str | None] = None
    """What people mend where Dagster does not take what this says; None: the class itself."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root

    def get_asset_key(self, node: Node | Source) -> dg.AssetKey:
        """`[catalog, schema, model]`, whatever the environment names its views; dbt's key. It is
        asked for sources too, which have no kind and no tags: `isinstance(node, Source)`."""
        return dg.AssetKey(list(default_key(node)))

    def get_group_name(self, node: Node) -> str | None:
        """A tag `dagster:group_name:x`, else the node's group, else its schema; of dbt's nodes the
        group, or none."""
        return group_spelled(group_called(node, self.get_asset_key(node)))

    def get_description(self, node: Node) -> str | None:
        """The node's own description, and its code as it is written."""
        if of_dbt.is_dbt(node):
            return of_dbt.description(node)
        python = node.properties.get("language") == "python"
        return with_code(node.description, node.properties, "python" if python else "sql")

    def get_tags(self, node: Node) -> Mapping[str, str]:
        """The node's tags, as keys without a value, in Dagster's alphabet; dbt's tags that are not
        in it are left out."""
        if of_dbt.is_dbt(node):
            return of_dbt.tags(node.tags)
        return {tag: "" for tag in map(tag_spelled, tags_called(node)) if tag}

    def get_owners(self, node: Node) -> Sequence[str]:
        """E-mail addresses as they are, other names as teams; also tags `dagster:owner:x`."""
        names = list(node.owners)
        names += [t.removeprefix(_OWNER_TAG) for t in node.tags if t.startswith(_OWNER_TAG)]
        return list(dict.fromkeys(owner for name in names if (owner := _owner(name.strip()))))

    def get_kinds(self, node: Node) -> set[str]:
        """The framework and the engine's dialect, or dbt's adapter."""
        if of_dbt.is_dbt(node):
            return of_dbt.kinds(node)
        dialect = node.properties.get("dialect")
        return {node.framework, dialect} if dialect else {node.framework}

    def get_code_version(self, node: Node) -> str | None:
        """Changes when the node's own code changes."""
        return node.code_version

    def get_automation_condition(self, node: Node) -> dg.AutomationCondition[Any] | None:
        """None: schedules decide; but what dbt's `meta.dagster.auto_materialize_policy` asks."""
        return of_dbt.automation_condition(node) if of_dbt.is_dbt(node) else None

    def get_metadata(self, node: Node) -> Mapping[str, Any]:
        """Table name, columns, link to the code, and what the framework's users look for."""
        if of_dbt.is_dbt(node):
            return of_dbt.metadata(node, self.root)
        prefix = f"dagster-{node.framework}"
        metadata: dict[str, Any] = {
            "dagster/table_name": str(node.relation),
            f"{prefix}/kind": node.kind,
            **{f"{prefix}/{k}": value for k, value in node.properties.items() if k != RAW_CODE},
        }
        if node.cron:
            metadata[f"{prefix}/cron"] = node.cron + (f" {node.time_zone}" * bool(node.time_zone))
        if node.tags:
            metadata[f"{prefix}/tags"] = ", ".join(node.tags)
        if node.columns:
            metadata["dagster/column_schema"] = dg.TableSchema(
                columns=[
                    dg.TableColumn(c.name, c.type or "unknown", description=c.description)
                    for c in node.columns
                ]
            )
        if node.location is not None and self.root is not None:
            path = str(self.root / node.location.path)
            metadata["dagster/code_references"] = code_references(path, node.location.line)
        return metadata

    def get_column_lineage(
        self, node: Node, keys: Mapping[InputId, dg.AssetKey]
    ) -> dg.TableColumnLineage | None:
        """What each column is computed from; None where nothing is known. It becomes the metadata
        `dagster/column_lineage` of the asset.

        Args:
            node: The node.
            keys: Asset keys of all nodes and sources, by id.
        """
        return column_lineage(node.column_lineage(), keys)

    def get_check_name(self, check: Check) -> str:
        """The check's own name, unique on its node."""
        return check.name

    def get_check_description(self, check: Check) -> str | None:
        """What the check calls, with its arguments, and its query as it is written."""
        return with_code(check.description, check.properties)

    def get_check_metadata(self, check: Check) -> Mapping[str, Any]:
        """The check's arguments; of dbt's tests also their unique id."""
        if of_dbt.is_dbt(check):
            return of_dbt.check_metadata(check)
        return arguments(check)

    def get_check_blocking(self, check: Check) -> bool:
        """Whether its failure holds back whatever is downstream of its asset; of a dbt test only
        where it can't be a warning (severity `warn` is one unless `warn_error` is set)."""
        return of_dbt.check_blocking(check) if of_dbt.is_dbt(check) else check.holds_back


def _owner(name: str) -> str | None:
    """An owner as Dagster takes it; None for an empty name."""
    if _EMAIL.fullmatch(name):
        return name
    team = name.removeprefix(_TEAM).strip()
    return f"{_TEAM}{team}" if team else None
