"""A run's timeline in words: a heading, and markdown with its picture and tables. Pure."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence

from dagster_transform.graph import UnitId
from dagster_transform.graph.counts import counted
from dagster_transform.planning import GOOD_OUTCOMES, UnitKind
from dagster_transform.planning.timeline import Spell, Timeline
from dagster_transform.runs.timeline_picture import picture

SHOWN = 80
"""Units that the picture and the table have: Dagster stores them with the event."""
_WAITS = 20
_CHAIN = 30


def heading(timeline: Timeline) -> str:
    """A sentence with what matters most."""
    counts = [
        counted(count, word)
        for kind, word in ((UnitKind.BUILD, "build"), (UnitKind.CHECK, "check"))
        if (count := sum(s.kind is kind and bool(s.attempts) for s in timeline.spells))
    ]
    said = f"{' and '.join(counts) or 'Nothing'} in {_seconds(timeline.seconds)}"
    if counts:
        said += f", the first after {_seconds(timeline.first - timeline.began)}"
    if timeline.peak:
        peak, average = counted(timeline.peak, "build"), timeline.average()
        said += f"; at most {peak} at once ({average:.1f} on average from then on)"
    if timeline.critical:
        chain = (
            "chain of one" if len(timeline.critical) == 1 else f"chain of {len(timeline.critical)}"
        )
        said += f"; the longest {chain} takes {_seconds(timeline.critical_seconds)}"
    return said


def as_markdown(timeline: Timeline, called: Callable[[UnitId], str]) -> str:
    """The whole timeline.

    Args:
        timeline: It.
        called: What people call a unit.
    """
    shown = _shown(timeline)
    more = len(timeline.spells) - len(shown)
    parts = [f"{heading(timeline)}.", _image(picture(timeline, shown, called))]
    if more:
        parts.append(
            f"Of {counted(len(timeline.spells), 'unit')} the {len(shown)} that are in the longest "
            "chain, waited or took longest."
        )
    parts.append(
        f"Before the first began: {_seconds(timeline.first - timeline.began)} (reading projects, "
        "their state and claims)."
    )
    if timeline.critical:
        parts += ["**The longest chain**: so long it takes with any number of builds at once.", ""]
        parts[-1] = _chain(timeline, called)
    if timeline.waits:
        parts += ["**Waited for**", _waits(timeline)]
    parts += ["**Who ran when**, in seconds from the run's begin", _table(timeline, shown, called)]
    return "\n\n".join(parts)


def _shown(timeline: Timeline) -> list[Spell]:
    if len(timeline.spells) <= SHOWN:
        return list(timeline.spells)
    chain = {*timeline.critical}

    def rank(spell: Spell) -> tuple[bool, float]:
        return spell.unit in chain, spell.seconds + sum(spell.waited.values())

    best = {spell.unit for spell in sorted(timeline.spells, key=rank, reverse=True)[:SHOWN]}
    return [spell for spell in timeline.spells if spell.unit in best]


def _image(svg: str) -> str:
    return f"![timeline](data:image/svg+xml;base64,{b64encode(svg.encode()).decode()})"


def _chain(timeline: Timeline, called: Callable[[UnitId], str]) -> str:
    of = {spell.unit: spell for spell in timeline.spells}
    lines = [
        f"{at}. `{called(unit)}` {_seconds(of[unit].seconds)}"
        for at, unit in enumerate(timeline.critical[:_CHAIN], 1)
    ]
    if (more := len(timeline.critical) - _CHAIN) > 0:
        lines.append(f"\n... and {more} more")
    return "\n".join(lines)


def _waits(timeline: Timeline) -> str:
    rows = [
        (
            _cell(wait.reason),
            counted(wait.units, "unit") if wait.units else "the run",
            _seconds(wait.seconds),
        )
        for wait in timeline.waits[:_WAITS]
    ]
    if (more := len(timeline.waits) - _WAITS) > 0:
        rest = sum(wait.seconds for wait in timeline.waits[_WAITS:])
        rows.append((f"... and {more} more", "", _seconds(rest)))
    return _rows(("what", "by", "together"), rows)


def _table(timeline: Timeline, shown: Sequence[Spell], called: Callable[[UnitId], str]) -> str:
    rows = []
    for spell in shown:
        waited = sum(spell.waited.values())
        rows.append(
            (
                f"`{_cell(called(spell.unit))}`",
                _became(spell),
                "never" if spell.began is None else f"{spell.began - timeline.began:.1f}",
                f"{spell.seconds:.2f}",
                f"{len(spell.attempts)}",
                f"{waited:.1f}" if waited >= 0.05 else "",
            )
        )
    return _rows(("unit", "", "began", "took", "attempts", "waited"), rows)


def _became(spell: Spell) -> str:
    if spell.good or spell.outcome not in GOOD_OUTCOMES:
        return spell.outcome.value
    return f"{spell.outcome.value}, a blocking check failed"


def _rows(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _seconds(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
