"""Job groups as a picture: boxes in columns by dependency, a colour for each cadence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import svg

from dagster_transform.cli.job_groups.layout import arrows_of, colours_of, columns_of
from dagster_transform.cli.job_groups.words import duration
from dagster_transform.graph.counts import counted
from dagster_transform.planning.job_groups.values import JobGroup, JobGroupName

FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"
INK, GREY, PAPER = "#222222", "#8a8a8a", "#ffffff"
_LETTER = 7.0
"""Width of a letter at the size of the names, at most."""
_BOX_HEIGHT, _ROW_GAP, _COLUMN_GAP, _MARGIN, _LEGEND = 64, 22, 72, 28, 34
_LEAST_WIDTH = 150


def picture(groups: Sequence[JobGroup]) -> str:
    """The picture, as the text of an SVG file. Pointing at a box shows the group's reason."""
    columns = columns_of(groups)
    colours = colours_of(groups)
    width = max((_width(group) for group in groups), default=_LEAST_WIDTH)
    tallest = max(map(len, columns), default=1)
    height = 2 * _MARGIN + _LEGEND + tallest * (_BOX_HEIGHT + _ROW_GAP) - _ROW_GAP
    places = _places(columns, width, tallest)
    across = 2 * _MARGIN + max(1, len(columns)) * (width + _COLUMN_GAP) - _COLUMN_GAP
    legend = list(legend_of(colours, _MARGIN, _MARGIN))
    across = max(across, legend_width(colours) + 2 * _MARGIN)
    elements: list[svg.Element] = [svg.Rect(width=across, height=height, fill=PAPER), *legend]
    for name, above in arrows_of(groups).items():
        elements += _arrows(places[name], [places[each] for each in above], width)
    for group in groups:
        elements.append(_box(group, places[group.name], width, colours[group.cron.describe()]))
    return document(across, height, elements)


def document(width: float, height: float, elements: Sequence[svg.Element]) -> str:
    """A picture of elements, as the text of an SVG file."""
    made = svg.SVG(
        viewBox=svg.ViewBoxSpec(0, 0, width, height),
        width=width,
        height=height,
        elements=list(elements),
        extra={"font-family": FONT},
    )
    return f"{made}\n"


def legend_of(colours: Mapping[str, tuple[str, str]], x: float, y: float) -> Iterator[svg.Element]:
    """What the colours mean, in a line."""
    for words, (fill, stroke) in colours.items():
        yield svg.Rect(x=x, y=y - 10, width=14, height=14, rx=3, fill=fill, stroke=stroke)
        yield label(words, x + 20, y + 2, size=12)
        x += 44 + len(words) * _LETTER


def legend_width(colours: Mapping[str, tuple[str, str]]) -> float:
    """How wide that line is."""
    return sum(44 + len(words) * _LETTER for words in colours)


def label(
    text: str, x: float, y: float, *, size: int = 12, bold: bool = False, fill: str = INK
) -> svg.Text:
    """A line of text that begins at x, on y."""
    return svg.Text(
        x=x,
        y=y,
        text=svg.escape(text),
        font_size=size,
        font_weight="bold" if bold else None,
        fill=fill,
    )


def _width(group: JobGroup) -> float:
    letters = max(len(group.name) * 1.2, len(_about(group)), len(group.cron.describe()))
    return max(_LEAST_WIDTH, 24 + letters * _LETTER)


def _about(group: JobGroup) -> str:
    return f"{counted(len(group.nodes), 'node')}, {duration(group.seconds)}"


def _places(
    columns: Sequence[Sequence[JobGroup]], width: float, tallest: int
) -> dict[JobGroupName, tuple[float, float]]:
    """The upper left corner of each box; columns are in the middle of the picture's height."""
    step = _BOX_HEIGHT + _ROW_GAP
    return {
        group.name: (
            _MARGIN + at * (width + _COLUMN_GAP),
            _MARGIN + _LEGEND + (row + (tallest - len(column)) / 2) * step,
        )
        for at, column in enumerate(columns)
        for row, group in enumerate(column)
    }


def _box(
    group: JobGroup, place: tuple[float, float], width: float, colour: tuple[str, str]
) -> svg.Element:
    x, y = place
    fill, stroke = colour
    said = group.reason or group.description
    return svg.G(
        elements=[
            svg.Title(text=svg.escape(f"{group.name}: {said}" if said else group.name)),
            svg.Rect(x=x, y=y, width=width, height=_BOX_HEIGHT, rx=8, fill=fill, stroke=stroke),
            label(group.name, x + 12, y + 20, size=13, bold=True),
            label(group.cron.describe(), x + 12, y + 38),
            label(_about(group), x + 12, y + 54),
        ]
    )


def _arrows(
    to: tuple[float, float], origins: Sequence[tuple[float, float]], width: float
) -> Iterator[svg.Element]:
    """Curves from the right sides of boxes to the left side of one; all by their upper left
    corners."""
    x, y = to
    end_x, end_y = x - 7, y + _BOX_HEIGHT / 2
    for left, top in origins:
        begin_x, begin_y = left + width, top + _BOX_HEIGHT / 2
        bend = max(24.0, (end_x - begin_x) / 2)
        yield svg.Path(
            d=[
                svg.MoveTo(begin_x, begin_y),
                svg.CubicBezier(begin_x + bend, begin_y, end_x - bend, end_y, end_x, end_y),
            ],
            fill="none",
            stroke=GREY,
            stroke_width=1.4,
        )
    if origins:
        yield svg.Path(
            d=[
                svg.MoveTo(x, end_y),
                svg.LineTo(x - 8, end_y - 4.5),
                svg.LineTo(x - 8, end_y + 4.5),
                svg.ClosePath(),
            ],
            fill=GREY,
        )
