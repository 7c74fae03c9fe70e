"""transform.yaml: which projects there are, and how they run.

Every string in it may hold `${NAME}` and `${NAME:-default}`, which stand for environment variables;
`$${` is a literal `${`. An error says file, line and column, all errors of a file come at once, and
none of them shows the value of an environment variable.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

from pydantic import Field, PrivateAttr, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from dagster_transform.config.alerts import (
    CHANNELS,
    WEBSERVER_VARIABLE,
    Alerts,
    report_written_secrets,
)
from dagster_transform.config.checks import CheckJob
from dagster_transform.config.component_file import COMPONENT_FILES
from dagster_transform.config.document import ConfigDocument, ConfigError, Where
from dagster_transform.config.explaining import explain
from dagster_transform.config.fields import (
    Count,
    Model,
    OptionalText,
    OptionalUrl,
    Seconds,
    WebAddress,
    path_from,
)
from dagster_transform.config.job_groups import JobGroups
from dagster_transform.config.projects import (
    DbtProject,
    JanitorSchedule,
    SqlmeshProject,
    WatchedEnvironment,
    WatchedFolder,
)
from dagster_transform.errors import TransformError, redact

CONFIG_FILE = "transform.yaml"
JOB_GROUP_FILE = "job_groups.yaml"
CONFIG_VARIABLE = "DAGSTER_TRANSFORM_CONFIG"
ARTIFACTS_VARIABLE = "DAGSTER_TRANSFORM_ARTIFACTS"
_ARTIFACTS = ".dagster_transform"
_SHOWN = 200
"""Characters of a path that a message shows."""


class UnknownProjectError(TransformError):
    """The configuration has no project of this name.

    Attributes:
        name: The name that was asked for.
        known: The names that there are, sorted.
    """

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        self.known = tuple(sorted(known))
        listing = ", ".join(self.known) or "none"
        close = get_close_matches(name, self.known, n=1)
        super().__init__(
            f"There is no project {name!r}; known projects: {listing}.",
            remedy=f"Did you mean {close[0]!r}?" if close else None,
        )


ProjectConfig = Annotated[SqlmeshProject | DbtProject, Field(discriminator="framework")]
ProjectName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class SettingError(TransformError):
    """What transform.yaml says of a project does not fit the project's files.

    Attributes:
        where: Where it says so: keys below the project.
    """

    def __init__(self, where: Where, cause: str, *, remedy: str | None = None) -> None:
        self.where = where
        super().__init__(cause, remedy=remedy)


class TransformConfig(Model):
    """transform.yaml as a value; `load_config` makes it.

    Attributes:
        projects: By name.
        max_concurrent_models: How many models one run builds at a time, at most, over all projects;
            None: 5 of SQLMesh, and of dbt as many as its profile has threads.
        check_concurrency: How many checks one run does at a time, at most, over all projects; None:
            as many as the connections allow.
        check_jobs: Jobs that run checks and build nothing, by name.
        job_groups: How nodes are split into job groups, and what becomes of these in Dagster.
        alerts: Who is told what became of runs.
        freshness_grace: Seconds after its tick within which a node should be built: then each asset
            that has a cron has a freshness policy in Dagster. None: none has.
        tags: Concurrency tags: how many nodes of each may be built at the same moment, over all
            runs that share a claims store. A node has the tags that its project gives it.
        connections: How many nodes and checks may be under way at the same moment over a connection
            (batches of one model go one after the other then), by its identity
            (`postgres:db.example:5432/warehouse`) or by the name of a project, which means the
            connection of its nodes.
        artifacts: The folder where `prepare` and runs keep what they make: graph files, dbt's
            artifacts; made where it is missing. None: the environment variable
            DAGSTER_TRANSFORM_ARTIFACTS, else `.dagster_transform`. Relative to the file's folder.
        webserver: Where the code server reaches Dagster's webserver (`http://localhost:3000`), so
            that the code location can be reloaded; None: `webserver_url` of the alerts, else the
            environment variable DAGSTER_WEBSERVER_URL, else nobody reloads it. A user and a
            password in it are sent.
        claims_url: Where claims are kept; None: the environment variable
            DAGSTER_TRANSFORM_CLAIMS_URL, else beside Dagster's own storage.
        claims_lease: Seconds after which a claim that nobody renews ends.
        claims_heartbeat: Seconds between two renewals; at most a quarter of the lease.
        keep_event_log_open: Whether a run keeps Dagster's event log open: its SQLite files, or two
            connections to its database server. Storing an event takes a fraction of the time then.
            False: each statement opens and closes it, as Dagster has it.
        warm: Whether a code server keeps a process that has imported Dagster and SQLMesh, of which
            its runs are forks, and one that has imported dbt and read its projects, of which their
            dbt processes are: each run begins seconds earlier. Each takes some 250 MB.
    """

    # More than twelve attributes: the keys of the file, flat as people write them.
    projects: dict[ProjectName, ProjectConfig]
    max_concurrent_models: Count | None = None
    check_concurrency: Count | None = None
    check_jobs: dict[ProjectName, CheckJob] = Field(default_factory=dict)
    job_groups: JobGroups = Field(default_factory=JobGroups)
    alerts: Alerts = Field(default_factory=Alerts)
    freshness_grace: Seconds | None = None
    tags: dict[str, Count] = Field(default_factory=dict)
    connections: dict[str, Count] = Field(default_factory=dict)
    artifacts: OptionalText = None
    webserver: WebAddress = None
    claims_url: OptionalUrl = None
    claims_lease: Seconds = 60.0
    claims_heartbeat: Seconds = 15.0
    keep_event_log_open: bool = True
    warm: bool = False
    _file: Path = PrivateAttr(default=Path(CONFIG_FILE))
    _document: ConfigDocument | None = PrivateAttr(default=None)

    @property
    def file(self) -> Path:
        """The file that it was loaded from, absolute."""
        return self._file

    @property
    def root(self) -> Path:
        """The folder of the file; relative paths in it are meant from here."""
        return self._file.parent

    @property
    def translated_by_component(self) -> bool:
        """Whether it is from the file of a component that says itself how nodes are called and look
        in Dagster: it has a `translation`, or is of somebody's own type."""
        return self._document is not None and self._document.translates

    @property
    def job_group_file(self) -> Path:
        """Where the job groups are; it need not exist."""
        return self.job_groups.file or self.root / JOB_GROUP_FILE

    def project(self, name: str) -> SqlmeshProject | DbtProject:
        """The project of this name. Raises UnknownProjectError."""
        if name not in self.projects:
            raise UnknownProjectError(name, self.projects)
        return self.projects[name]

    @property
    def artifacts_root(self) -> Path:
        """The folder where `prepare` and runs keep what they make; it need not exist."""
        chosen = self.artifacts or os.environ.get(ARTIFACTS_VARIABLE) or _ARTIFACTS
        return path_from(self.root, chosen)

    def located(self, name: str, error: SettingError) -> TransformError:
        """The error at its place in the file, where it was loaded from one."""
        if self._document is None:
            return error
        where = self._document.nearest(("projects", name, *error.where))
        return ConfigError([self._document.problem(where, error.cause)], remedy=error.remedy)

    def located_at(self, where: Where, error: TransformError) -> TransformError:
        """An error about the value `where`, at its place in the file it was loaded from, if any."""
        if self._document is None:
            return error
        return ConfigError([self._document.problem(where, error.cause)], remedy=error.remedy)

    @property
    def webserver_url(self) -> str | None:
        """Where Dagster's webserver is, if anybody says so."""
        said = self.webserver or self.alerts.webserver_url
        return said or os.environ.get(WEBSERVER_VARIABLE, "").strip() or None

    def prepare_command(self, name: str | None = None) -> str:
        """The command that prepares a project, or (None) all; of a component it says where that
        is."""
        command = "dagster-transform prepare" + (f" --project {name}" if name else "")
        if self._file.name == CONFIG_FILE:
            return command
        shown = self._file
        with suppress(ValueError, OSError):
            shown = shown.relative_to(Path.cwd())
        return f"{command} --config {shlex.quote(str(shown))}"

    def artifacts_path(self, name: str) -> Path:
        """The folder where the framework's own artifacts of a project are kept for its runs (dbt's
        manifest). Raises UnknownProjectError."""
        self.project(name)
        return self.artifacts_root / name

    def graph_target(self, name: str) -> Path:
        """Where the graph file of a project is written. Raises UnknownProjectError."""
        self.project(name)
        return self.artifacts_root / f"{name}.graph.json"

    def graph_path(self, name: str) -> Path:
        """Where the graph file of a project is read. Raises UnknownProjectError."""
        return self.prepared_root(name) / self.graph_target(name).name

    def prepared_root(self, name: str) -> Path:
        """The folder with what was prepared of a project last: the one that is written to, or
        `.dagster_transform` beside the file, as an image has it. Raises UnknownProjectError."""
        target, beside = self.graph_target(name), self.root / _ARTIFACTS
        newer = _written_at(beside / target.name) > _written_at(target)
        return beside if newer else self.artifacts_root


def _written_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def load_config(path: str | Path | None = None) -> TransformConfig:
    """The configuration in a file.

    Args:
        path: The file, or the folder that has it as transform.yaml. It may be the file of a
            component (defs.yaml) whose attributes they are. None is what the environment variable
            DAGSTER_TRANSFORM_CONFIG says, else transform.yaml in the working directory.

    Raises:
        ConfigError: The file is missing, or something in it is wrong.
    """
    chosen = path if path is not None else os.environ.get(CONFIG_VARIABLE) or CONFIG_FILE
    file = Path(os.path.abspath(chosen))
    with suppress(OSError, ValueError):  # what is wrong with it is said when it is read
        if file.is_dir():
            file = _file_in(file)
    document = ConfigDocument(file, attributes=TransformConfig.model_fields)
    data = document.read()
    try:
        config = TransformConfig.model_validate(data, context={"root": file.parent})
    except ValidationError as error:
        for details in error.errors(include_url=False, include_input=False):
            _report_invalid(document, details)
        config = None
    if config is not None:
        report_written_secrets(document, config.alerts)
    if config is None or document.problems:
        # Not chained: pydantic's text says the same thing worse.
        raise ConfigError(document.problems) from None
    config._file = file
    config._document = document
    return config


def _file_in(folder: Path) -> Path:
    """transform.yaml, or the file of a component where only that is there."""
    names = (CONFIG_FILE, *COMPONENT_FILES)
    return next((folder / name for name in names if (folder / name).exists()), folder / CONFIG_FILE)


def _in_alerts(where: Where) -> tuple[Where, type[Model], str]:
    """A place in `alerts` without the type that pydantic has between a channel and its keys; what
    knows its keys; and the key that says which type a channel has."""
    if len(where) > 3 and where[1] == "channels":
        return where[:3] + where[4:], CHANNELS.get(str(where[3]), Alerts), "type"
    return where, Alerts, "type"


_MODELS: Mapping[str, type[Model]] = {"sqlmesh": SqlmeshProject, "dbt": DbtProject}
_WORDS = {
    "framework": f"must be {' or '.join(map(repr, _MODELS))}",
    "type": f"must be {' or '.join(map(repr, CHANNELS))}",
    "string_pattern_mismatch": (
        "a project's name has letters, digits and underscores, and does not begin with a digit"
    ),
}


def _report_invalid(document: ConfigDocument, details: ErrorDetails) -> None:
    """Reports what pydantic found, unless that value is known to be wrong already."""
    where = tuple(details["loc"])
    kind = details["type"]
    model: type[Model] = TransformConfig
    if len(where) > 2 and where[0] == "projects":
        # Between a project and its keys pydantic has the framework, or "[key]".
        model = _MODELS.get(str(where[2]), model)
        where = where[:2] + where[3:]
        if where[2:3] == ("janitor",) and len(where) > 3:
            model = JanitorSchedule
        if where[2:3] == ("watch",) and len(where) > 3:
            model = WatchedFolder if model is DbtProject else WatchedEnvironment
    if where[:1] == ("job_groups",) and len(where) > 1:
        model = JobGroups
    tag = "framework"
    if where[:1] == ("alerts",):
        where, model, tag = _in_alerts(where)
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        where = (*where, tag)
        kind = tag if where in document.marks else "missing"
    if kind != "missing":
        where = document.nearest(where)
    if where not in document.reported:
        written = redact(document.written.get(where, ""))
        document.report(where, _explain(details, kind, where, model, written))


def _explain(
    details: ErrorDetails, kind: str, where: Where, model: type[Model], written: str
) -> str:
    """What is wrong, in words that hold no value: only `written`, which is text of the file."""
    if kind in {"folder_missing", "folder_expected"}:
        shown = written if len(written) <= _SHOWN else f"{written[:_SHOWN]}..."
        return f"{shown!r} {details['msg']}"
    if kind == "string_pattern_mismatch" and where[0] == "check_jobs":
        return _WORDS[kind].replace("project", "job")
    return _WORDS.get(kind) or explain(details, kind, where, model)
