"""Which concurrency tags a node has, and how many slots of each it takes."""

from __future__ import annotations

import pytest

from dagster_transform.graph import Node
from dagster_transform.planning import Slot, SlotError, slots_of
from tests.support.tagged_nodes import node


def taken(found: Node, **tags: int) -> dict[str, int]:
    return {slot.key: slot.weight for slot in slots_of(found, tags, {})}


def test_a_node_takes_one_of_each_tag_that_counts_or_as_many_as_it_says() -> None:
    found = node("heavy", "finance", "gpu:2", concurrency="api:3 disk")
    assert taken(found, heavy=5, gpu=2, api=3, disk=1) == {
        "tag:api": 3, "tag:disk": 1, "tag:gpu": 2, "tag:heavy": 1,
    }  # fmt: skip
    (slot,) = slots_of(found, {"gpu": 4}, {})
    assert slot == Slot("tag:gpu", 2, 4)
    assert taken(found) == {}
    assert taken(node("finance:high"), heavy=1) == {}


def test_of_two_weights_of_one_tag_the_higher_counts() -> None:
    assert taken(node("heavy:3", "heavy", concurrency="heavy:2"), heavy=5) == {"tag:heavy": 3}
    assert taken(node("heavy", concurrency="heavy:2"), heavy=5) == {"tag:heavy": 2}


def test_a_tag_may_have_a_colon_in_its_name() -> None:
    assert slots_of(node("team:x"), {"team:x": 2}, {}) == (Slot("tag:team:x", 1, 2),)
    assert slots_of(node("team:x:2"), {"team:x": 2}, {}) == (Slot("tag:team:x", 2, 2),)
    # The exact name goes before a name and a weight.
    assert slots_of(node("heavy:2"), {"heavy:2": 1, "heavy": 3}, {}) == (Slot("tag:heavy:2", 1, 1),)


@pytest.mark.parametrize(
    "tag", ["heavy:two", "heavy:0", "heavy:-1", "heavy:", "heavy:1.5", "heavy:²"]
)
def test_a_weight_is_a_number_above_0(tag: str) -> None:
    with pytest.raises(SlotError) as raised:
        slots_of(node(tag), {"heavy": 3}, {})
    assert f"mart.m: '{tag}' is no concurrency tag" in str(raised.value)
    assert "heavy:2" in str(raised.value.remedy)


def test_a_weight_above_what_there_is_could_never_be_granted() -> None:
    with pytest.raises(SlotError) as raised:
        slots_of(node(concurrency="heavy:4"), {"heavy": 3}, {})
    assert "takes 4 slots of the concurrency tag heavy, which has 3" in str(raised.value)
