"""A run's timeline as an SVG: a row for each unit, time from left to right. Pure.

Written as text: to import svg.py takes a quarter of a second, which every run would pay for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape

from dagster_transform.graph import UnitId
from dagster_transform.planning import UnitKind
from dagster_transform.planning.timeline import Spell, Timeline

_ROW, _BAR, _LETTER, _LONGEST = 15, 9, 6.2, 44
_WIDTH, _HEAD, _MARGIN = 520.0, 18, 6
_THINNEST = 1.5
_INK, _GREY, _FAINT, _PAPER = "#222", "#888", "#e3e3e3", "#fff"
_BUILD, _CHECK, _OTHER, _BAD, _WAIT = "#3aa76d", "#5b8dd6", "#9a8fb5", "#c0392b", "#f0c36d"
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
"""Seconds between two lines."""
_LINES = 8


def picture(timeline: Timeline, shown: Sequence[Spell], called: Callable[[UnitId], str]) -> str:
    """The picture, as the text of an SVG file. Those of the longest chain are bold; what waited is
    pale from when it could have begun.

    Args:
        timeline: What the run's time went into.
        shown: The units that have rows.
        called: What people call a unit.
    """
    return "".join(_Picture(timeline, shown, called).lines())


class _Picture:
    def __init__(
        self, timeline: Timeline, shown: Sequence[Spell], called: Callable[[UnitId], str]
    ) -> None:
        self._timeline, self._shown = timeline, shown
        self._names = [_short(called(spell.unit)) for spell in shown]
        self._left = _MARGIN * 2 + max(map(len, self._names), default=0) * _LETTER
        self._scale = _WIDTH / max(timeline.seconds, 0.001)

    def lines(self) -> Iterator[str]:
        width, height = self._left + _WIDTH + 40, _HEAD + len(self._shown) * _ROW + _MARGIN
        yield (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" '
            f'font-family="sans-serif" font-size="10" fill="{_INK}">'
            f'<rect width="100%" height="100%" fill="{_PAPER}"/>'
        )
        yield from self._grid(height)
        chain = {*self._timeline.critical}
        for row, (spell, name) in enumerate(zip(self._shown, self._names, strict=True)):
            y = _HEAD + row * _ROW
            bold = ' font-weight="bold"' if spell.unit in chain else ""
            yield f'<text x="{_MARGIN}" y="{y + 9}"{bold}>{escape(name)}</text>'
            yield from self._bars(spell, y)
        yield "</svg>"

    def _grid(self, height: float) -> Iterator[str]:
        length = self._timeline.seconds
        step = next((s for s in _STEPS if length / s <= _LINES), max(3600.0, length / _LINES))
        for number in range(int(length / step) + 1):
            x = self._left + number * step * self._scale
            yield f'<path d="M{x:.1f} {_HEAD - 4}V{height}" stroke="{_FAINT}"/>'
            yield f'<text x="{x + 2:.1f}" y="10" fill="{_GREY}">{_clock(number * step)}</text>'

    def _bars(self, spell: Spell, y: float) -> Iterator[str]:
        waited = sum(spell.waited.values())
        if waited > 0:
            end = spell.ready + waited if spell.began is None else spell.began
            yield self._bar(spell.ready, end, y, _WAIT)
        for at, (began, ended) in enumerate(spell.attempts, 1):
            good = at == len(spell.attempts) and spell.good
            yield self._bar(began, ended, y, _colour(spell) if good else _BAD)

    def _bar(self, began: float, ended: float, y: float, fill: str) -> str:
        x = self._left + (began - self._timeline.began) * self._scale
        width = max(_THINNEST, (ended - began) * self._scale)
        return f'<rect x="{x:.1f}" y="{y + 1}" width="{width:.1f}" height="{_BAR}" fill="{fill}"/>'


def _colour(spell: Spell) -> str:
    return {UnitKind.BUILD: _BUILD, UnitKind.CHECK: _CHECK}.get(spell.kind, _OTHER)


def _short(name: str) -> str:
    """The end of a long name: what differs."""
    return name if len(name) <= _LONGEST else "\N{HORIZONTAL ELLIPSIS}" + name[1 - _LONGEST :]


def _clock(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:g} s"
    minutes = seconds / 60
    return f"{minutes:g} min" if minutes < 60 else f"{minutes / 60:g} h"
