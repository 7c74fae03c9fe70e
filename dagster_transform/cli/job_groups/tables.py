"""Job groups and what differs between two plans of them, as tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dagster_transform.cli.job_groups.words import duration
from dagster_transform.graph import Graph
from dagster_transform.graph.counts import counted
from dagster_transform.planning.job_groups.differences import Difference, What
from dagster_transform.planning.job_groups.text import shortened
from dagster_transform.planning.job_groups.values import JobGroup, JobGroupPlan

_SHOWN = 10
_WIDE = 110
"""Characters that a line must have for reasons to stand beside the rest."""
_WORDS = {
    What.NEW_GROUP: "new job group {name}, {after}",
    What.VANISHED_GROUP: "job group {name} vanishes",
    What.RENAMED_GROUP: "job group {before} is called {after} now",
    What.GROUP_CRON: "job group {name}: {before} -> {after}",
    What.MOVES: "{name}: {before} -> {after}",
    What.APPEARS: "{name}: new, in {after}",
    What.VANISHES: "{name}: vanishes, was in {before}",
    What.CADENCE: "{name}: {before} -> {after}",
}
_NOWHERE = "no group"
_NO_CRON = "no cron"


def table_of(groups: Sequence[JobGroup], *, reasons: bool = True) -> Table:
    """A row for each group: its cron, how many nodes it has, how long a run takes, why it is."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("group", no_wrap=True)
    table.add_column("cron", no_wrap=True)
    table.add_column("nodes", justify="right", no_wrap=True)
    table.add_column("expected", justify="right", no_wrap=True)
    table.add_column("depends on")
    if reasons:
        table.add_column("reason", ratio=1)
    for group in groups:
        cells = (
            Text(group.name),
            Text(group.cron.describe()),
            f"{len(group.nodes):,}",
            duration(group.seconds),
            Text(", ".join(group.depends_on)),
        )
        table.add_row(*cells, *([Text(_why(group))] if reasons else []))
    return table


def print_groups(groups: Sequence[JobGroup], console: Console) -> None:
    """Shows the table; where a line is short, the reasons come below it."""
    wide = console.width >= _WIDE
    console.print(table_of(groups, reasons=wide))
    if not wide:
        for group in groups:
            console.print(Text(f"\n{group.name}: {_why(group)}"))


def _why(group: JobGroup) -> str:
    return group.reason or group.description


def unscheduled_lines(plan: JobGroupPlan, graph: Graph) -> Iterator[str]:
    """The nodes that are in no group, by why they are not."""
    reasons: dict[str, list[str]] = {}
    for id, why in plan.unscheduled.items():
        reasons.setdefault(why, []).append(graph.nodes[id].name)
    for why, names in sorted(reasons.items()):
        listing = ", ".join(shortened(sorted(names), _SHOWN))
        yield f"{counted(len(names), 'node')} in no group: {why}: {listing}"


def difference_lines(found: Iterable[Difference]) -> Iterator[str]:
    """A line for each difference."""
    for each in found:
        nothing = _NO_CRON if each.what is What.CADENCE else _NOWHERE
        yield _WORDS[each.what].format(
            name=each.name, before=each.before or nothing, after=each.after or nothing
        )
