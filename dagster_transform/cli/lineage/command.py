"""The command itself: reads what is known, and prints it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dagster_transform.cli.graphs import prepared_as_far_as_possible
from dagster_transform.cli.lineage.knowing import columns_from, lineage_from, not_known
from dagster_transform.cli.lineage.shapes import Traced, as_json, as_mermaid, as_table
from dagster_transform.cli.options import config_option, translator_option
from dagster_transform.cli.output import (
    consoles,
    output_option,
    print_table,
    table_text,
    write_output,
)
from dagster_transform.cli.prepare import translator_named
from dagster_transform.config import load_config
from dagster_transform.graph import Graph, InputId
from dagster_transform.graph.columns import ColumnLineage
from dagster_transform.graph.errors import UnknownColumnError
from dagster_transform.graph.ids import SourceId

if TYPE_CHECKING:
    from dagster_transform.dagster.translation.columns_of_runs import ColumnsOfRuns
    from dagster_transform.dagster.translation.translator import TransformTranslator

_NO_REFS = "without ref() and source() dbt does not know what is read there, if anything is."
_NOT_KNOWN = "what the columns there are computed from is not known."


@click.command()
@click.argument("what", metavar="NODE[.COLUMN]")
@config_option
@click.option("--downstream", is_flag=True, help="What is computed from it.  [what it is from]")
@click.option(
    "--as",
    "shape",
    type=click.Choice(["table", "mermaid", "json"]),
    default="table",
    show_default=True,
    help="table: for reading; mermaid: a chart for a Markdown document; json: for programs.",
)
@output_option
@translator_option
def lineage(
    *,
    what: str,
    config_path: Path | None,
    downstream: bool,
    shape: str,
    output: Path | None,
    translator: str | None,
) -> None:
    """Show which columns a column is computed from, through SQLMesh, dbt and all projects.

    NODE is an asset key (warehouse/marts/delays), the framework's name (marts.delays, stg_flights)
    or the table's (staging.stg_flights); it may be a source too. Without COLUMN all columns are
    shown.

    What is known of SQLMesh's models is in the graph files. dbt's models say it once they are
    built with the run option `dbt: {fetch_column_lineage: true}`: it is read from the Dagster
    instance of DAGSTER_HOME.

    \b
    Examples:
      dagster-transform lineage marts.delays.minutes
      dagster-transform lineage raw/flights.dep_delay --downstream
      dagster-transform lineage marts.delays --as mermaid -o lineage.mmd

    \b
    Exit codes:
      0  it is shown, or nothing is known of it
      1  there is no such node or column, or a graph file or
         transform.yaml can't be read
    """
    _, err = consoles()
    config = load_config(config_path)
    made = translator_named(config, translator)
    known, errors = prepared_as_far_as_possible(config, made)
    for error in errors.values():
        err.print(f"Warning: {error}", markup=False)
    of_runs = _of_runs(known.graph, made)
    found = (
        ColumnLineage(known.graph)
        if of_runs is None
        else ColumnLineage(known.graph, of_runs.lineage, of_runs.columns)
    )
    home = of_runs is not None

    def framework(id: InputId) -> str:
        thing = known.graph.node(id) or known.graph.sources[SourceId(id)]
        return config.project(thing.project).framework

    try:
        id, columns = found.find(what)
    except UnknownColumnError as error:
        raise not_known(error, known.graph, framework(error.id), home=home) from None
    steps = found.steps(columns, downstream=downstream)
    traced = Traced(known.graph, found, id, columns, steps, downstream)
    if shape == "json":
        write_output(json.dumps(as_json(traced), indent=2) + "\n", output)
    elif shape == "mermaid":
        write_output(as_mermaid(traced) + "\n", output)
    elif not steps:
        if columns:
            err.print(f"No column of {what} is known to {_verb(downstream)}.", markup=False)
    elif output is None:
        print_table(as_table(traced))
    else:
        write_output(table_text(as_table(traced)), output)
    if shape != "json":
        for line in _remarks(traced, framework, home=home):
            err.print(line, markup=False)


def _remarks(traced: Traced, framework: Callable[[InputId], str], *, home: bool) -> Iterator[str]:
    """What is not known, and what helps."""
    ends = "Further down it may go on through" if traced.downstream else "It ends at"
    if not traced.columns:
        why = columns_from(traced.graph, traced.asked, framework(traced.asked), home=home)
        yield f"No column of {traced.asset(traced.asked)} is known. {why}"
    elif unknown := traced.unknown():
        why = lineage_from({framework(each) for each in unknown}, home=home)
        yield f"\n{ends} {_listed(traced, unknown)}: {_NOT_KNOWN} {why}"
    if without := traced.without_refs():
        yield f"\n{ends} {_listed(traced, without)}: {_NO_REFS}"


def _listed(traced: Traced, ids: Iterable[InputId]) -> str:
    return ", ".join(map(traced.asset, ids))


def _verb(downstream: bool) -> str:
    return "be read by others" if downstream else "be computed from others"


def _of_runs(graph: Graph, translator: TransformTranslator) -> ColumnsOfRuns | None:
    """What the last runs have found out, as the Dagster instance of DAGSTER_HOME has it; None: that
    is not set."""
    if not os.environ.get("DAGSTER_HOME"):
        return None
    from dagster_transform.dagster.translation.columns_of_runs import columns_of_runs

    return columns_of_runs(graph, translator)
