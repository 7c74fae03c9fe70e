"""Asking each package for what it finds. Whatever one of them raises is a finding of its own, so
that one broken project hides nothing of the rest."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

from dagster_transform.cli.graphs import named_as_shown
from dagster_transform.cli.init.layout import DEFINITIONS, layout_of
from dagster_transform.cli.prepare import (
    Comparison,
    compare_project,
    find_unfit,
    where_commands_are_typed,
)
from dagster_transform.config import (
    ConfigError,
    SqlmeshProject,
    TransformConfig,
    load_config,
)
from dagster_transform.config.job_group_file import read_job_group_file
from dagster_transform.databases.backends import BackendId
from dagster_transform.dbt import doctor as of_dbt
from dagster_transform.errors import TransformError
from dagster_transform.graph import Graph, read_graph_file
from dagster_transform.planning.cron import Cron
from dagster_transform.planning.findings import Code, Finding, Severity, of_error
from dagster_transform.planning.findings.crons import cron_findings
from dagster_transform.planning.findings.graph_files import drift_finding, graph_file_finding
from dagster_transform.planning.findings.read_elsewhere import read_elsewhere_findings
from dagster_transform.planning.findings.versions import version_findings
from dagster_transform.planning.job_groups.file import as_written
from dagster_transform.planning.job_groups.settings import job_group_settings
from dagster_transform.runs.doctor import artifacts_findings, process_findings
from dagster_transform.sqlmesh import doctor as of_sqlmesh
from dagster_transform.sqlmesh.errors import SqlmeshMissingError

_OURS = "dagster-transform"
_FOR_DEVELOPERS = ("extra == 'dev'", "extra == 'docs'")
_OF_DATABASES = {Code.DATABASE_UNREACHABLE, Code.DATABASE_IN_USE}
Step = Callable[[str], None]
"""Told what is looked at next."""


@dataclass(slots=True)
class Examination:
    """An examination, and what it has found so far.

    Attributes:
        begin: Told what is looked at next.
        found: What was found.
        graphs: The graphs of the projects that can be read, by project.
        groups: Crons of the job groups, by name; None: their file can't be read.
    """

    begin: Step
    found: list[Finding] = field(default_factory=list)
    graphs: dict[str, Graph] = field(default_factory=dict)
    groups: Mapping[str, Cron] | None = None

    def examine(self, what: str, find: Callable[[], Iterable[Finding]], where: str = "") -> None:
        """Look at one thing. What it raises is a finding."""
        self.begin(what)
        try:
            self.found += find()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a project may run any code
            remedy = "Report it, with this message: the doctor should know better."
            said = f"{what[:1].upper()}{what[1:]} could not be examined."
            self.found.append(of_error(Code.NOT_EXAMINED, said, error, where, remedy=remedy))


def examine(
    config_path: Path | None, definitions: str | None, begin: Step = lambda _: None
) -> list[Finding]:
    """Everything that can be found, errors first.

    Args:
        config_path: As of `load_config`.
        definitions: The file or module that Dagster loads; None: definitions.py beside
            transform.yaml or what pyproject.toml there names, if there is one.
        begin: Told what is looked at next.
    """
    on = Examination(begin)
    on.examine("this process", process_findings)
    on.examine("installed versions", _versions)
    config: TransformConfig | None = None
    try:
        config = load_config(config_path)
    except ConfigError as error:
        on.found.append(of_error(Code.CONFIG_UNREADABLE, "transform.yaml can't be used.", error))
    if config is not None:
        _transform(on, config)
        _dagster(on, config, definitions)
    rank = list(Severity)
    return sorted(on.found, key=lambda finding: rank.index(finding.severity))


def _versions() -> list[Finding]:
    # What developing this package takes says nothing of who uses it.
    required = [
        text
        for text in importlib.metadata.requires(_OURS) or []
        if not text.replace('"', "'").endswith(_FOR_DEVELOPERS)
    ]
    names = {text.partition(";")[0].strip() for text in required}
    bare = {name: _version(name) for name in map(_bare, names)}
    return version_findings(required, bare)


def _bare(requirement: str) -> str:
    for at, letter in enumerate(requirement):
        if letter in "<>=!~[ (":
            return requirement[:at]
    return requirement


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _transform(on: Examination, config: TransformConfig) -> None:
    """What is said of transform.yaml, and of its projects."""
    on.examine("artifacts", partial(artifacts_findings, config))
    if any(isinstance(project, SqlmeshProject) for project in config.projects.values()):
        on.examine("sqlglotc", of_sqlmesh.sqlglotc_findings)
    for name in config.projects:
        on.examine(f"project {name}", partial(_project, on, config, name), name)
    on.examine("the graph", partial(_graph, on, config))


def _project(on: Examination, config: TransformConfig, name: str) -> list[Finding]:
    project = config.project(name)
    found = _graph_file(config, name)
    compared: Comparison | None = None
    unreadable: TransformError | None = None
    try:
        compared = compare_project(config, name)
    except TransformError as error:
        unreadable = error
    own: list[Finding] = []
    others = where_commands_are_typed(config)
    if isinstance(project, SqlmeshProject):
        own = _of_sqlmesh(name, project, unreadable, others)
    elif compared is not None:
        artifacts = config.prepared_root(name) / name
        own = of_dbt.project_findings(name, project, compared.files.graph, artifacts, others)
    if compared is not None:
        found += _compared(config, name, compared, told=bool(found))
        on.graphs[name] = compared.files.graph
    # Of a database that can't be used, its gateway says more.
    if unreadable is not None and not any(finding.code in _OF_DATABASES for finding in own):
        found.append(
            of_error(_code(unreadable), f"Project {name} can't be read.", unreadable, name)
        )
    return [*found, *own]


def _compared(
    config: TransformConfig, name: str, compared: Comparison, *, told: bool
) -> Iterator[Finding]:
    """How a project's files, its graph file and its environment differ."""
    if compared.stale and not told:
        path = str(config.graph_path(name))
        yield graph_file_finding(name, path, compared.stale, missing=False)
    read = compared.files
    if read.plan_id is not None and read.environment and read.drift:
        yield drift_finding(name, read.environment, read.drift)


def _of_sqlmesh(
    name: str,
    project: SqlmeshProject,
    unreadable: TransformError | None,
    others: Sequence[Path],
) -> list[Finding]:
    if isinstance(unreadable, SqlmeshMissingError):
        return []
    try:
        return of_sqlmesh.project_findings(name, project, others)
    except TransformError as error:
        if unreadable is not None:
            return []  # it is the same again
        return [of_error(_code(error), f"Project {name} can't be opened.", error, name)]


def _code(error: TransformError) -> Code:
    if isinstance(error, SqlmeshMissingError):
        return Code.FRAMEWORK_MISSING
    return of_dbt.code_of_error(error)


def _graph_file(config: TransformConfig, name: str) -> list[Finding]:
    """Whether the graph file is there, and can be read."""
    path = config.graph_path(name)
    try:
        read_graph_file(path, name)
    except TransformError as error:
        why = error.cause.removeprefix(f"The graph file {path} ").rstrip(".")
        return [graph_file_finding(name, str(path), why, missing=True)]
    return []


def _graph(on: Examination, config: TransformConfig) -> list[Finding]:
    """What is said of all projects together: whether Dagster can show them, crons, job groups."""
    now = datetime.now(timezone.utc)
    found = [
        of_error(Code.PROJECT_NOT_SHOWN, f"Dagster can't show project {name}.", error, name)
        for name, error in find_unfit(config, on.graphs).items()
    ]
    graph = named_as_shown(config, on.graphs.values()) if not found else Graph.of()
    found += read_elsewhere_findings(on.graphs.values(), config.root)
    on.groups = {}
    if config.job_group_file.exists():
        on.groups = None
        where = str(config.job_group_file)
        try:
            file = read_job_group_file(config.job_group_file)
            written = as_written(file, graph, job_group_settings(config, graph), now=now)
        except TransformError as error:
            what = "The job group file can't be used."
            return [*found, of_error(Code.JOB_GROUPS_INVALID, what, error, where)]
        on.groups = {group.name: group.cron for group in written.plan.groups}
        if written.errors and on.graphs.keys() == config.projects.keys():
            found.append(_invalid(where, [str(error) for error in written.errors]))
    return [*found, *cron_findings(graph, on.groups, now)]


def _invalid(file: str, errors: list[str]) -> Finding:
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return Finding(
        Code.JOB_GROUPS_INVALID,
        Severity.ERROR,
        what=f"The job group file can't be used as it is{more}.",
        cause=errors[0],
        remedy="`dagster-transform job-groups check` lists all errors; `job-groups generate` mends "
        "them.",
        where=file,
    )


def _dagster(on: Examination, config: TransformConfig, definitions: str | None) -> None:
    """What is said of Dagster's instance, of claims there, and of the definitions."""
    from dagster_transform.dagster.doctor.claims import instance_claim_findings
    from dagster_transform.dagster.doctor.home import home_findings, instance_findings
    from dagster_transform.dagster.doctor.instigators import instigator_findings

    opened: list[Any] = []

    def home() -> list[Finding]:
        found, instance = home_findings()
        opened.extend([instance] if instance is not None else [])
        return found

    on.examine("Dagster's home", home)
    try:
        for instance in opened:
            groups = None if on.groups is None else set(on.groups)
            on.examine("Dagster's instance", partial(instance_findings, instance, config))
            on.examine("sensors", partial(instigator_findings, instance, config, groups))
            on.examine(
                "claims",
                partial(instance_claim_findings, instance, config, partial(_backends, config)),
            )
    finally:
        for instance in opened:
            instance.dispose()
    target = definitions or _definitions_of(config.root)
    if target is not None:
        from dagster_transform.dagster.doctor.definitions import definitions_findings

        folder = Path.cwd() if definitions else config.root
        names, file = list(on.groups or ()), str(config.job_group_file)
        find = partial(definitions_findings, target, folder, names, file)
        on.examine("definitions", find, target)


def _backends(config: TransformConfig) -> frozenset[BackendId]:
    """Backends of runs on the servers of the SQLMesh projects; of dbt's, dbt would have to be
    started again. What can't be reached is said of its project."""
    found: frozenset[BackendId] = frozenset()
    for name, project in config.projects.items():
        if isinstance(project, SqlmeshProject):
            with suppress(TransformError):
                found |= of_sqlmesh.backends_there(name, project)
    return found


def _definitions_of(root: Path) -> str | None:
    layout = layout_of(root)
    if layout.merge_into:
        return layout.merge_into
    return DEFINITIONS if (root / DEFINITIONS).is_file() else None
