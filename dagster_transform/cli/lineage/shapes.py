"""Lineage as a table, as a Mermaid flowchart, and for programs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from dagster_transform.graph import Graph, InputId
from dagster_transform.graph.columns import ColumnLineage, ColumnOf, Step

_ESCAPED = {"&": "&amp;", '"': "&quot;", "<": "&lt;", ">": "&gt;"}


@dataclass(frozen=True, slots=True)
class Traced:
    """What was asked for, and what was found.

    Attributes:
        graph: Its nodes and sources are named as people call them.
        lineage: All that is known.
        asked: The node or source that was asked for.
        columns: Its columns that were, as far as they are known.
        steps: From these up, or down.
        downstream: Whether they lead down.
    """

    graph: Graph
    lineage: ColumnLineage
    asked: InputId
    columns: Sequence[ColumnOf]
    steps: Sequence[Step]
    downstream: bool

    def asset(self, id: InputId) -> str:
        """What people call a node or source."""
        found = self.graph.node(id) or self.graph.source(id)
        return found.name if found is not None else str(id)

    def name(self, column: ColumnOf) -> str:
        """`marts/delays.minutes`."""
        return f"{self.asset(column.id)}.{self.lineage.name(column)}"

    def unknown(self) -> list[InputId]:
        """The nodes, by name, at which it ends because nothing is known of their columns. On the
        way down that is what reads what was reached; on the way up, what reads nothing is its end
        anyway, a seed say."""
        reached = self._reached()
        if self.downstream:
            reached = {below for id in reached for below in self.graph.downstream(id)}
        else:
            reached = {id for id in reached if self.graph.upstream(id)}
        return sorted((id for id in reached if not self.lineage.is_known(id)), key=self.asset)

    def without_refs(self) -> list[InputId]:
        """The dbt models, by name, at which the way up ends although they may read something: what
        a model reads without ref() or source(), dbt does not know."""
        if self.downstream:
            return []
        nodes = [node for id in self._reached() if (node := self.graph.node(id)) is not None]
        found = [n.id for n in nodes if n.framework == "dbt" and n.kind != "seed" and not n.deps]
        return sorted(found, key=self.asset)

    def _reached(self) -> set[InputId]:
        steps = (each.id for step in self.steps for each in (step.read, step.computed))
        return {self.asked, *steps}


def as_table(traced: Traced) -> Table:
    """A line for each column that is computed, with what it is computed from at once."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("column", "computed from", "steps"):
        table.add_column(title, justify="right" if title == "steps" else "left", overflow="fold")
    together: dict[tuple[int, ColumnOf], list[ColumnOf]] = {}
    for step in traced.steps:
        together.setdefault((step.distance, step.computed), []).append(step.read)
    for (distance, computed), read in together.items():
        names = "\n".join(map(traced.name, read))
        table.add_row(Text(traced.name(computed)), Text(names), str(distance))
    if not traced.downstream:
        for column in traced.columns:
            if (1, column) not in together and traced.lineage.is_known(column.id):
                table.add_row(Text(traced.name(column)), "(no column)", "")
    return table


def as_json(traced: Traced) -> dict[str, Any]:
    """All of it."""
    return {
        "columns": [_column(traced, column) for column in traced.columns],
        "direction": "downstream" if traced.downstream else "upstream",
        "steps": [
            {
                "from": _column(traced, step.read),
                "to": _column(traced, step.computed),
                "distance": step.distance,
            }
            for step in traced.steps
        ],
        "not_known": [traced.asset(id) for id in traced.unknown()],
    }


def as_mermaid(traced: Traced) -> str:
    """A flowchart: a box for each node with its columns in it, in the direction of the data."""
    return "\n".join(_mermaid_lines(traced))


def _mermaid_lines(traced: Traced) -> Iterator[str]:
    columns = list(
        dict.fromkeys(
            [*traced.columns, *(c for step in traced.steps for c in (step.read, step.computed))]
        )
    )
    # Names of their own: those of columns may mean something to Mermaid.
    boxes = {column: f"c{at}" for at, column in enumerate(columns)}
    yield "flowchart LR"
    for at, (id, inside) in enumerate(_by_input(columns).items()):
        yield f'  subgraph n{at}["{_escaped(traced.asset(id))}"]'
        yield from (f'    {boxes[c]}["{_escaped(traced.lineage.name(c))}"]' for c in inside)
        yield "  end"
    yield from (f"  {boxes[step.read]} --> {boxes[step.computed]}" for step in traced.steps)


def _by_input(columns: Iterable[ColumnOf]) -> Mapping[InputId, list[ColumnOf]]:
    found: dict[InputId, list[ColumnOf]] = {}
    for column in columns:
        found.setdefault(column.id, []).append(column)
    return found


def _column(traced: Traced, column: ColumnOf) -> dict[str, str]:
    return {"asset": traced.asset(column.id), "column": traced.lineage.name(column)}


def _escaped(text: str) -> str:
    return "".join(_ESCAPED.get(letter, letter) for letter in text)
