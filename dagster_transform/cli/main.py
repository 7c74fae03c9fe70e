"""Commands, their options and what they print."""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from dagster_transform.cli.prepare import prepare_project
from dagster_transform.config import TransformConfig, load_config
from dagster_transform.errors import TransformError
from dagster_transform.graph import GraphFile, Presence


class _Group(click.Group):
    """Errors of ours are told in words, without a traceback, with exit code 1."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except TransformError as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="dagster-transform")
def main() -> None:
    r"""Run SQLMesh models as Dagster assets, with audits as asset checks.

    Projects are named in transform.yaml:

    \b
      projects:
        marts: {framework: sqlmesh, path: sqlmesh_project, environment: prod}

    Dagster's definitions read the graph files that `dagster-transform prepare` writes. Under
    `dagster dev` they are refreshed by themselves; run `prepare` where you build what you deploy.
    """


@main.command()
@click.option(
    "--config",
    "-c",
    "config_path",
    type=click.Path(path_type=Path),
    help="transform.yaml, or its folder.  [default: $DAGSTER_TRANSFORM_CONFIG, else the working "
    "directory's]",
)
@click.option(
    "--project", "-p", "projects", multiple=True, help="A project; may be given again.  [all]"
)
def prepare(config_path: Path | None, projects: tuple[str, ...]) -> None:
    """Read the projects and write their graph files.

    A graph file (.dagster_transform/PROJECT.graph.json beside transform.yaml) holds what Dagster
    has to know of a project: models, relations, crons, tags, owners, columns, dependencies,
    audits. Loading it takes neither SQLMesh nor a database.

    Exit code 1 if a project could not be read; the graph files of the others are written.
    """
    config = load_config(config_path)
    chosen = list(projects) or list(config.projects)
    for name in chosen:
        config.project(name)  # an unknown name is an error before any work
    out, err = Console(highlight=False), Console(stderr=True, highlight=False, soft_wrap=True)
    table = Table("project", "framework", "nodes", "checks", "environment", "seconds", box=None)
    failed = False
    for name in chosen:
        began = time.perf_counter()
        try:
            with err.status(f"Reading project {name}"):
                found = prepare_project(config, name)
        except TransformError as error:
            failed = True
            err.print(f"Error: {error}", markup=False)
            continue
        table.add_row(
            name,
            config.project(name).framework,
            str(len(found.graph.nodes)),
            str(len(found.graph.checks)),
            _environment(found),
            f"{time.perf_counter() - began:.1f}",
        )
        _remark(config, name, found, err)
    if table.row_count:
        out.print(table)
    if failed:
        sys.exit(1)


def _environment(found: GraphFile) -> str:
    if found.plan_id is None:
        return f"{found.environment}: never planned"
    often = Counter(node.presence for node in found.graph.nodes.values())
    parts = {
        Presence.CHANGED: "changed since its plan",
        Presence.ABSENT: "not in it",
    }
    words = [f"{often[p]} {text}" for p, text in parts.items() if often[p]]
    return f"{found.environment}: {', '.join(words) or 'equal to the files'}"


def _remark(config: TransformConfig, name: str, found: GraphFile, err: Console) -> None:
    if not found.graph.nodes:
        folders = ", ".join(str(path) for path in config.project(name).paths)
        err.print(f"Project {name} has no models: is {folders} the right folder?", markup=False)
