"""What every claims store does: one suite, over memory, SQLite and PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
from sqlalchemy import text

from dagster_transform.claims import (
    WHOLE,
    ClaimLostError,
    DuplicateWantError,
    OwnerKind,
    PendingNode,
    UpgradeError,
    Want,
    WeightTooLargeError,
)
from dagster_transform.claims.store.sql import SqlStore
from tests.contract.claims_stores import (
    TIMING,
    Clock,
    new_id,
    plan,
    run,
    share,
    slot,
    store_at,
    table,
    url_of,
)
from tests.property.claims_oracle import assert_sound, replay

KINDS = ["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[SqlStore]:
    """A store whose history is sound after each test."""
    store = store_at(url_of(request.param, tmp_path, request), clock=clock)
    yield store
    assert_sound(store.events())
    with store._database.engine.begin() as connection:
        orphans = connection.scalar(
            text(
                "SELECT count(*) FROM dagster_transform_lease l FULL JOIN dagster_transform_batch b"
                " ON l.claim_id = b.claim_id WHERE l.claim_id IS NULL OR b.claim_id IS NULL"
            )
        )
    assert orphans == 0
    store.close()


def holders(store: SqlStore) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for holder in store.holders():
        found.setdefault(holder.resource_key, []).append(holder.run_id)
    return found


def take(store: SqlStore, name: str, *wants: Want, **options: object) -> str | None:
    """Claim all of `wants` for a run of that name; the claim's id if that went well."""
    claim = new_id()
    answer = store.acquire(run(name), wants, claim_id=claim, all_or_nothing=True, **options)
    return claim if answer.granted else None


def test_what_is_free_is_granted_and_what_is_not_names_its_holder(
    store: SqlStore, clock: Clock
) -> None:
    first = store.acquire(run("one"), [table("a")], claim_id="c1", all_or_nothing=True)
    assert first.granted is not None
    assert first.granted.fences == {"table:a": 1}
    assert first.refused == {}
    began = clock.moment
    clock.tick(5)
    second = store.acquire(
        run("two"), [table("a"), table("b")], claim_id="c2", all_or_nothing=False
    )
    assert second.granted is not None
    assert second.granted.fences == {"table:b": 1}
    (holder,) = second.refused["table:a"]
    assert (holder.run_id, holder.claim_id, holder.owner_kind) == ("one", "c1", OwnerKind.RUN)
    assert (holder.since, holder.reason, holder.weight) == (began, "one builds", WHOLE)
    assert holder.expires_at == clock.after(TIMING.lease - 5)
    assert holder.fence == 1
    assert not holder.waiting


def test_all_or_nothing_grants_nothing_where_something_is_taken(store: SqlStore) -> None:
    take(store, "one", table("a"))
    answer = store.acquire(run("two"), [table("a"), table("b")], claim_id="c2", all_or_nothing=True)
    assert answer.granted is None
    assert list(answer.refused) == ["table:a"]
    assert holders(store) == {"table:a": ["one"]}


def test_nothing_wanted_is_nothing_granted(store: SqlStore) -> None:
    answer = store.acquire(run(), [], claim_id="c", all_or_nothing=True)
    assert answer.granted is None
    assert not answer.refused
    assert store.events() == []


def test_a_capacity_is_never_exceeded_and_weights_count(store: SqlStore) -> None:
    assert take(store, "one", slot(weight=2))
    assert take(store, "two", slot())
    assert take(store, "three", slot()) is None
    assert holders(store) == {"tag:heavy": ["one", "two"]}


def test_readers_share_what_a_builder_takes_whole(store: SqlStore) -> None:
    checks = [take(store, "checks", share("a")) for _ in range(3)]
    assert all(checks)
    assert take(store, "builder", table("a")) is None
    for check in checks:
        assert check
        store.release(check)
    assert take(store, "builder", table("a"))
    assert take(store, "checks", share("a")) is None


def test_the_same_claim_asked_for_again_is_the_same_grant(store: SqlStore) -> None:
    wants = [table("a"), slot()]
    first = store.acquire(run(), wants, claim_id="c", all_or_nothing=True).granted
    again = store.acquire(run(), wants, claim_id="c", all_or_nothing=True).granted
    assert first
    assert again
    assert again.fences == first.fences
    assert len(store.holders()) == 2


def test_asking_again_prolongs_all_that_the_claim_holds(store: SqlStore, clock: Clock) -> None:
    """Else a grant would be trusted longer than it is held."""
    store.acquire(run(), [table("a")], claim_id="c", all_or_nothing=True)
    clock.tick(TIMING.lease - 1)
    store.acquire(run(), [table("a")], claim_id="c", all_or_nothing=True)
    clock.tick(TIMING.lease - 1)
    assert take(store, "other", table("a")) is None


def test_a_claimant_polls_for_the_rest_under_one_id(store: SqlStore, clock: Clock) -> None:
    other = take(store, "other", table("b"))
    wants = [table("a"), table("b")]
    first = store.acquire(run(), wants, claim_id="c", all_or_nothing=False, wait=True)
    assert first.granted
    assert list(first.granted.fences) == ["table:a"]
    assert other
    clock.tick(TIMING.lease / 2)
    store.release(other)
    rest = store.acquire(run(), [table("b")], claim_id="c", all_or_nothing=False, wait=True)
    assert rest.granted
    assert rest.granted.fences == {"table:b": 2}
    clock.tick(TIMING.lease - 1)  # the earlier part lives as long as the later
    store.renew([first.granted, rest.granted])
    assert store.release("c") == ("table:a", "table:b")


def test_more_of_what_is_held_is_never_granted(store: SqlStore) -> None:
    store.acquire(run(), [share("a")], claim_id="c", all_or_nothing=True)
    with pytest.raises(UpgradeError, match="downgrade"):
        store.acquire(run(), [table("a")], claim_id="c", all_or_nothing=True)


def test_what_cannot_be_wanted_is_refused_before_anything_is_done(store: SqlStore) -> None:
    with pytest.raises(WeightTooLargeError, match="tag:heavy has a capacity of 3; 4"):
        take(store, "run", slot(weight=4))
    with pytest.raises(DuplicateWantError, match="tag:heavy"):
        take(store, "run", slot(weight=1), slot(weight=2))
    for want in (Want(""), Want("x", weight=0)):
        with pytest.raises(ValueError, match="weight of at least 1"):
            take(store, "run", want)
    with pytest.raises(ValueError, match="needs an id"):
        store.acquire(run(), [slot()], claim_id="", all_or_nothing=True)
    assert take(store, "run", slot(), slot())  # the same twice is once
    assert len(store.holders()) == 1


def test_a_lease_that_nobody_renews_is_taken_over_with_a_higher_fence(
    store: SqlStore, clock: Clock
) -> None:
    old = store.acquire(run("dead"), [table("a")], claim_id="c1", all_or_nothing=True).granted
    assert old
    clock.tick(TIMING.lease)
    assert [holder.run_id for holder in store.expired()] == ["dead"]
    assert store.holders() == []
    assert not store.holds("c1", "table:a", 1)
    new = store.acquire(run("next"), [table("a")], claim_id="c2", all_or_nothing=True).granted
    assert new
    assert new.fences == {"table:a": 2}
    assert store.expired() == []
    assert store.release("c1") == ()
    with pytest.raises(ClaimLostError) as lost:
        store.renew([old])
    assert lost.value.lost == {"c1": ("table:a",)}
    assert holders(store) == {"table:a": ["next"]}
    kinds = [event.kind for event in store.events()]
    assert kinds == ["granted", "expired", "granted", "lost"]


def test_renewing_keeps_a_claim_and_too_late_is_too_late(store: SqlStore, clock: Clock) -> None:
    grant = store.acquire(run(), [table("a")], claim_id="c", all_or_nothing=True).granted
    assert grant
    for _ in range(5):
        clock.tick(TIMING.heartbeat)
        store.renew([grant])
    clock.tick(TIMING.lease - 0.01)
    assert take(store, "other", table("a")) is None
    clock.tick(0.01)
    with pytest.raises(ClaimLostError, match="table:a"):
        store.renew([grant])
    with pytest.raises(ClaimLostError, match="table:a"):  # the id is over
        store.acquire(run(), [table("a")], claim_id="c", all_or_nothing=True)
    assert take(store, "other", table("a"))


def test_a_renewal_names_what_is_lost_and_keeps_the_rest(store: SqlStore, clock: Clock) -> None:
    wants = [table("a"), table("b")]
    one = store.acquire(run("one"), wants, claim_id="c1", all_or_nothing=True).granted
    two = store.acquire(run("two"), [table("c")], claim_id="c2", all_or_nothing=True).granted
    assert one
    assert two
    store.release("c1", ["table:a"])
    clock.tick(TIMING.lease - 1)
    with pytest.raises(ClaimLostError) as lost:
        store.renew([one, two])
    assert lost.value.lost == {"c1": ("table:a",)}
    clock.tick(TIMING.lease - 1)
    assert holders(store) == {"table:b": ["one"], "table:c": ["two"]}


def test_a_grant_of_the_past_is_lost_also_under_the_same_id(store: SqlStore) -> None:
    old = store.acquire(run(), [table("a")], claim_id="c", all_or_nothing=True).granted
    store.release("c")
    new = store.acquire(run(), [table("a")], claim_id="c", all_or_nothing=True).granted
    assert old
    assert new
    assert store.holds("c", "table:a", new.fences["table:a"])
    assert not store.holds("c", "table:a", old.fences["table:a"])
    with pytest.raises(ClaimLostError):
        store.renew([old])


def test_release_is_per_resource_and_may_be_repeated(store: SqlStore) -> None:
    claim = take(store, "run", table("a"), table("b"), slot())
    assert claim
    assert store.release(claim, ["table:a", "table:unknown"]) == ("table:a",)
    assert store.release(claim, ["table:a"]) == ()
    assert holders(store) == {"tag:heavy": ["run"], "table:b": ["run"]}
    assert store.release(claim, []) == ()
    assert store.release(claim) == ("table:b", "tag:heavy")
    assert store.release(claim) == ()
    assert store.release("never heard of") == ()
    assert take(store, "other", table("a"), table("b"))


def test_an_earlier_attempt_never_joins_a_later_one(store: SqlStore, clock: Clock) -> None:
    environment = Want("environment:prod", 1, WHOLE)
    late = store.acquire(
        run("retry", 2, root="first"), [environment], claim_id="late", all_or_nothing=True
    )
    assert late.granted
    early = store.acquire(
        run("first", 1, root="first"), [environment], claim_id="early", all_or_nothing=True
    )
    assert [holder.run_id for holder in early.refused["environment:prod"]] == ["retry"]
    assert take(store, "another root", environment)
    clock.tick(TIMING.lease)
    assert store.acquire(
        run("first", 1, root="first"), [environment], claim_id="early2", all_or_nothing=True
    ).granted


def test_a_later_attempt_takes_over_only_when_the_earlier_is_over(
    store: SqlStore, clock: Clock
) -> None:
    first = run("run", 1)
    retry = run("run", 2)
    store.acquire(first, [table("a")], claim_id="c1", all_or_nothing=True)
    assert not store.acquire(retry, [table("a")], claim_id="c2", all_or_nothing=True).granted
    assert [h.claim_id for h in store.release_run("run", below_attempt=2)] == ["c1"]
    assert store.acquire(retry, [table("a")], claim_id="c2", all_or_nothing=True).granted
    assert store.release_run("run", below_attempt=2) == []
    clock.tick(TIMING.lease)
    assert store.acquire(run("run", 3), [table("a")], claim_id="c3", all_or_nothing=True).granted


def test_who_waits_is_served_first_come_first_served(store: SqlStore, clock: Clock) -> None:
    held = take(store, "holder", table("a"))
    assert take(store, "first", table("a"), wait=True) is None
    claim = new_id()
    store.acquire(run("second"), [table("a")], claim_id=claim, all_or_nothing=True, wait=True)
    assert held
    store.release(held)
    answer = store.acquire(
        run("second"), [table("a")], claim_id=claim, all_or_nothing=True, wait=True
    )
    (ahead,) = answer.refused["table:a"]
    assert (ahead.run_id, ahead.waiting) == ("first", True)
    assert take(store, "third", table("a")) is None
    # The first does not ask again: its place is lost after three polls.
    clock.tick(TIMING.waiter_life / 2)
    wait = {"claim_id": claim, "all_or_nothing": True, "wait": True}
    assert store.acquire(run("second"), [table("a")], **wait).granted is None
    clock.tick(TIMING.waiter_life / 2)
    assert take(store, "third", table("a")) is None
    assert store.acquire(run("second"), [table("a")], **wait).granted
    assert take(store, "third", table("a")) is None
    store.release(claim)
    assert take(store, "third", table("a"))


def test_a_persons_run_comes_before_a_ticks(store: SqlStore) -> None:
    held = take(store, "holder", table("a"))
    tick = {"claim_id": "tick", "all_or_nothing": True, "wait": True}
    person = {"claim_id": "person", "all_or_nothing": True, "wait": True}
    store.acquire(run("tick"), [table("a")], **tick)
    store.acquire(run("person", priority=1), [table("a")], **person)
    assert held
    store.release(held)
    assert store.acquire(run("tick"), [table("a")], **tick).granted is None
    assert store.acquire(run("person", priority=1), [table("a")], **person).granted


def test_one_asked_in_passing_may_have_what_those_who_wait_leave(store: SqlStore) -> None:
    """Places in a queue hold back no more than they want."""
    held = take(store, "holder", slot(weight=2))
    assert take(store, "waits", slot(weight=2), wait=True) is None
    assert take(store, "passes", slot(weight=1)) is None  # the one that is free is waited for
    assert held
    store.release(held)
    assert take(store, "passes", slot(weight=1))  # 3 are free, 2 are waited for


def test_who_waits_for_one_thing_does_not_keep_another_idle(store: SqlStore) -> None:
    take(store, "holder", table("a"))
    assert take(store, "waits", table("a"), table("b"), wait=True) is None
    assert take(store, "passes", table("b"))


def test_a_place_once_taken_is_kept_until_all_is_there(store: SqlStore) -> None:
    """So a claimant that wants several things is not overtaken at one of them for ever."""
    one = take(store, "one", table("a"))
    both = {"claim_id": "both", "all_or_nothing": True, "wait": True}
    wants = [table("a"), table("b")]
    store.acquire(run("both"), wants, **both)
    two = take(store, "two", table("b"))
    assert one
    assert two
    store.release(one)
    assert store.acquire(run("both"), wants, **both).granted is None
    assert take(store, "barges", table("a")) is None
    store.release(two)
    assert take(store, "barges", table("b")) is None
    assert store.acquire(run("both"), wants, **both).granted


def test_what_a_dead_claim_left_is_not_kept_for_who_waits(store: SqlStore, clock: Clock) -> None:
    store.acquire(run("dead"), [table("a")], claim_id="dead", all_or_nothing=True)
    clock.tick(TIMING.lease - 1)
    assert take(store, "waits", table("a"), wait=True) is None
    clock.tick(1)
    retry = run("retry", 1, root="dead")
    assert store.acquire(retry, [table("a")], claim_id="r", all_or_nothing=True).granted


def test_releasing_gives_up_places_in_queues(store: SqlStore) -> None:
    held = take(store, "holder", table("a"))
    waits = {"claim_id": "waits", "all_or_nothing": True, "wait": True}
    store.acquire(run("waits"), [table("a")], **waits)
    store.release("waits")
    assert held
    store.release(held)
    assert take(store, "next", table("a"))


def test_a_run_that_ended_is_released_at_once(store: SqlStore) -> None:
    take(store, "dead", table("a"), slot())
    take(store, "dead", table("b"))
    take(store, "alive", table("c"))
    waits = {"claim_id": "waits", "all_or_nothing": True, "wait": True}
    store.acquire(run("dead"), [table("c")], **waits)
    store.pause("table:d", capacity=WHOLE, reason="by hand", by="dead")
    released = store.release_run("dead")
    assert [holder.resource_key for holder in released] == ["table:a", "table:b", "tag:heavy"]
    assert holders(store) == {"table:c": ["alive"], "table:d": ["dead"]}
    assert store.release_run("dead") == []
    store.release_run("alive")
    assert take(store, "next", table("c"))  # the dead run waits no more


def test_a_plan_takes_an_environment_whole_and_downgrades(store: SqlStore) -> None:
    whole, part = Want("environment:prod", WHOLE, WHOLE), Want("environment:prod", 1, WHOLE)
    grant = store.acquire(plan(), [whole], claim_id="plan", all_or_nothing=True).granted
    assert grant
    assert take(store, "run", part) is None
    store.downgrade("plan", "environment:prod", 1)
    store.downgrade("plan", "environment:prod", 1)
    store.downgrade("plan", "environment:prod", 500)  # never more
    assert take(store, "run", part)
    assert take(store, "other plan", whole) is None
    store.renew([grant])  # the fence is what it was
    assert [holder.weight for holder in store.holders()] == [1, 1]


def test_what_is_lost_is_not_downgraded(store: SqlStore, clock: Clock) -> None:
    claim = take(store, "run", table("a"))
    assert claim
    clock.tick(TIMING.lease)
    for claim_id in (claim, "unknown"):
        with pytest.raises(ClaimLostError, match="table:a"):
            store.downgrade(claim_id, "table:a", 1)
    with pytest.raises(ValueError, match="at least 1"):
        store.downgrade(claim, "table:a", 0)


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


def test_whoever_takes_over_is_told_which_sessions_to_end(store: SqlStore, clock: Clock) -> None:
    wants = [table("a"), table("b")]
    store.acquire(run("dead"), wants, claim_id="c1", all_or_nothing=True)
    store.set_session("c1", "pg:4711", ["table:a"])
    assert [holder.sessions for holder in store.holders()] == [("pg:4711",), ()]
    clock.tick(TIMING.lease)
    assert [holder.sessions for holder in store.expired()] == [("pg:4711",), ()]
    second = store.acquire(run("two"), wants, claim_id="c2", all_or_nothing=True).granted
    assert second
    assert second.to_end == {"table:a": ("pg:4711",)}
    # Its answer is lost, and it asks again; then it dies before it has ended the session.
    again = store.acquire(run("two"), wants, claim_id="c2", all_or_nothing=True).granted
    assert again
    assert again.to_end == second.to_end
    clock.tick(TIMING.lease)
    third = store.acquire(run("three"), wants, claim_id="c3", all_or_nothing=True).granted
    assert third
    assert third.to_end == second.to_end
    store.set_session("c3", "pg:4712 pg:4713")
    both = ("pg:4712", "pg:4713")
    assert [holder.sessions for holder in store.holders()] == [both, both]
    again = store.acquire(run("three"), wants, claim_id="c3", all_or_nothing=True).granted
    assert again
    assert again.to_end == {}


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


def test_it_says_where_it_is_without_the_password(store: SqlStore) -> None:
    assert "unused" not in store.url
    assert store.shared == (store.url != "memory")


def test_a_machines_clock_that_is_set_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite has no other clock; PostgreSQL's is the server's."""
    url = f"sqlite:///{tmp_path / 'claims.db'}"
    store = store_at(url)
    claim = take(store, "run", table("a"))
    for step in (10_000, -10_000):
        stepped = time.time() + step
        with monkeypatch.context() as patch:
            patch.setattr(
                "dagster_transform.claims.store.sqlite.time.time", lambda now=stepped: now
            )
            for other in (store, store_at(url)):
                assert [holder.claim_id for holder in other.holders()] == [claim]
                assert other.holders()[0].since.timestamp() == pytest.approx(
                    time.time() - step, abs=60
                )
                assert take(other, "other", table("a")) is None
