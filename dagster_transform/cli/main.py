"""Commands, their options and what they print."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from dagster_transform.cli.assets import list_assets
from dagster_transform.cli.claims import claims
from dagster_transform.cli.doctor.command import doctor
from dagster_transform.cli.drift_texts import drift_lines, environment_in_words
from dagster_transform.cli.init.command import init
from dagster_transform.cli.job_groups.commands import job_groups
from dagster_transform.cli.lineage.command import lineage
from dagster_transform.cli.options import config_option
from dagster_transform.cli.output import (
    consoles,
    json_option,
    print_json,
    print_table,
    silence_missing_instance_file,
)
from dagster_transform.cli.prepare import (
    ComponentTranslatorError,
    compare_project,
    find_unfit,
    known_graphs,
    prepare_project,
    where_commands_are_typed,
)
from dagster_transform.cli.versions import version_option
from dagster_transform.config import SqlmeshProject, TransformConfig, load_config
from dagster_transform.errors import TransformError
from dagster_transform.graph import GraphFile, GraphFileError, read_graph_file
from dagster_transform.planning.findings.read_elsewhere import read_elsewhere_findings
from dagster_transform.planning.findings.relative_files import lies_elsewhere
from dagster_transform.sqlmesh.doctor import other_files
from dagster_transform.sqlmesh.first_plan import first_plan

_NAMES_SHOWN = 10
"""How many names of one sort `prepare` lists; `--check` lists all."""
_DIFFERENT = 1
_ERROR_WHILE_CHECKING = 2
_NOT_SHOWN = 3


class _Group(click.Group):
    """Errors of ours are shown in words, without a traceback, with exit code 1."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except TransformError as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@version_option
def main() -> None:
    """Run SQLMesh models and dbt nodes as Dagster assets, audits and tests as asset checks.

    \b
    Examples:
      dagster-transform init                  # transform.yaml and definitions.py
      dagster-transform prepare               # read the projects
      dagster-transform list --select tag:daily
      dagster-transform lineage marts.delays.minutes
      dagster-transform doctor                # what is wrong, and what to do
      dagster-transform job-groups generate   # schedules

    Projects are named in transform.yaml:

    \b
      projects:
        staging: {framework: dbt, path: dbt_project}
        marts: {framework: sqlmesh, path: sqlmesh_project, environment: prod}

    What a project may have beside framework and path (docs/transform-yaml.md has examples):

    \b
      sqlmesh  environment, gateway, plan, column_lineage, catalog_in_key
               janitor: the cron of its schedule
      dbt      target, profiles_dir, vars, state, cron, time_zone
      both     select, exclude: which nodes are assets
               key_prefix: comes before their keys
               source_keys: keys of external tables
               checks: when audits and tests run (after_each,
                 after_all, apart, none), cron, fail_on
               require_passing_checks: nothing over failures
               watch: the sensor of what is done outside

    Dagster's definitions read the graph files that `dagster-transform prepare` writes. Under
    `dagster dev` they are refreshed by themselves; run `prepare` where you build what you deploy.

    \b
    Exit codes, where a command does not say others:
      0  done
      1  an error, said with its cause and what to do
      2  the command line is wrong: no such option or command

    \b
    Completion of commands and options, for bash (zsh and fish too):
      eval "$(_DAGSTER_TRANSFORM_COMPLETE=bash_source dagster-transform)"

    Tables have no colours where they are not read in a terminal, or where NO_COLOR is set.
    docs/command-line.md has all commands with their exit codes.
    """
    silence_missing_instance_file()


for command in (init, list_assets, lineage, doctor, claims, job_groups):
    main.add_command(command)


@main.command()
@config_option
@click.option(
    "--project", "-p", "projects", multiple=True, help="A project; may be given again.  [all]"
)
@click.option(
    "--check",
    is_flag=True,
    help="Write nothing; compare the files with the environment and with the graph file.",
)
@click.option(
    "--translator",
    metavar="MODULE:CLASS",
    help="A translator of your own, to see whether Dagster takes what it makes.",
)
@json_option
def prepare(
    *,
    config_path: Path | None,
    projects: tuple[str, ...],
    check: bool,
    translator: str | None,
    as_json: bool,
) -> None:
    """Read the projects and write their graph files.

    A graph file (.dagster_transform/PROJECT.graph.json beside transform.yaml) holds what Dagster
    has to know of a project: models, relations, crons, tags, owners, columns, dependencies,
    audits. Loading it takes neither SQLMesh nor a database.

    Exit code 1 if a project could not be read; the graph files of the others are written. Exit code
    3 if all could, and Dagster can't show one: two nodes of one asset key, two projects that build
    one table. That one's assets are not there then; the others load.

    What differs between the files and the environment is shown:

    \b
      new       in the files only: no run builds it before a plan is applied
      changed   its own definition differs
      affected  it reads something that differs
      removed   in the environment only: no run builds it any more

    With --check nothing is written, and the exit code is for a CI job:

    \b
      0  files, environment and graph files are equal
      1  something differs, or a graph file is missing or older than the files
      2  a project, its database or transform.yaml can't be read
      3  Dagster can't show a project

    \b
    Examples:
      dagster-transform prepare
      dagster-transform prepare --project marts
      dagster-transform prepare --check --json

    \b
    Exit codes without --check:
      0  all graph files are written
      1  a project can't be read
      3  Dagster can't show a project
    """
    if not check:
        sys.exit(_write(config_path, projects, translator, as_json=as_json))
    try:
        code = _check(config_path, projects, translator, as_json=as_json)
    except Exception:  # noqa: BLE001 - Python would end with 1, which says that something differs
        traceback.print_exc()
        code = _ERROR_WHILE_CHECKING
    sys.exit(code)


def _write(
    config_path: Path | None, projects: Sequence[str], translator: str | None, *, as_json: bool
) -> int:
    """Write the graph files. Returns the exit code. Raises TransformError."""
    config, chosen = _choose(config_path, projects)
    out, err = consoles()
    table = Table("project", "framework", "nodes", "checks", "environment", "seconds", box=None)
    done: list[tuple[str, GraphFile]] = []

    def read(name: str) -> None:
        began = time.perf_counter()
        found = prepare_project(config, name)
        done.append((name, found))
        table.add_row(
            name,
            config.project(name).framework,
            str(len(found.graph.nodes)),
            str(len(found.graph.checks)),
            environment_in_words(found),
            f"{time.perf_counter() - began:.1f}",
        )

    failed = _for_each(chosen, read, err)
    if as_json:
        print_json([_as_json(config, name, found) for name, found in done])
        out.quiet = True
    elif done:
        print_table(table)
    for name, found in done:
        _print_drift(name, found, out, _NAMES_SHOWN)
        _print_first_plan(config, name, found, out)
        _remark(config, name, found, err)
    unfit = _print_unfit(config, dict(done), translator, err)
    return 1 if failed else _NOT_SHOWN * unfit


def _check(
    config_path: Path | None, projects: Sequence[str], translator: str | None, *, as_json: bool
) -> int:
    """Compare, and write nothing. Returns the exit code of `--check`."""
    out, err = consoles()
    out.quiet = as_json
    try:
        config, chosen = _choose(config_path, projects)
    except TransformError as error:
        err.print(f"Error: {error}", markup=False)
        return _ERROR_WHILE_CHECKING
    equal: list[bool] = []
    files: dict[str, GraphFile] = {}
    stale: dict[str, str | None] = {}

    def read(name: str) -> None:
        found = compare_project(config, name)
        equal.append(found.equal)
        files[name] = found.files
        stale[name] = found.stale
        out.print(f"{name}: {environment_in_words(found.files)}", markup=False)
        _print_drift(name, found.files, out, None)
        _print_first_plan(config, name, found.files, out)
        if found.stale:
            out.print(f"{name}: its graph file {found.stale}", markup=False)
        _remark(config, name, found.files, err)

    failed = _for_each(chosen, read, err)
    if as_json:
        print_json([_as_json(config, n, f) | {"stale": stale[n]} for n, f in files.items()])
    try:
        unfit = _print_unfit(config, files, translator, err)
    except TransformError as error:
        err.print(f"Error: {error}", markup=False)
        failed = unfit = True
    if failed:
        return _ERROR_WHILE_CHECKING
    if unfit:
        return _NOT_SHOWN
    return 0 if all(equal) else _DIFFERENT


def _as_json(config: TransformConfig, name: str, found: GraphFile) -> dict[str, Any]:
    """A project that could be read, for programs; of one that could not, standard error says it."""
    return {
        "project": name,
        "framework": config.project(name).framework,
        "nodes": len(found.graph.nodes),
        "checks": len(found.graph.checks),
        "environment": found.environment,
        "plan_id": found.plan_id,
        "drift": {
            kind: list(getattr(found.drift, kind))
            for kind in ("new", "changed", "affected", "removed", "other")
        },
    }


def _print_unfit(
    config: TransformConfig,
    read: Mapping[str, GraphFile],
    translator: str | None,
    err: Console,
) -> bool:
    """Say which projects Dagster can't show. Returns whether there is one."""
    graphs = known_graphs(config, {name: found.graph for name, found in read.items()})
    for finding in read_elsewhere_findings(graphs.values(), config.root):
        err.print(f"Warning: {finding.what} {finding.remedy}", markup=False)
    try:
        unfit = find_unfit(config, graphs, translator)
    except ComponentTranslatorError as unknown:
        # Where graph files are made, the project of the component need not be there.
        err.print(
            f"Warning: whether Dagster can show them was not looked at. {unknown}", markup=False
        )
        return False
    for name, error in unfit.items():
        err.print(f"Error: Dagster can't show project {name}: {error}", markup=False)
    return bool(unfit)


def _choose(
    config_path: Path | None, projects: Sequence[str]
) -> tuple[TransformConfig, Sequence[str]]:
    """The configuration and the projects that are meant. Raises TransformError."""
    config = load_config(config_path)
    chosen = list(projects) or list(config.projects)
    for name in chosen:
        config.project(name)  # an unknown name is an error before any work
    return config, chosen


def _for_each(projects: Sequence[str], read: Callable[[str], None], err: Console) -> bool:
    """Read one project after the other, whatever becomes of each. Returns whether one failed."""
    failed = False
    for name in projects:
        try:
            with err.status(f"Reading project {name}"):
                read(name)
        except TransformError as error:
            failed = True
            err.print(f"Error: {error}", markup=False)
    return failed


def _print_drift(name: str, found: GraphFile, out: Console, at_most: int | None) -> None:
    if found.plan_id is None or not found.drift:
        return
    out.print(f"\n{name}: its files differ from environment {found.environment}", markup=False)
    for line in drift_lines(found.drift, at_most):
        out.print(f"  {line}", markup=False)


def _print_first_plan(config: TransformConfig, name: str, found: GraphFile, out: Console) -> None:
    """What to do where nobody has planned the environment yet."""
    project = config.project(name)
    if not isinstance(project, SqlmeshProject) or found.plan_id is not None:
        return
    if not found.graph.nodes:
        return
    environment = f"\n{name}: environment {found.environment} was never planned"
    if project.plan == "auto":
        out.print(f"{environment}: the first run plans it (plan: auto).", markup=False)
    else:
        reads = _reads(config, name, found)
        plan = first_plan(name, project.environment, project.paths, project.gateway, reads)
        out.print(f"{environment}, so no run builds it. Plan it once:", markup=False)
        for way in plan.ways:
            out.print(f"  {way}", markup=False)
    for other in other_files(project, where_commands_are_typed(config)):
        if said := lies_elsewhere(other):
            out.print(said, markup=False)


def _reads(config: TransformConfig, name: str, found: GraphFile) -> list[str]:
    """The other projects whose relations a project reads, of those that were prepared."""
    relations = {source.relation for source in found.graph.sources.values()}
    reads = []
    for other in config.projects:
        with suppress(GraphFileError):
            if other != name and any(
                node.relation in relations
                for node in read_graph_file(config.graph_path(other), other).graph.nodes.values()
            ):
                reads.append(other)
    return reads


def _remark(config: TransformConfig, name: str, found: GraphFile, err: Console) -> None:
    if not found.graph.nodes:
        folders = ", ".join(str(path) for path in config.project(name).paths)
        err.print(f"Project {name} has no models: is {folders} the right folder?", markup=False)
