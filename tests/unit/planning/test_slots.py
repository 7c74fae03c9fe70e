"""Which slots a node takes: concurrency tags with weights, and connections."""

from __future__ import annotations

import pytest

from dagster_transform.graph import Node, Relation
from dagster_transform.planning import CONCURRENCY, Slot, SlotError, slots_of

PLACE = "postgres:db:5432/shop"


def node(*tags: str, concurrency: str = "") -> Node:
    properties = {CONCURRENCY: concurrency} if concurrency else {}
    return Node(
        "p:m", "p", "dbt", "m", "mart.m", "table", Relation(PLACE, "shop", "mart", "m"),
        tags=tags, properties=properties,
    )  # fmt: skip


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


def test_a_connection_is_counted_by_its_identity_or_its_projects_name() -> None:
    def limit(**connections: int) -> tuple[Slot, ...]:
        return slots_of(node(), {}, {k.replace("place", PLACE): v for k, v in connections.items()})

    key = f"connections:{PLACE}"
    assert limit(p=3) == (Slot(key, 1, 3),)
    assert limit(place=4) == (Slot(key, 1, 4),)
    assert limit(place=4, p=3) == limit(place=3, p=4) == (Slot(key, 1, 3),)
    assert limit(q=1) == ()


def test_slots_are_sorted_so_that_everybody_takes_them_in_one_order() -> None:
    found = slots_of(node("z", "a"), {"z": 1, "a": 1}, {"p": 1})
    assert [slot.key for slot in found] == [f"connections:{PLACE}", "tag:a", "tag:z"]


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
