"""What a tick answers for: all that became due since the tick before it. Pure.

Dagster evaluates one tick of a schedule several times where it has to try again, makes up for none
that it has missed but the last one, and may fire at once for a time that is over when a cron was
changed (dagster issue 13597). So each tick remembers where it began.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from dagster_transform.graph import NodeId
from dagster_transform.planning.cron import Cron


@dataclass(frozen=True, slots=True)
class TickMemory:
    """What is kept of the last tick of a schedule.

    Attributes:
        cron: The cron that it was a tick of, with its zone.
        until: The tick itself, aware: what was due by then is launched.
        since: From when on it did that, aware.
        launched: Which nodes a run was asked for, as `marked` writes them; None: that has not been
            decided yet.
    """

    cron: str
    until: datetime
    since: datetime
    launched: str | None = None

    def to_text(self) -> str:
        """As it is stored."""
        return json.dumps(
            [self.cron, self.until.isoformat(), self.since.isoformat(), self.launched]
        )

    @classmethod
    def from_text(cls, text: str | None) -> TickMemory | None:
        """What was stored; None where that is nothing, or of another version."""
        try:
            cron, until, since, *more = json.loads(text or "")
            launched = str(more[0]) if more and more[0] is not None else None
            return cls(
                str(cron), datetime.fromisoformat(until), datetime.fromisoformat(since), launched
            )
        except (ValueError, TypeError):
            return None


def marked(nodes: Sequence[NodeId], chosen: Collection[NodeId]) -> str:
    """Which nodes of a group are chosen, as short text: a bit for each.

    Args:
        nodes: The group's.
        chosen: Some of them.
    """
    bits = sum(1 << place for place, node in enumerate(nodes) if node in chosen)
    return f"{_digest(nodes)}:{bits:x}"


def chosen_of(nodes: Sequence[NodeId], text: str | None) -> tuple[NodeId, ...] | None:
    """The nodes that `marked` has written; None: it was of other nodes, or of none."""
    digest, _, bits = (text or "").partition(":")
    if digest != _digest(nodes) or not bits:
        return None
    number = int(bits, 16)
    return tuple(node for place, node in enumerate(nodes) if number >> place & 1)


def _digest(nodes: Sequence[NodeId]) -> str:
    return hashlib.sha256("\0".join(nodes).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class TickWindow:
    """What a tick answers for.

    Attributes:
        since: What became due after this moment and up to the tick is to be launched.
        over: Why nothing is: the tick is none; None: it is one.
        memory: What is kept of it.
    """

    since: datetime
    over: str | None
    memory: TickMemory


def tick_window(
    cron: Cron,
    tick: datetime,
    memory: TickMemory | None,
    loaded: datetime,
    *,
    make_up: bool = True,
) -> TickWindow:
    """What a tick answers for.

    Args:
        cron: The schedule's.
        tick: For when it is evaluated, aware.
        memory: What was kept of the last tick; None: there was none.
        loaded: When this process has read the cron, aware.
        make_up: Whether it answers for ticks that were missed, too.
    """
    before = cron.previous(tick)
    if memory is None:
        return TickWindow(before, None, TickMemory(str(cron), tick, before))
    if memory.cron != str(cron) and tick < loaded:
        # A time before the change. What was due by then is launched at the next tick.
        kept = TickMemory(str(cron), memory.until, memory.since)
        why = (
            f"The cron was {memory.cron} until now and is {cron}: {tick:%Y-%m-%d %H:%M} UTC was "
            "before that, so nothing is launched for it. What is due is launched at the next tick."
        )
        return TickWindow(memory.until, why, kept)
    if tick <= memory.until:
        # Again, or for a preview. A tick that is older than the last one has been looked at.
        since = memory.since if tick == memory.until else before
        return TickWindow(since, None, memory)
    since = memory.until if make_up else max(memory.until, before)
    return TickWindow(since, None, TickMemory(str(cron), tick, since))
