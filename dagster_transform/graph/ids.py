"""Ids as types: one cannot be taken for another, although all of them are text.

The id of a node or source is `<project>:<reference>`, where the reference is the framework's own
unique name; that of a check `<id of its target>:<name>`.
"""

from __future__ import annotations

from typing import NewType, TypeAlias

UnitId = NewType("UnitId", str)
"""Of what a walk starts and ends: a node, a check, or a promotion."""
NodeId = NewType("NodeId", UnitId)
CheckId = NewType("CheckId", UnitId)
PromotionId = NewType("PromotionId", UnitId)
"""Of a plan's promotion, or of a step of it."""
SourceId = NewType("SourceId", str)
InputId: TypeAlias = NodeId | SourceId
"""Of what a node may read, and a check may judge: a node or a source."""


def node_id(project: str, reference: str) -> NodeId:
    """The id of a node.

    Args:
        project: The project's name in transform.yaml.
        reference: A SQLMesh fully qualified name, or a dbt unique id.
    """
    return NodeId(UnitId(f"{project}:{reference}"))


def source_id(project: str, reference: str) -> SourceId:
    """The id of a source; arguments as of `node_id`."""
    return SourceId(f"{project}:{reference}")


def check_id(target: InputId, name: str) -> CheckId:
    """The id of a check.

    Args:
        target: The node or source that it is shown on.
        name: Its name, unique there.
    """
    return CheckId(UnitId(f"{target}:{name}"))


def promotion_id(project: str, what: str) -> PromotionId:
    """The id of a promotion, which people read: `marts:promotion of prod`."""
    return PromotionId(UnitId(f"{project}:{what}"))
