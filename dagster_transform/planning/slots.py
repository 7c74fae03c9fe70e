"""Slots: what building a node takes of counted resources, concurrency tags and connections."""

from __future__ import annotations

from collections.abc import Mapping

from dagster_transform.graph import Node, Relation
from dagster_transform.planning.concurrency_tags import tag_slots
from dagster_transform.planning.resource_keys import ResourceKey
from dagster_transform.planning.values import Slot


def slots_of(
    node: Node, tags: Mapping[str, int], connections: Mapping[str, int]
) -> tuple[Slot, ...]:
    """What a build of `node` takes, sorted by key.

    Args:
        node: Its tags, its `concurrency` property and its connection count.
        tags: Capacity of each concurrency tag; other tags of the node are no concurrency tags.
        connections: Capacity by connection identity, or by name of a project, which means the
            connections of its nodes; the lower one counts where both are given.

    Raises:
        SlotError: A weight is no number above 0, or above the capacity.
    """
    found = tag_slots(node, tags)
    if slot := connection_slot(node.relation, node.project, connections):
        found.append(slot)
    return tuple(sorted(found, key=lambda slot: slot.key))


def connection_slot(
    relation: Relation, project: str, connections: Mapping[str, int]
) -> Slot | None:
    """What building or checking a relation takes of its connection; None if that has no limit.

    Args:
        relation: What is built or checked.
        project: Whose project run does it.
        connections: As for `slots_of`.
    """
    place = relation.connection
    limits = [connections[key] for key in (place, project) if key in connections]
    return Slot(ResourceKey.connections(place), 1, min(limits)) if limits else None
