"""What holds for every decision of admission, whatever is held, wanted and waited for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagster_transform.claims import DuplicateWantError, Owner, OwnerKind, UpgradeError, Want
from dagster_transform.claims.admission import Decision, decide
from dagster_transform.claims.records import Lease, Request, Resource, Waiter
from dagster_transform.claims.tickets import barging

NOW = 1000.0
CAPACITIES = {"a": 1, "b": 3, "c": 1000}
RUNS = st.sampled_from(["run1", "run2", "run3"])


@st.composite
def owners(draw: st.DrawFn) -> Owner:
    root = draw(RUNS)
    return Owner(
        OwnerKind.RUN, root, root, draw(st.integers(0, 2)), priority=draw(st.integers(0, 1))
    )


@st.composite
def situations(draw: st.DrawFn) -> tuple[Request, list[Resource], list[Lease], list[Waiter]]:
    """A request, and tables as they can be: no more live weight than capacity."""
    leases: list[Lease] = []
    resources = []
    batches = {
        f"c{number}": (draw(owners()), draw(st.sampled_from([NOW - 1, NOW, NOW + 1, None])))
        for number in range(4)
    }
    for key, capacity in CAPACITIES.items():
        fence = 0
        free = capacity
        for claim, (owner, until) in batches.items():
            weight = draw(st.sampled_from([0, 1, 1, 2, capacity]))
            live = until is None or until > NOW
            if not weight or weight > (free if live else capacity):
                continue
            free -= weight * live
            fence += draw(st.integers(1, 3))
            leases.append(Lease(key, claim, weight, fence, owner, 0.0, until))
        resources.append(Resource(key, capacity, fence + draw(st.integers(0, 2))))
    waiters = [
        Waiter(key, f"w{number}", draw(st.integers(1, CAPACITIES[key])), number, draw(owners()),
               0.0, draw(st.sampled_from([NOW - 1, NOW, NOW + 1])))
        for number in range(1, 6)
        for key in draw(st.sets(st.sampled_from(list(CAPACITIES))))
    ]  # fmt: skip
    wants = [
        Want(key, draw(st.integers(1, CAPACITIES[key])), CAPACITIES[key])
        for key in draw(st.sets(st.sampled_from(list(CAPACITIES)), min_size=1))
    ]
    request = Request.of(
        draw(owners()),
        draw(st.sampled_from(["new", "c0", "w1", "w3", "w5"])),
        wants,
        all_or_nothing=draw(st.booleans()),
    )
    return (
        request,
        [found for found in resources if found.resource_key in request.keys],
        [lease for lease in leases if lease.resource_key in request.keys],
        waiters,
    )


def decided(
    situation: tuple[Request, list[Resource], list[Lease], list[Waiter]], **options: object
) -> Decision | None:
    try:
        return decide(*situation, now=NOW, **options)  # type: ignore[arg-type]
    except UpgradeError:
        return None


@given(situations())
def test_no_more_than_the_capacity_is_live_after_a_grant(situation) -> None:  # type: ignore[no-untyped-def]
    request, _, leases, _ = situation
    decision = decided(situation)
    if decision is None:
        return
    for want in request.wants:
        if want.resource_key in decision.granted:
            others = [x for x in leases if x.resource_key == want.resource_key and x.live(NOW)]
            assert sum(x.weight for x in others) + want.weight <= want.capacity
            assert request.claim_id not in {x.claim_id for x in others}


@given(situations())
def test_fences_rise_and_what_is_held_keeps_its_own(situation) -> None:  # type: ignore[no-untyped-def]
    request, resources, leases, _ = situation
    decision = decided(situation)
    if decision is None:
        return
    last = {x.resource_key: x.last_fence for x in resources}
    assert all(fence == last[key] + 1 for key, fence in decision.granted.items())
    mine = {x.resource_key: x.fence for x in leases if x.claim_id == request.claim_id}
    assert decision.held == {k: v for k, v in mine.items() if k in request.keys}


@given(situations())
def test_every_want_is_held_granted_refused_or_left_for_the_others(situation) -> None:  # type: ignore[no-untyped-def]
    request = situation[0]
    decision = decided(situation)
    if decision is None:
        return
    parts = [*decision.held, *decision.granted, *decision.refused, *decision.free]
    assert sorted(parts) == sorted(request.keys)
    if request.all_or_nothing:
        assert not (decision.granted and decision.refused)
    else:
        assert decision.free == ()


@given(situations())
def test_only_expired_leases_of_what_is_granted_are_removed(situation) -> None:  # type: ignore[no-untyped-def]
    _, _, leases, _ = situation
    decision = decided(situation)
    if decision is None:
        return
    assert set(decision.stale) == {
        x for x in leases if x.resource_key in decision.granted and not x.live(NOW)
    }


@given(situations())
def test_what_is_refused_names_who_is_in_the_way(situation) -> None:  # type: ignore[no-untyped-def]
    request, _, leases, waiters = situation
    decision = decided(situation)
    if decision is None:
        return
    for key, who in decision.refused.items():
        assert who
        assert all(x.resource_key == key and x.claim_id != request.claim_id for x in who)
        assert all(
            x in leases and x.live(NOW) if isinstance(x, Lease) else x in waiters for x in who
        )


@given(situations())
def test_no_queue_grants_whatever_tickets_grant(situation) -> None:  # type: ignore[no-untyped-def]
    """A queue only ever holds back."""
    situation = (replace(situation[0], all_or_nothing=False), *situation[1:])
    queued, barged = decided(situation), decided(situation, precedence=barging)
    if queued is None or barged is None:
        assert queued is barged
        return
    assert set(queued.granted) <= set(barged.granted)


@given(situations())
def test_no_lower_attempt_joins_a_live_higher_one(situation) -> None:  # type: ignore[no-untyped-def]
    request, _, leases, _ = situation
    decision = decided(situation)
    if decision is None:
        return
    for lease in leases:
        if (
            lease.live(NOW)
            and lease.owner.root_run_id == request.owner.root_run_id
            and lease.owner.attempt > request.owner.attempt
        ):
            assert lease.resource_key not in decision.granted


@given(situations())
def test_nobody_passes_who_waits_but_over_the_dead(situation) -> None:  # type: ignore[no-untyped-def]
    """What is granted is left over by those ahead: they could all be granted too."""
    request, _, leases, waiters = situation
    decision = decided(situation)
    if decision is None:
        return
    waiters = [w for w in waiters if w.seen_until > NOW]
    own = min((w.ticket for w in waiters if w.claim_id == request.claim_id), default=None)
    rank = (-request.owner.priority, 10**9) if own is None else None
    if own is not None:
        mine = next(w for w in waiters if w.claim_id == request.claim_id and w.ticket == own)
        rank = (-mine.owner.priority, own)
    for want in request.wants:
        key = want.resource_key
        here = [x for x in leases if x.resource_key == key]
        if key not in decision.granted or any(not x.live(NOW) for x in here):
            continue
        ahead = [
            w
            for w in waiters
            if w.resource_key == key
            and w.claim_id != request.claim_id
            and (-w.owner.priority, w.ticket) < rank
        ]
        taken = sum(x.weight for x in (*here, *ahead))
        assert taken + want.weight <= want.capacity


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sets(st.sampled_from("abcdef"), min_size=1, max_size=6), min_size=2, max_size=6),
       st.randoms(use_true_random=False), st.booleans())  # fmt: skip
def test_nobody_starves(wanted: list[set[str]], order, all_or_nothing: bool) -> None:  # type: ignore[no-untyped-def]
    """Claimants that poll in any order, each holding what it gets for three rounds, and coming back
    at once: once somebody waits for a resource, nobody who came later is granted that one first."""
    leases: dict[tuple[str, str], Lease] = {}
    waiters: dict[tuple[str, str], Waiter] = {}
    fences = dict.fromkeys("abcdef", 0)
    born = dict.fromkeys(range(len(wanted)), 0)
    ticket = 0
    grants = dict.fromkeys(range(len(wanted)), 0)
    for turn in range(6 * 6 * 3 + 3):
        now = float(turn)
        for key in [k for k, x in leases.items() if x.since + 3 <= now]:
            del leases[key]  # released
        who = list(range(len(wanted)))
        order.shuffle(who)
        for number in who:
            claim = f"{number}.{born[number]}"
            owner = Owner(OwnerKind.RUN, claim, claim, 0)
            wants = [Want(key) for key in wanted[number]]
            request = Request.of(owner, claim, wants, all_or_nothing=all_or_nothing)
            resources = [Resource(key, 1, fences[key]) for key in request.keys]
            here = [x for x in leases.values() if x.resource_key in request.keys]
            decision = decide(request, resources, here, waiters.values(), now=now)
            own = [w.ticket for (_, c), w in waiters.items() if c == claim]
            place = min(own, default=ticket + 1)
            for key, fence in decision.granted.items():
                fences[key] = fence
                leases[key, claim] = Lease(key, claim, 1, fence, owner, now, None)
                waiters.pop((key, claim), None)
                passed = [w for (k, _), w in waiters.items() if k == key and w.ticket < place]
                assert not passed
            for key in decision.refused:
                if (key, claim) not in waiters:
                    ticket = max(ticket, place)
                    waiters[key, claim] = Waiter(key, claim, 1, place, owner, now, 1e9)
            if not decision.refused:
                grants[number] += 1
                born[number] += 1
    # Each waits at most for one of every other that stands before it, at each of six resources.
    assert min(grants.values()) >= 1


def test_one_resource_wanted_in_two_ways_is_refused() -> None:
    owner = Owner(OwnerKind.RUN, "r", "r", 0)
    with pytest.raises(DuplicateWantError):
        Request.of(owner, "c", [Want("a", 1, 2), Want("a", 2, 2)], all_or_nothing=True)
    assert len(Request.of(owner, "c", [Want("a"), Want("a")], all_or_nothing=True).wants) == 1
    wants = [Want("b"), Want("a")]
    assert Request.of(owner, "c", wants, all_or_nothing=True).keys == ("a", "b")
