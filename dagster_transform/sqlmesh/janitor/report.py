"""What a janitor's sweep has done, as a value, and in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any

_LISTED = 200


@dataclass(frozen=True, slots=True)
class DroppedEnvironment:
    """An environment that had expired.

    Attributes:
        expired_at: When, in epoch milliseconds.
        views: Names of its views that were dropped.
        whole: Whether all of it was dropped; else the state still has it, for the next sweep.
    """

    name: str
    expired_at: int
    views: tuple[str, ...] = ()
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Sweep:
    """What one sweep of a project has done.

    Attributes:
        project: Its name in transform.yaml.
        planned: False: the project was never planned, so there is nothing to sweep.
        environments: Those that had expired.
        tables: Names of the physical tables and views that were dropped.
        snapshots: Records of model versions that were removed from the state.
        interval_rows: Rows of intervals in the state, before and after.
        failures: What could not be dropped, and why.
        tolerated: Whether the project's config takes failures as warnings.
    """

    project: str
    planned: bool = True
    environments: tuple[DroppedEnvironment, ...] = ()
    tables: tuple[str, ...] = ()
    snapshots: int = 0
    interval_rows: tuple[int, int] = (0, 0)
    failures: tuple[str, ...] = ()
    tolerated: bool = False

    @property
    def views(self) -> tuple[str, ...]:
        """All views that were dropped."""
        return tuple(view for e in self.environments for view in e.views)

    @property
    def counts(self) -> dict[str, int]:
        """How much of everything."""
        return {
            "environments_dropped": sum(e.whole for e in self.environments),
            "views_dropped": len(self.views),
            "tables_dropped": len(self.tables),
            "versions_removed": self.snapshots,
            "interval_rows_before": self.interval_rows[0],
            "interval_rows_after": self.interval_rows[1],
            "not_dropped": len(self.failures),
        }

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def as_markdown(sweep: Sweep) -> str:
    """What was done, for people."""
    parts = [f"## Sweep of {sweep.project}"]
    if not sweep.planned:
        return "\n\n".join([*parts, "The project was never planned: nothing to drop."])
    for environment in sweep.environments:
        when = datetime.fromtimestamp(environment.expired_at / 1000, tz=timezone.utc)
        what = "dropped" if environment.whole else "not dropped as a whole"
        title = f"Environment {environment.name}, expired {when:%Y-%m-%d %H:%M} UTC: {what}"
        parts.append(_section(f"{title}. Views ({len(environment.views)})", environment.views))
    if sweep.tables:
        parts.append(_section(f"Tables dropped ({len(sweep.tables)})", sweep.tables))
    if not sweep.environments and not sweep.tables:
        parts.append("Nothing to drop.")
    before, after = sweep.interval_rows
    parts.append(
        f"Model versions removed from the state: {sweep.snapshots}. "
        f"Rows of intervals: {before} before, {after} after."
    )
    if sweep.failures:
        title = f"Not dropped ({len(sweep.failures)})"
        parts.append("\n".join([f"**{title}**", "", *(f"- {text}" for text in sweep.failures)]))
    return "\n\n".join(parts)


def _section(title: str, names: Iterable[str]) -> str:
    lines = [f"- `{name}`" for name in names]
    more = len(lines) - _LISTED
    lines = [*lines[:_LISTED], *[f"- and {more} more"] * (more > 0)]
    return "\n".join([f"**{title}**", *[""] * bool(lines), *lines])
