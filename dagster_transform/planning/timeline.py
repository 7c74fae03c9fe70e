"""What a run's time went into: who ran when, what waited for whom, and what it could not have been
shorter than. Pure.

Times are seconds of one clock that never goes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dagster_transform.graph import UnitId
from dagster_transform.planning.values import Outcome, UnitKind

OWN_LIMITS = "the run's own limits (max_concurrent_models, the connection's, files)"
"""What a unit waits for that nobody else is in the way of."""


@dataclass(frozen=True, slots=True)
class Spell:
    """The time of one unit in a run.

    Attributes:
        unit: Its id.
        kind: What it is.
        outcome: What became of it.
        good: Whether what depends on it could go on.
        ready: When all that it depends on was done.
        attempts: When each attempt began and ended; none: it never began.
        waited: Seconds that it waited after that, by what was in the way, in words.
        after: The units that it depends on.
    """

    unit: UnitId
    kind: UnitKind
    outcome: Outcome
    good: bool
    ready: float
    attempts: tuple[tuple[float, float], ...] = ()
    waited: Mapping[str, float] = field(default_factory=dict)
    after: frozenset[UnitId] = frozenset()

    @property
    def began(self) -> float | None:
        """When it began first; None: never."""
        return self.attempts[0][0] if self.attempts else None

    @property
    def ended(self) -> float:
        """When it ended last; of what never began, when it was ready."""
        return self.attempts[-1][1] if self.attempts else self.ready

    @property
    def seconds(self) -> float:
        """How long it ran, over all attempts."""
        return sum(ended - began for began, ended in self.attempts)


@dataclass(frozen=True, slots=True)
class Wait:
    """What was in the way of some of a run.

    Attributes:
        reason: In words.
        seconds: How long, all that waited together.
        units: How many units; 0: the run as a whole, before any of them.
    """

    reason: str
    seconds: float
    units: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """What a run's time went into.

    Attributes:
        began: When the run began.
        ended: When it ended.
        spells: Of all units, by when they began, or were ready.
        critical: The chain of units, each after the one before it, that takes longest together: so
            long the run would have taken with any number of them at a time.
        peak: The most builds at one moment.
        waits: The longest first.
    """

    began: float
    ended: float
    spells: tuple[Spell, ...]
    critical: tuple[UnitId, ...]
    peak: int
    waits: tuple[Wait, ...]

    @property
    def seconds(self) -> float:
        """How long the run took."""
        return self.ended - self.began

    @property
    def first(self) -> float:
        """When its first unit began; the run's end where none did."""
        return min((s.began for s in self.spells if s.began is not None), default=self.ended)

    @property
    def critical_seconds(self) -> float:
        """How long the chain takes that takes longest."""
        chain = {*self.critical}
        return sum(spell.seconds for spell in self.spells if spell.unit in chain)

    def average(self) -> float:
        """How many builds ran at one moment on average, from the first unit's begin to the run's
        end: what comes before is reading projects, which no concurrency makes shorter."""
        length = self.ended - self.first
        built = sum(s.seconds for s in self.spells if s.kind is UnitKind.BUILD)
        return built / length if length > 0 else 0.0


def timeline_of(
    walks: Sequence[Sequence[Spell]],
    *,
    began: float,
    ended: float,
    waited: Mapping[str, float] | None = None,
) -> Timeline:
    """What a run's time went into.

    Args:
        walks: The units of each of its walks, which came one after the other; each unit after those
            that it depends on.
        began: When the run began.
        ended: When it ended.
        waited: Seconds that the run as a whole waited, by what was in the way.
    """
    spells = [spell for walk in walks for spell in walk]
    return Timeline(
        began,
        ended,
        tuple(sorted(spells, key=lambda s: s.ready if s.began is None else s.began)),
        tuple(unit for walk in walks for unit in _longest_chain(walk)),
        _peak(spell for spell in spells if spell.kind is UnitKind.BUILD),
        _waits(spells, waited or {}),
    )


def _longest_chain(walk: Iterable[Spell]) -> list[UnitId]:
    longest: dict[UnitId, float] = {}
    before: dict[UnitId, UnitId | None] = {}
    for spell in walk:
        known = [unit for unit in spell.after if unit in longest]
        last = max(known, key=lambda unit: (longest[unit], unit), default=None)
        before[spell.unit] = last
        longest[spell.unit] = spell.seconds + (longest[last] if last is not None else 0.0)
    at = max(longest, key=lambda unit: (longest[unit], unit), default=None)
    chain: list[UnitId] = []
    while at is not None and longest[at] > 0:
        chain.append(at)
        at = before[at]
    return chain[::-1]


def _peak(spells: Iterable[Spell]) -> int:
    # What ends at a moment is not at it together with what begins.
    changes = sorted(
        change for spell in spells for began, ended in spell.attempts
        for change in ((began, 1), (ended, -1))
    )  # fmt: skip
    now = most = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most


def _waits(spells: Iterable[Spell], run: Mapping[str, float]) -> tuple[Wait, ...]:
    seconds: dict[str, float] = {}
    units: dict[str, int] = {}
    for spell in spells:
        for reason, length in spell.waited.items():
            seconds[reason] = seconds.get(reason, 0.0) + length
            units[reason] = units.get(reason, 0) + 1
    found = [Wait(reason, length, units[reason]) for reason, length in seconds.items()]
    found += [Wait(reason, length, 0) for reason, length in run.items()]
    return tuple(sorted(found, key=lambda wait: (-wait.seconds, wait.reason)))
