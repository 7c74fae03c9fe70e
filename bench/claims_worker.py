"""Child process: claim what others want too and give it back, again and again; say how often."""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable
from uuid import uuid4

SLOTS = 3
TABLES = 400
TABLES_AT_ONCE = 50
KEY = "heavy"
_PAUSE = 0.005  # before asking again; the same for both


# One turn: how much was claimed and given back; and what is to be done after the last.
Turns = tuple[Callable[[], int], Callable[[], None]]


def main() -> None:
    """Arguments: whose claims, where they are stored, for how many seconds."""
    side, place, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    turn, end = {"ours": _ours, "theirs": _theirs, "tables": _tables}[side](place)
    turn()  # connections, tables
    print("ready", flush=True)
    sys.stdin.readline()
    until = time.monotonic() + seconds
    claims = asked = 0
    while time.monotonic() < until:
        asked += 1
        granted = turn()
        claims += granted
        if not granted:
            time.sleep(_PAUSE)
    end()
    print(json.dumps({"claims": claims, "asked": asked, "cpu": time.process_time()}))


def _ours(url: str) -> Turns:
    from dagster_transform.claims import Owner, OwnerKind, Want, new_claim_id, open_store
    from dagster_transform.planning import ResourceKey

    store = open_store(url)
    run = uuid4().hex
    owner = Owner(OwnerKind.RUN, run, run, 0)
    wants = [Want(ResourceKey.tag(KEY), 1, SLOTS)]

    def turn() -> int:
        claim = new_claim_id()
        if not store.acquire(owner, wants, claim_id=claim, all_or_nothing=True).granted:
            return 0
        store.release(claim)
        return 1

    return turn, store.close


def _tables(url: str) -> Turns:
    """As runs do: what is free of many tables, in one call."""
    from dagster_transform.claims import (
        WHOLE,
        Owner,
        OwnerKind,
        Want,
        new_claim_id,
        open_store,
    )
    from dagster_transform.planning import ResourceKey

    store = open_store(url)
    run = uuid4().hex
    owner = Owner(OwnerKind.RUN, run, run, 0)
    keys = [ResourceKey.parse(f"table:host/db.schema.t{n:03}") for n in range(TABLES)]
    wants = [Want(key, WHOLE, WHOLE) for key in keys]

    def turn() -> int:
        claim = new_claim_id()
        some = random.sample(wants, TABLES_AT_ONCE)
        granted = store.acquire(owner, some, claim_id=claim, all_or_nothing=False).granted
        if granted is None:
            return 0
        store.release(claim)
        return len(granted.fences)

    return turn, store.close


def _theirs(home: str) -> Turns:
    os.environ["DAGSTER_HOME"] = home
    from dagster import DagsterInstance

    instance = DagsterInstance.get()
    storage = instance.event_log_storage
    run = str(uuid4())
    number = 0

    def turn() -> int:
        nonlocal number
        step = f"step{number}"
        # As the executor does: the same step asks until it has its slot.
        if not storage.claim_concurrency_slot(KEY, run, step).is_claimed:
            return 0
        storage.free_concurrency_slot_for_step(run, step)
        number += 1
        return 1

    def end() -> None:
        # What a step waits for is given to it when it is gone too, and nothing takes it back.
        storage.free_concurrency_slots_for_run(run)
        instance.dispose()

    return turn, end


if __name__ == "__main__":
    main()
