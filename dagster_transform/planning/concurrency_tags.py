"""Concurrency tags: which of them a node has, and how many slots of each it takes."""

from __future__ import annotations

from collections.abc import Mapping

from dagster_transform.errors import TransformError
from dagster_transform.graph import Node
from dagster_transform.graph.counts import counted
from dagster_transform.planning.resource_keys import ResourceKey
from dagster_transform.planning.values import Slot

CONCURRENCY = "concurrency"
"""The property of a node that names concurrency tags which are not among its framework's tags:
`heavy:2 gpu`."""


class SlotError(TransformError):
    """A node asks for slots in a way that can't be."""


def tag_slots(node: Node, tags: Mapping[str, int]) -> list[Slot]:
    """What a build of `node` takes of concurrency tags.

    It takes one of each tag that it has, or as many as it says: `heavy:2`. Of a tag that it has
    several times it takes the most.

    Args:
        node: Its tags and its `concurrency` property.
        tags: Capacity of each concurrency tag; other tags of the node are no concurrency tags.

    Raises:
        SlotError: A weight is no number above 0, or above the capacity.
    """
    return [
        Slot(ResourceKey.tag(name), taken, tags[name])
        for name, taken in _weights(node, tags).items()
    ]


def tags_of(node: Node, tags: Mapping[str, int]) -> tuple[str, ...]:
    """The concurrency tags that a node has; none where it asks for slots in a way that can't be:
    its run says so.

    Args:
        node: Its tags and its `concurrency` property.
        tags: Capacity of each concurrency tag.
    """
    try:
        return tuple(_weights(node, tags))
    except SlotError:
        return ()


def _weights(node: Node, tags: Mapping[str, int]) -> dict[str, int]:
    weights: dict[str, int] = {}
    for text in [*node.tags, *node.properties.get(CONCURRENCY, "").split()]:
        name, colon, weight = text.rpartition(":")
        if not colon or text in tags:  # a tag may have a colon in its name
            name, weight = text, ""
        if name in tags:
            taken = 1 if name == text else _weight(node, name, weight, tags[name])
            weights[name] = max(taken, weights.get(name, 0))
    return weights


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
            f"{node.name} takes {counted(int(weight), 'slot')} of the concurrency tag {name}, "
            f"which has {capacity}.",
            remedy="Lower the weight, or raise the number under tags in transform.yaml.",
        )
    return int(weight)
