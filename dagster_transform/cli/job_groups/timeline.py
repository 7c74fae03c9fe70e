"""A simulation as a picture: a row for each job group, time from left to right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone

import svg

from dagster_transform.cli.job_groups.layout import colours_of
from dagster_transform.cli.job_groups.svg import (
    GREY,
    INK,
    PAPER,
    document,
    label,
    legend_of,
    legend_width,
)
from dagster_transform.graph.counts import counted
from dagster_transform.planning.job_groups.simulated import Launch, Simulation, Wait
from dagster_transform.planning.job_groups.values import JobGroup, JobGroupName

_ROW, _BAR, _MARGIN, _HEAD = 34, 16, 28, 74
_LETTER = 7.6
_LEAST_HOUR, _MOST_HOUR, _WIDTH = 8.0, 60.0, 1400.0
"""Pixels of an hour, and of all hours, as far as those allow."""
_LINES = (1, 2, 3, 6, 12, 24, 24 * 7)
"""Hours between two lines."""
_LINE_GAP = 64
_THINNEST = 1.6
_WAITING = "#c0392b"
_FAINT = "#e3e3e3"


def timeline(simulation: Simulation, groups: Sequence[JobGroup], said: Sequence[str]) -> str:
    """The picture, as the text of an SVG file. Pointing at a bar says what it is.

    Args:
        simulation: What happens.
        groups: A row for each.
        said: Lines above the rows.
    """
    return _Timeline(simulation, groups, said).drawn()


class _Timeline:
    def __init__(
        self, simulation: Simulation, groups: Sequence[JobGroup], said: Sequence[str]
    ) -> None:
        self._simulation, self._groups, self._said = simulation, groups, said
        self._colours = colours_of(groups)
        last = max((launch.done for launch in simulation.launches), default=simulation.end)
        self._end = max(simulation.end, last)
        hours = (self._end - simulation.start) / timedelta(hours=1)
        self._hour = min(_MOST_HOUR, max(_LEAST_HOUR, _WIDTH / max(hours, 1)))
        self._left = _MARGIN + 20 + max((len(g.name) for g in groups), default=0) * _LETTER
        self._top = _MARGIN + _HEAD + 18 * len(said)
        self._right = self._left + hours * self._hour

    def drawn(self) -> str:
        width = max(self._right, _MARGIN + legend_width(self._colours) + 190) + _MARGIN + 20
        height = self._top + len(self._groups) * _ROW + _MARGIN
        elements: list[svg.Element] = [svg.Rect(width=width, height=height, fill=PAPER)]
        for at, line in enumerate(self._said):
            elements.append(label(line, _MARGIN, _MARGIN + 8 + at * 18, size=13, bold=at == 0))
        elements += self._legend()
        elements += self._lines(height - _MARGIN)
        rows = {group.name: at for at, group in enumerate(self._groups)}
        for group in self._groups:
            elements.append(label(group.name, _MARGIN, self._middle(rows[group.name]) + 4))
        cadences = {group.name: group.cron.describe() for group in self._groups}
        for wait in self._simulation.waits:
            elements.append(self._wait(wait, rows))
        for launch in self._simulation.launches:
            colour = self._colours[cadences[launch.group]]
            elements.append(self._launch(launch, self._middle(rows[launch.group]), colour))
        return document(width, height, elements)

    def _legend(self) -> Iterator[svg.Element]:
        y = self._top - 44
        yield from legend_of(self._colours, _MARGIN, y)
        x = _MARGIN + legend_width(self._colours)
        yield svg.Rect(x=x, y=y - 5, width=14, height=4, fill=_WAITING)
        yield label("waits", x + 20, y + 2)
        yield svg.Circle(cx=x + 80, cy=y - 3, r=2.5, fill="none", stroke=GREY)
        yield label("nothing is due", x + 90, y + 2)

    def _lines(self, bottom: float) -> Iterator[svg.Element]:
        """Vertical lines at round hours of UTC, and what they are."""
        step = next((h for h in _LINES if h * self._hour >= _LINE_GAP), _LINES[-1])
        at = self._simulation.start.replace(minute=0, second=0, microsecond=0)
        while at <= self._end:
            hours = (at - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(hours=1)
            if at >= self._simulation.start and hours % step == 0:
                x, midnight = self._x(at), at.hour == 0
                stroke = GREY if midnight else _FAINT
                yield svg.Line(x1=x, x2=x, y1=self._top, y2=bottom, stroke=stroke)
                words = f"{at:%a %d %b}" if midnight else f"{at:%H:%M}"
                yield label(words, x + 3, self._top - 8, size=11, fill=INK if midnight else GREY)
            at += timedelta(hours=1)

    def _launch(self, launch: Launch, y: float, colour: tuple[str, str]) -> svg.Element:
        x = self._x(launch.tick)
        when = f"{launch.group}, {launch.tick:%a %H:%M}"
        if not launch.nodes:
            title = svg.Title(text=svg.escape(f"{when}: nothing is due"))
            return svg.Circle(cx=x, cy=y, r=2.5, fill=PAPER, stroke=GREY, elements=[title])
        fill, stroke = colour
        begin = self._x(launch.begun)
        title = svg.Title(
            text=svg.escape(
                f"{when}: {counted(len(launch.nodes), 'node')}, until {launch.done:%a %H:%M}"
            )
        )
        return svg.Rect(
            x=begin,
            y=y - _BAR / 2,
            width=max(_THINNEST, self._x(launch.done) - begin),
            height=_BAR,
            rx=1.5,
            fill=fill,
            stroke=stroke,
            stroke_width=0.8,
            elements=[title],
        )

    def _wait(self, wait: Wait, rows: Mapping[JobGroupName, int]) -> svg.Element:
        """Below the bars of the group that waits."""
        x = self._x(wait.since)
        waiting = counted(len(wait.nodes), "node waits", "nodes wait")
        said = (
            f"{wait.group}, {wait.tick:%a %H:%M}: {waiting} for {wait.on_group} "
            f"of {wait.on_tick:%a %H:%M} until {wait.until:%a %H:%M}"
        )
        return svg.Rect(
            x=x,
            y=self._middle(rows[wait.group]) + _BAR / 2 + 2,
            width=max(_THINNEST, self._x(wait.until) - x),
            height=4,
            fill=_WAITING,
            elements=[svg.Title(text=svg.escape(said))],
        )

    def _x(self, moment: datetime) -> float:
        hours = (moment - self._simulation.start) / timedelta(hours=1)
        return round(self._left + hours * self._hour, 1)

    def _middle(self, row: int) -> float:
        return self._top + (row + 0.5) * _ROW
