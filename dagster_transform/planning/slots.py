"""Slots: which counted resources building a node takes, and how much of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dagster_transform.errors import TransformError
from dagster_transform.graph import Node, Relation
from dagster_transform.planning.resource_keys import ResourceKey

CONCURRENCY = "concurrency"
"""The property of a node that names concurrency tags which are not among its framework's tags:
`heavy:2 gpu`."""


class SlotError(TransformError):
    """A node asks for slots in a way that can't be."""


@dataclass(frozen=True, slots=True)
class Slot:
    """So much of a counted resource.

    Attributes:
        key: Of a concurrency tag, or of the connections to a database.
        weight: How much of it the node takes.
        capacity: How much of it there is, over all runs.
    """

    key: ResourceKey
    weight: int
    capacity: int


def slots_of(
    node: Node, tags: Mapping[str, int], connections: Mapping[str, int]
) -> tuple[Slot, ...]:
    """What a build of `node` takes, sorted by key.

    A node takes one of each concurrency tag that it has, or as many as it says: `heavy:2`.

    Args:
        node: Its tags, its `concurrency` property and its connection count.
        tags: Capacity of each concurrency tag; other tags of the node are no concurrency tags.
        connections: Capacity by connection identity, or by name of a project, which means the
            connections of its nodes; the lower one counts where both are given.

    Raises:
        SlotError: A weight is no number above 0, or above the capacity.
    """
    found: dict[ResourceKey, Slot] = {}
    for text in [*node.tags, *node.properties.get(CONCURRENCY, "").split()]:
        name, colon, weight = text.rpartition(":")
        if not colon or text in tags:  # a tag may have a colon in its name
            name, weight = text, ""
        if name in tags:
            taken = 1 if name == text else _weight(node, name, weight, tags[name])
            key = ResourceKey.tag(name)
            found[key] = max(
                Slot(key, taken, tags[name]), found.get(key, Slot(key, 0, 0)), key=_by_weight
            )
    if slot := connection_slot(node.relation, node.project, connections):
        found[slot.key] = slot
    return tuple(found[key] for key in sorted(found))


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


def _by_weight(slot: Slot) -> int:
    return slot.weight


def _weight(node: Node, name: str, weight: str, capacity: int) -> int:
    # `isdigit` alone is true of digits that `int` does not read.
    if not (weight.isascii() and weight.isdigit()) or int(weight) < 1:
        raise SlotError(
            f"{node.name}: '{name}:{weight}' is no concurrency tag: after the colon comes a number "
            "above 0.",
            remedy="Write it like heavy, or heavy:2 for two slots.",
        )
    if int(weight) > capacity:
        raise SlotError(
            f"{node.name} takes {weight} slots of the concurrency tag {name}, which has "
            f"{capacity}.",
            remedy="Lower the weight, or raise the tag's number in transform.yaml.",
        )
    return int(weight)
