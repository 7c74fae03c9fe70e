"""Two daemons that evaluate one tick at the same moment launch it once.

Dagster looks whether a tick's run is there after it has asked what to launch: of two daemons (one
is still ending while the next one has begun, or somebody has started a second one) both may find
none, and both launch. Whoever asks second is answered once the first one's run is there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import dagster as dg

from dagster_transform.runs.tags import JOB_GROUP, TICK

PATIENCE = 20.0
"""Seconds after which whoever has asked first is taken for dead. A tick may take 60."""
_POLL = 0.5
ALL = ""
"""In the place of a job group: all of them, and the transform's sensor."""

_locks: dict[str, threading.Lock] = {}
# By job group, the last tick that was decided in this process, and when, monotonic: both daemons
# ask the same code server. Who is asked again after it was started anew does not wait.
_decided: dict[str, tuple[datetime, float]] = {}


@contextmanager
def one_at_a_time(job_group: str) -> Iterator[None]:
    """Hold back who evaluates a job group's schedule, or one of `ALL`, while somebody else does,
    in this process."""
    with _locks.setdefault(job_group, threading.Lock()):
        yield


def note_decided(job_group: str, tick: datetime) -> None:
    """A run of this tick is about to be made."""
    _decided[job_group] = (tick, time.monotonic())


def wait_for_run(instance: dg.DagsterInstance, job_group: str, tick: datetime) -> None:
    """Until the run of a tick is there that was decided just now, or is not to be expected any
    more: who was to make it has died."""
    last, at = _decided.get(job_group, (None, 0.0))
    if last != tick:
        return
    made = dg.RunsFilter(tags={JOB_GROUP: job_group, TICK: tick.isoformat()})
    while time.monotonic() < at + PATIENCE and not instance.get_runs_count(made):
        time.sleep(_POLL)
