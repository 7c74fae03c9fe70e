"""From transform.yaml to the combined graph, without importing a framework."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import click

from dagster_transform.config import TransformConfig
from dagster_transform.dagster.definitions.errors import PrepareFailedError, StaleGraphError
from dagster_transform.errors import TransformError
from dagster_transform.graph import (
    Graph,
    GraphFile,
    GraphFileError,
    Node,
    nodes_left,
    read_graph_file,
    why_stale,
)
from dagster_transform.planning import timed, times_of

_DEVELOPMENT = "DAGSTER_IS_DEV_CLI"
_NOT_SHOWN = 3
"""How `prepare` ends where it has written the graph file and does not know whether Dagster can show
what is in it: that depends on the translator, which is known here."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What could be loaded.

    Attributes:
        graphs: The graph of each project that could be.
        errors: What is wrong with a project. It has no graph, or (where its graph file can be read
            and does not fit its files any more) that of before.
        not_in_files: By project: what its environment has and its files have not, where there is
            such a thing.
    """

    graphs: Mapping[str, Graph]
    errors: Mapping[str, TransformError]
    not_in_files: Mapping[str, Sequence[str]] = field(default_factory=dict)
    left: Mapping[str, Sequence[Node]] = field(default_factory=dict)

    @property
    def graph(self) -> Graph:
        """The combined graph. Raises GraphError: The projects' graphs don't fit together."""
        return Graph.combine(self.graphs.values())


def in_development() -> bool:
    """Whether `dagster dev` or a command of `dg` loads this: then people edit files."""
    return bool(os.environ.get(_DEVELOPMENT))


def load_graphs(
    config: TransformConfig,
    projects: Iterable[str] | None = None,
    *,
    refresh: bool | None = None,
) -> Loaded:
    """Read the graph files of all projects, or of some.

    Under `dagster dev` a graph file that is missing or older than its project's files is made
    anew, in a process of its own. Everywhere else that is an error which names the command; one
    that is merely older still says which assets there are.

    Args:
        config: The configuration.
        projects: Names of projects; None: all.
        refresh: Whether graph files are made anew; None: where people edit files.

    Raises:
        UnknownProjectError: There is no such project.
    """
    graphs: dict[str, Graph] = {}
    errors: dict[str, TransformError] = {}
    not_in_files: dict[str, Sequence[str]] = {}
    left: dict[str, Sequence[Node]] = {}
    times = times_of(config)
    again = in_development() if refresh is None else refresh
    for name in config.projects if projects is None else projects:
        try:
            found, problem = _load(config, name, again)
        except TransformError as error:
            errors[name] = error
            left[name] = nodes_left(config.graph_path(name), name)
        else:
            graphs[name] = timed(found.graph, times)
            if found.drift.removed:
                not_in_files[name] = found.drift.removed
            if problem is not None:
                errors[name] = problem
    stale = {n: each for n, each in errors.items() if isinstance(each, StaleGraphError)}
    if len(stale) > 1:  # one text, so that a run that meets all of them says it once
        causes = " ".join(each.cause for each in stale.values())
        one = StaleGraphError(causes, remedy=_prepare_again(config, None))
        errors.update(dict.fromkeys(stale, one))
    return Loaded(graphs, errors, not_in_files, left)


def _prepare_again(config: TransformConfig, name: str | None) -> str:
    """What to do about a stale graph file, or (None) about several."""
    return f"Run `{config.prepare_command(name)}`; for a server, where you build what you deploy."


def _load(
    config: TransformConfig, name: str, again: bool
) -> tuple[GraphFile, TransformError | None]:
    path = config.graph_path(name)
    found: GraphFile | None = None
    try:
        found = read_graph_file(path, name)
    except GraphFileError as error:
        if not again:
            remedy = error.remedy_of(config.prepare_command(name))
            raise type(error)(error.cause, path=path, project=name, remedy=remedy) from error
    if found is not None:
        project = config.project(name)
        environment = getattr(project, "environment", None)  # dbt has none
        settings = project.graph_settings()
        stale = why_stale(found, config.root, project.paths, environment, settings)
        if stale is None:
            return found, None
        if not again:
            # Its assets and what reads them are still known: what is selected of it must fail, and
            # nothing may be built over it.
            return found, StaleGraphError(
                f"The graph file {path} {stale}.",
                remedy=_prepare_again(config, name),
            )
    try:
        prepare(config, [name])
    except PrepareFailedError as error:
        if found is None:
            raise
        return found, error  # a typo in one model must not empty the lineage that one looks at
    return read_graph_file(path, name), None


def prepare(config: TransformConfig, projects: Sequence[str]) -> None:
    """Write the graph files of projects, as `dagster-transform prepare` does, in another process:
    a code server that has imported SQLMesh stays slow and big. It takes a while, and what loads is
    silent meanwhile, so a line on stderr says so.

    Raises:
        PrepareFailedError: One of them could not be read; the others' are written.
    """
    click.echo(
        f"dagster-transform is reading {', '.join(projects)}, which may take a minute.", err=True
    )
    command = [sys.executable, "-m", "dagster_transform.cli", "prepare"]
    command += ["--config", str(config.file)]
    for name in projects:
        command += ["--project", name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, _NOT_SHOWN):
        said = (done.stderr.strip() or done.stdout.strip()).removeprefix("Error: ")
        raise PrepareFailedError(said or f"Projects can't be read: {', '.join(projects)}.")
