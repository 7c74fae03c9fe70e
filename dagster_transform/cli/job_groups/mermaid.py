"""Job groups as a Mermaid flowchart, for documents that draw one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dagster_transform.cli.job_groups.layout import arrows_of, colours_of
from dagster_transform.cli.job_groups.words import duration
from dagster_transform.graph.counts import counted
from dagster_transform.planning.job_groups.values import JobGroup


def mermaid(groups: Sequence[JobGroup]) -> str:
    """The flowchart: a box for each group, an arrow from each that it depends on,
    unless others lead there."""
    return "\n".join(_lines(groups))


def _lines(groups: Sequence[JobGroup]) -> Iterator[str]:
    colours = colours_of(groups)
    classes = {words: f"cadence{at}" for at, words in enumerate(colours)}
    yield "flowchart LR"
    for group in groups:
        words = group.cron.describe()
        about = f"{counted(len(group.nodes), 'node')}, {duration(group.seconds)}"
        # A name of its own: `end` and the like mean something to Mermaid.
        yield (
            f'  group_{group.name}["<b>{group.name}</b><br/>{words}<br/>{about}"]'
            f":::{classes[words]}"
        )
    for name, above in arrows_of(groups).items():
        yield from (f"  group_{each} --> group_{name}" for each in above)
    for words, (fill, stroke) in colours.items():
        yield f"  classDef {classes[words]} fill:{fill},stroke:{stroke},color:#222222"
