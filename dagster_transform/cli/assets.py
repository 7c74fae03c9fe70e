"""`dagster-transform list`: the assets and checks that Dagster shows, without Dagster's UI."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dagster_transform.cli.graphs import prepared_as_far_as_possible
from dagster_transform.cli.options import config_option, select_option, translator_option
from dagster_transform.cli.output import consoles, json_option, print_json, table_console
from dagster_transform.cli.prepare import translator_named
from dagster_transform.config import TransformConfig, load_config
from dagster_transform.errors import TransformError
from dagster_transform.graph import Check, Graph, InputId, Node, NodeId, select
from dagster_transform.graph.counts import counted
from dagster_transform.graph.errors import MissingGraphFileError
from dagster_transform.planning import timed, times_of

if TYPE_CHECKING:
    from dagster_transform.dagster.translation.translator import TransformTranslator

_ASSETS = ("asset", "framework", "kind", "checks", "cron", "group")
_CHECKS = ("check", "framework", "kind", "blocking", "runs")


@click.command("list")
@config_option
@select_option
@click.option("--checks", "of_checks", is_flag=True, help="The checks, a line for each.")
@json_option
@translator_option
def list_assets(
    *,
    config_path: Path | None,
    selection: str | None,
    of_checks: bool,
    as_json: bool,
    translator: str | None,
) -> None:
    """List the assets, with framework, kind, number of checks, cron and group.

    They are what the graph files have, which `dagster-transform prepare` writes.

    \b
    Examples:
      dagster-transform list
      dagster-transform list --select "+marts.delays tag:daily"
      dagster-transform list --checks --select project:staging
      dagster-transform list --json | jq -r '.[].name'

    \b
    Exit codes:
      0  all are listed
      1  a graph file or transform.yaml can't be read, or the
         selection selects nothing; projects that can be read are listed
    """
    out, err = consoles()
    config = load_config(config_path)
    # The one that Dagster has, so that keys and groups are what people see there.
    made = translator_named(config, translator)
    known, errors = prepared_as_far_as_possible(config, made)
    for text in _in_short(config, errors):
        err.print(f"Error: {text}", markup=False)
    for name, why in known.stale(config):
        err.print(
            f"Warning: the graph file of {name} {why}: run `dagster-transform prepare`",
            markup=False,
        )
    graph = timed(known.graph, times_of(config))
    listing = _Listing(config, graph, made)
    # Of a selection, sources are not: what is shown on them is listed where all is.
    chosen = select(graph, selection) if selection else frozenset(graph.nodes)
    nodes = [graph.nodes[id] for id in sorted(chosen, key=lambda id: graph.nodes[id].name)]
    checks = _checks_of(graph, chosen, on_sources=selection is None)
    if errors and not graph.nodes and not as_json:
        sys.exit(1)  # what is wrong is said, and nothing is known of what there is
    if as_json:
        found = map(listing.check, checks) if of_checks else map(listing.asset, nodes)
        print_json(list(found))
    elif of_checks:
        _print(_CHECKS, map(listing.check_row, checks), table_console(), "There are no checks.")
    else:
        _print(_ASSETS, map(listing.row, nodes), table_console(), "There are no assets.")
    if not as_json and nodes and not of_checks:
        out.print(
            f"\n{counted(len(nodes), 'asset')}, {counted(len(checks), 'check')}", markup=False
        )
    sys.exit(1 if errors else 0)


def _in_short(config: TransformConfig, errors: Mapping[str, TransformError]) -> Iterator[str]:
    """What is wrong with projects; that they were never prepared is said once."""
    missing = [name for name, e in errors.items() if isinstance(e, MissingGraphFileError)]
    if len(missing) > 1:
        yield (
            f"Projects {', '.join(missing)} were never prepared: there are no graph files of them."
            f"\nRun `{config.prepare_command()}` to write them."
        )
    for name, error in errors.items():
        if name not in missing or len(missing) == 1:
            yield str(error)


class _Listing:
    """What is said of the nodes and checks of a graph.

    Args:
        config: What transform.yaml says.
        graph: Its nodes are named by asset keys.
        translator: The translator that the definitions have.
    """

    def __init__(
        self, config: TransformConfig, graph: Graph, translator: TransformTranslator
    ) -> None:
        self._graph = graph
        self._translator = translator
        self._frameworks = {name: p.framework for name, p in config.projects.items()}

    def row(self, node: Node) -> tuple[str, ...]:
        """A line of the table of assets."""
        checks = len(self._graph.checks_of(node.id))
        cron = " ".join(part for part in (node.cron, node.time_zone) if part)
        return (node.name, node.framework, node.kind, str(checks), cron, self._group(node) or "")

    def asset(self, node: Node) -> dict[str, Any]:
        """An asset for programs."""
        return {
            "name": node.name,
            "key": list(self._translator.get_asset_key(node).path),
            "project": node.project,
            "framework": node.framework,
            "reference": node.reference,
            "kind": node.kind,
            "relation": str(node.relation),
            "cron": node.cron,
            "time_zone": node.time_zone,
            "group": self._group(node),
            "tags": list(node.tags),
            "owners": list(self._translator.get_owners(node) or ()),
            "environment": node.presence.value,
            "reads": [self._name(id) for id in self._graph.upstream(node.id)],
            "checks": [check.name for check in self._graph.checks_of(node.id)],
        }

    def check_row(self, check: Check) -> tuple[str, ...]:
        """A line of the table of checks."""
        return (
            self._name_of(check),
            self._frameworks[check.project],
            check.kind,
            "blocking" if check.blocking else "",
            check.when.value,
        )

    def check(self, check: Check) -> dict[str, Any]:
        """A check for programs."""
        return {
            "name": self._name_of(check),
            "check": check.name,
            "asset": self._name(check.target),
            "project": check.project,
            "framework": self._frameworks[check.project],
            "kind": check.kind,
            "blocking": check.blocking,
            "runs": check.when.value,
        }

    def _group(self, node: Node) -> str | None:
        return self._translator.get_group_name(node)

    def _name(self, id: InputId) -> str:
        found = self._graph.node(id) or self._graph.source(id)
        return found.name if found is not None else str(id)

    def _name_of(self, check: Check) -> str:
        return f"{self._name(check.target)}:{check.name}"


def _checks_of(graph: Graph, nodes: frozenset[NodeId], *, on_sources: bool) -> Sequence[Check]:
    found = [
        check
        for check in graph.checks.values()
        if check.target in nodes or (on_sources and not graph.is_node(check.target))
    ]
    return sorted(found, key=lambda check: check.id)


def _print(
    columns: Sequence[str], rows: Iterator[tuple[str, ...]], console: Console, nothing: str
) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        right = name == "checks"
        # A name is what people copy: it is broken over lines, and nothing of it is left out.
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table if table.row_count else nothing)
