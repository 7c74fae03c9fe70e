"""What every claims store does: pauses, capacities, odd names, history and pending nodes."""

from __future__ import annotations

from datetime import datetime, timezone

from dagster_transform.claims import (
    WHOLE,
    OwnerKind,
    PendingNode,
)
from dagster_transform.claims.store.sql_store import SqlStore
from tests.support.claims_oracle import assert_sound, replay
from tests.support.claims_stores import (
    Clock,
    run,
    slot,
    table,
    take,
)


def test_a_pause_grants_nothing_more_and_leaves_what_is_held(store: SqlStore, clock: Clock) -> None:
    held = store.acquire(run(), [table("a")], claim_id="c", all_or_nothing=True).granted
    pause = store.pause("table:a", capacity=WHOLE, reason="migration", by="ada")
    assert (pause.run_id, pause.owner_kind, pause.expires_at) == ("ada", OwnerKind.PERSON, None)
    assert held
    store.renew([held])
    store.release("c")
    clock.tick(1_000_000)
    answer = store.acquire(run(), [table("a")], claim_id="c2", all_or_nothing=True)
    assert [(h.run_id, h.reason) for h in answer.refused["table:a"]] == [("ada", "migration")]
    assert store.expired() == []
    assert store.resume("table:a")
    assert not store.resume("table:a")
    assert take(store, "run", table("a"))


def test_a_pause_with_an_end_ends_by_itself(store: SqlStore, clock: Clock) -> None:
    store.pause("tag:heavy", capacity=3, reason="tonight", until=clock.after(100))
    replaced = store.pause("tag:heavy", capacity=3, reason="longer", until=clock.after(200))
    assert [(h.reason, h.expires_at) for h in store.holders()] == [("longer", clock.after(200))]
    clock.tick(199)
    assert take(store, "run", slot()) is None
    clock.tick(1)
    assert take(store, "run", slot())
    assert store.expired() == []
    assert replaced.weight == 3


def test_holders_can_be_asked_for_by_resource_and_by_run(store: SqlStore) -> None:
    take(store, "one", table("a"), slot())
    take(store, "two", table("b"), slot())
    assert [h.run_id for h in store.holders(["tag:heavy"])] == ["one", "two"]
    assert [h.resource_key for h in store.holders(run_id="two")] == ["table:b", "tag:heavy"]
    assert store.holders(["table:a"], run_id="two") == []
    assert store.holders([]) == []


def test_the_latest_capacity_counts(store: SqlStore) -> None:
    for name in ("one", "two"):
        assert take(store, name, slot(capacity=3))
    assert take(store, "three", slot(capacity=2)) is None
    assert take(store, "three", slot(capacity=3))
    assert take(store, "four", slot(capacity=4))
    assert len(replay(store.events()).held) == 4


def test_many_resources_in_one_call(store: SqlStore) -> None:
    wants = [table(f"t{number:04}") for number in range(1200)]
    answer = store.acquire(run(), wants, claim_id="c", all_or_nothing=True)
    assert answer.granted
    store.renew([answer.granted])
    assert len(store.release("c")) == 1200


def test_odd_names_are_names(store: SqlStore) -> None:
    wants = [table('it\'s "quoted", {braced} % and, ünï'), table("100%%"), table("a,b"), table("")]
    answer = store.acquire(run("r'u\"n"), wants, claim_id="c", all_or_nothing=True)
    assert answer.granted
    assert set(answer.granted.fences) == {want.resource_key for want in wants}
    assert len(store.release("c", [want.resource_key for want in wants])) == 4


def test_pruning_forgets_history_and_what_is_over_but_no_fence(
    store: SqlStore, clock: Clock
) -> None:
    claim = take(store, "one", table("a"))
    assert claim
    store.release(claim)
    store.pause("table:b", capacity=WHOLE, reason="", until=clock.after(10))
    take(store, "holder", table("c"))
    take(store, "waits", table("c"), wait=True)
    assert_sound(store.events())
    clock.tick(100)
    assert store.prune(clock.after(1)) == 6  # 2 granted, released, paused, refused, expired
    assert store.events() == []
    assert [h.run_id for h in store.expired()] == ["holder"]
    first = store.acquire(run(), [table("a")], claim_id="next", all_or_nothing=True).granted
    assert first
    assert first.fences == {"table:a": 2}
    assert store.prune(datetime(2020, 1, 1, tzinfo=timezone.utc)) == 0


def test_pending_nodes_are_launched_once(store: SqlStore, clock: Clock) -> None:
    nodes = [PendingNode("hourly", "2024-01-01T00:00", node, "claimed") for node in "ab"]
    store.postpone(nodes)
    began = clock.moment
    clock.tick(10)
    store.postpone([*nodes, PendingNode("daily", "2024-01-01", "c", "claimed")])
    assert [(n.node, n.since) for n in store.postponed()] == [
        ("a", began), ("b", began), ("c", clock.moment)
    ]  # fmt: skip
    assert [n.node for n in store.postponed("daily")] == ["c"]
    assert store.launch(nodes, "run1") == nodes
    assert store.launch(nodes, "run2") == []
    assert store.launch(nodes, "run1") == nodes  # the answer was lost
    assert [n.node for n in store.postponed()] == ["c"]
    store.postpone(nodes)  # of a tick that was launched: not again
    assert [n.node for n in store.postponed()] == ["c"]
    store.withdraw(nodes, "run2")
    assert store.launch(nodes, "run1") == nodes
    store.withdraw(nodes[:1], "run1")
    store.withdraw(nodes[1:])
    assert store.launch(nodes, "run1") == []


def test_what_was_launched_in_a_run_that_never_appeared_is_launched_again_once(
    store: SqlStore,
) -> None:
    nodes = [PendingNode("hourly", tick, node) for tick in ("1", "2") for node in "ab"]
    store.postpone(nodes)
    assert store.launch(nodes[1:], "key1") == nodes[1:]
    assert store.launch(nodes, "key2", instead_of="key0") == nodes[:1]
    assert store.launch(nodes, "key3", instead_of="key1") == nodes[1:]
    assert store.launch(nodes, "key4", instead_of="key1") == []
    assert store.postponed() == []
    assert [(n.tick, n.node, n.launched_run_id) for n in store.remembered()] == [
        ("1", "a", "key2"), ("1", "b", "key3"), ("2", "a", "key3"), ("2", "b", "key3")
    ]  # fmt: skip


def test_it_says_where_it_is_without_the_password(store: SqlStore) -> None:
    assert "unused" not in store.url
    assert store.shared == (store.url != "memory")
