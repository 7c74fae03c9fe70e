"""Which slots a node takes besides those of its tags, and in which order."""

from __future__ import annotations

from dagster_transform.planning import Slot, slots_of
from tests.support.tagged_nodes import PLACE, node


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
