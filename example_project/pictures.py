"""The last asset of the example: a picture of what dbt made of the marts."""

# No `from __future__ import annotations` here: Dagster compares the annotation of `context` with
# its own types and refuses a string.
import base64
import io
import math
from dataclasses import dataclass

import dagster as dg

from example_project.python_assets import CATALOG, open_database


@dataclass(frozen=True)
class Cell:
    """One cell of the picture: a row of reports.delay_cells."""

    airline: str
    hour: int
    departed: int
    mean_delay: float | None
    departed_in_year: int


def draw_delays(cells: list[Cell], headline: str) -> bytes:
    """A heat map of mean departure delay by airline and hour of the day, as PNG.

    Airlines are sorted by traffic, the busiest on top.
    """
    # Imported here, because Dagster imports this module whenever it loads the definitions.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    traffic = {cell.airline: cell.departed_in_year for cell in cells}
    airlines = sorted(traffic, key=lambda airline: -traffic[airline])
    delays = {
        (cell.airline, cell.hour): cell.mean_delay for cell in cells if cell.mean_delay is not None
    }
    hours = range(min(hour for _, hour in delays), max(hour for _, hour in delays) + 1)
    grid = [[delays.get((airline, hour), math.nan) for hour in hours] for airline in airlines]

    # A Figure of its own and no pyplot: pyplot's state is shared by the threads of a process.
    figure = Figure(figsize=(10, 6.2), dpi=100, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_facecolor("#f0f0f0")
    mesh = axes.pcolormesh(grid, cmap="YlOrRd", vmin=0, vmax=40, edgecolors="white", linewidth=1.2)
    for row, airline in enumerate(airlines):
        for column, hour in enumerate(hours):
            delay = delays.get((airline, hour))
            if delay is not None:
                axes.text(
                    column + 0.5,
                    row + 0.5,
                    str(round(delay)),  # round, for no "-0"
                    ha="center",
                    va="center",
                    fontsize=7.5,
                    color="white" if delay > 26 else "#333333",
                )
    axes.invert_yaxis()
    axes.set_yticks(
        [row + 0.5 for row in range(len(airlines))],
        [f"{airline}  ({traffic[airline]:,})" for airline in airlines],
    )
    axes.set_xticks([column + 0.5 for column in range(len(hours))], [f"{h:02d}" for h in hours])
    axes.tick_params(length=0, labelsize=9)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlabel("hour of scheduled departure in New York", fontsize=9)
    figure.suptitle(headline, x=0.01, ha="left", fontsize=14, fontweight="bold")
    axes.set_title(
        "Mean departure delay in minutes, New York City 2013; departures of the year in brackets.\n"
        "Grey: too few departures for a mean.",
        loc="left",
        fontsize=9,
        color="#555555",
    )
    bar = figure.colorbar(mesh, ax=axes, shrink=0.6, aspect=25, pad=0.01, extend="both")
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=8)
    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png")
    # 128 colours look the same and take a third of the bytes; every run stores the picture.
    Image.open(drawn).convert("RGB").quantize(128).save(small, format="png", optimize=True)
    return small.getvalue()


@dg.asset(
    deps=[dg.AssetKey(["reports", "delay_cells"]), dg.AssetKey([CATALOG, "marts", "days"])],
    group_name="pictures",
    kinds={"python", "matplotlib"},
)
def delay_picture(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """Delay by airline and hour of the day, as a picture in the metadata of this asset."""
    with open_database(context) as connection:
        cells = [
            Cell(*row)
            for row in connection.execute(
                "SELECT airline, hour, departed, mean_dep_delay, departed_in_year"
                " FROM reports.delay_cells ORDER BY traffic_rank, hour"
            ).fetchall()
        ]
        by_hour: list[tuple[int, float]] = connection.execute(
            "SELECT hour, sum(departed * mean_dep_delay) / sum(departed) AS delay"
            " FROM reports.delay_cells WHERE mean_dep_delay IS NOT NULL"
            " GROUP BY hour ORDER BY delay"
        ).fetchall()
        worst = connection.execute(
            "SELECT strftime(flight_date, '%d %B %Y'), mean_dep_delay"
            " FROM marts.days ORDER BY delay_rank LIMIT 1"
        ).fetchone()
    if not by_hour or worst is None:
        raise dg.Failure("reports.delay_cells or marts.days is empty: build them first.")

    (best, least), (latest, most) = by_hour[0], by_hour[-1]
    picture = draw_delays(
        cells,
        f"Leave early: {least:.0f} min late at {best:02d}:00, {most:.0f} min at {latest:02d}:00",
    )
    inline = base64.b64encode(picture).decode()
    return dg.MaterializeResult(
        metadata={
            "picture": dg.MetadataValue.md(
                f"![delay by airline and hour](data:image/png;base64,{inline})"
            ),
            "best hour": best,
            "worst hour": latest,
            "worst day": f"{worst[0]}, {worst[1]:.0f} minutes on average",
            "picture bytes": len(picture),
        }
    )
