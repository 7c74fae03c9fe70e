"""transform.yaml: which projects there are, and how they run.

Every string in it may hold `${NAME}` and `${NAME:-default}`, which stand for environment variables;
`$${` is a literal `${`. An error says file, line and column, all errors of a file come at once, and
none of them shows the value of an environment variable.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    StringConstraints,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from dagster_transform.config.crons import A_CRON, A_TIME_ZONE, is_cron, is_time_zone
from dagster_transform.config.document import ConfigDocument, ConfigError, Where
from dagster_transform.errors import TransformError, redact

CONFIG_FILE = "transform.yaml"
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


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str | Path) else value


def _not_empty(value: Any) -> Any:
    if value == "":
        raise PydanticCustomError("empty", "must not be empty")
    return value


def _none_if_empty(value: Any) -> Any:
    """Lets `${GATEWAY:-}` mean that there is none."""
    return None if value == "" else value


def _not_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticCustomError("int_type", "must be a valid integer")
    return value


def _cron(value: str | None) -> str | None:
    if value is None or is_cron(value):
        return value
    raise PydanticCustomError("cron", f"must be {A_CRON}")


def _time_zone(value: str | None) -> str | None:
    if value is None or is_time_zone(value):
        return value
    raise PydanticCustomError("time_zone", f"must be {A_TIME_ZONE}")


def _existing_folder(path: Path, info: ValidationInfo) -> Path:
    """The path resolved against the folder of the file; unchanged where there is no file."""
    root: Path | None = (info.context or {}).get("root")
    if root is None:
        return path
    folder = Path(os.path.abspath(root / path))
    try:
        mode = folder.stat().st_mode
    except FileNotFoundError:
        raise PydanticCustomError("folder_missing", "does not exist") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise PydanticCustomError("folder_missing", "can't be used: {why}", {"why": why}) from None
    if not stat.S_ISDIR(mode):
        raise PydanticCustomError("folder_expected", "is not a folder")
    return folder


_Count = Annotated[int, BeforeValidator(_not_bool), Field(ge=1)]
_Seconds = Annotated[float, BeforeValidator(_not_bool), Field(gt=0, allow_inf_nan=False)]
_Folder = Annotated[Path, BeforeValidator(_not_empty), AfterValidator(_existing_folder)]
_Optional = Annotated[str | None, BeforeValidator(_none_if_empty)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class SqlmeshProject(_Model):
    """A SQLMesh project.

    Attributes:
        path: Its folder or folders (SQLMesh runs several as one); absolute in a loaded config.
        environment: The environment that runs target.
        gateway: A gateway of the project's config; None is its default one.
        plan: Whether a run may apply a plan by itself.
        column_lineage: Whether `prepare` finds out what each column is computed from.
    """

    framework: Literal["sqlmesh"]
    path: Annotated[tuple[_Folder, ...], BeforeValidator(_as_list), Field(min_length=1)]
    environment: Annotated[str, BeforeValidator(_not_empty)] = "prod"
    gateway: _Optional = None
    plan: Literal["never", "auto"] = "never"
    column_lineage: bool = True

    @property
    def paths(self) -> tuple[Path, ...]:
        """All folders of the project."""
        return self.path


class DbtProject(_Model):
    """A dbt project.

    Attributes:
        path: The folder of dbt_project.yml; absolute in a loaded config.
        target: A target of its profile; None is the profile's default one.
        profiles_dir: The folder of profiles.yml; None leaves the search to dbt, which begins in the
            project's folder.
        cron: When a node is due that says nothing of its own about it; None: no schedule.
        time_zone: IANA name of the zone in which the crons of the project are meant; None is UTC.
    """

    framework: Literal["dbt"]
    path: _Folder
    target: _Optional = None
    profiles_dir: Annotated[_Folder | None, BeforeValidator(_none_if_empty)] = None
    cron: Annotated[_Optional, AfterValidator(_cron)] = None
    time_zone: Annotated[_Optional, AfterValidator(_time_zone)] = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """All folders of the project."""
        return (self.path,)


ProjectConfig = Annotated[SqlmeshProject | DbtProject, Field(discriminator="framework")]
ProjectName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class TransformConfig(_Model):
    """transform.yaml as a value; `load_config` makes it.

    Attributes:
        projects: By name.
        max_concurrent_models: How many models one run builds at a time, at most, over all projects;
            None: 5 of SQLMesh, and of dbt as many as its profile has threads.
        tags: Concurrency tags: how many nodes of each may be built at the same moment, over all
            runs that share a claims store. A node has the tags that its project gives it.
        connections: How many nodes and checks may be under way at the same moment over a connection
            (batches of one model go one after the other then), by its identity
            (`postgres:db.example:5432/warehouse`) or by the name of a project, which means the
            connection of its nodes.
        artifacts: The folder where `prepare` and runs keep what they make: graph files, dbt's
            artifacts; made where it is missing. None: the environment variable
            DAGSTER_TRANSFORM_ARTIFACTS, else `.dagster_transform`. Relative to the file's folder.
        claims_url: Where claims are kept; None: the environment variable
            DAGSTER_TRANSFORM_CLAIMS_URL, else beside Dagster's own storage.
        claims_lease: Seconds after which a claim that nobody renews ends.
        claims_heartbeat: Seconds between two renewals; at most a quarter of the lease.
    """

    projects: dict[ProjectName, ProjectConfig]
    max_concurrent_models: _Count | None = None
    tags: dict[str, _Count] = Field(default_factory=dict)
    connections: dict[str, _Count] = Field(default_factory=dict)
    artifacts: _Optional = None
    claims_url: _Optional = None
    claims_lease: _Seconds = 60.0
    claims_heartbeat: _Seconds = 15.0
    _file: Path = PrivateAttr(default=Path(CONFIG_FILE))

    @property
    def file(self) -> Path:
        """The file that it was loaded from, absolute."""
        return self._file

    @property
    def root(self) -> Path:
        """The folder of the file; relative paths in it are meant from here."""
        return self._file.parent

    def project(self, name: str) -> SqlmeshProject | DbtProject:
        """The project of this name. Raises UnknownProjectError."""
        if name not in self.projects:
            raise UnknownProjectError(name, self.projects)
        return self.projects[name]

    @property
    def artifacts_root(self) -> Path:
        """The folder where `prepare` and runs keep what they make; it need not exist."""
        chosen = self.artifacts or os.environ.get(ARTIFACTS_VARIABLE) or _ARTIFACTS
        return Path(os.path.abspath(self.root / chosen))

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
        path: The file, or the folder that has it as transform.yaml. None is what the environment
            variable DAGSTER_TRANSFORM_CONFIG says, else transform.yaml in the working directory.

    Raises:
        ConfigError: The file is missing, or something in it is wrong.
    """
    chosen = path if path is not None else os.environ.get(CONFIG_VARIABLE) or CONFIG_FILE
    file = Path(os.path.abspath(chosen))
    with suppress(OSError, ValueError):  # what is wrong with it is said when it is read
        if file.is_dir():
            file /= CONFIG_FILE
    document = ConfigDocument(file)
    data = document.read()
    try:
        config = TransformConfig.model_validate(data, context={"root": file.parent})
    except ValidationError as error:
        for details in error.errors(include_url=False, include_input=False):
            _report_invalid(document, details)
        config = None
    if config is None or document.problems:
        # Not chained: pydantic's text says the same thing worse.
        raise ConfigError(document.problems) from None
    config._file = file
    return config


_MODELS: Mapping[str, type[_Model]] = {"sqlmesh": SqlmeshProject, "dbt": DbtProject}
_WORDS = {
    "missing": "missing key",
    "framework": f"must be {' or '.join(map(repr, _MODELS))}",
    "string_pattern_mismatch": (
        "a project's name has letters, digits and underscores, and does not begin with a digit"
    ),
    "path_type": "must be a path",
    "string_type": "must be a string; put it in quotes",
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "must be a mapping"),
}


def _report_invalid(document: ConfigDocument, details: ErrorDetails) -> None:
    """Reports what pydantic found, unless that value is known to be wrong already."""
    where = tuple(details["loc"])
    kind = details["type"]
    model: type[_Model] = TransformConfig
    if len(where) > 2 and where[0] == "projects":
        # Between a project and its keys pydantic has the framework, or "[key]".
        model = _MODELS.get(str(where[2]), model)
        where = where[:2] + where[3:]
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        where = (*where, "framework")
        kind = "framework" if where in document.marks else "missing"
    if kind != "missing":
        where = document.nearest(where)
    if where not in document.reported:
        written = redact(document.written.get(where, ""))
        document.report(where, _explain(details, kind, where, model, written))


def _explain(
    details: ErrorDetails, kind: str, where: Where, model: type[_Model], written: str
) -> str:
    """What is wrong, in words that hold no value: only `written`, which is text of the file."""
    if kind == "extra_forbidden":
        known = list(model.model_fields)
        close = get_close_matches(str(where[-1]), known, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        return f"unknown key; {hint}known keys: {', '.join(known)}"
    if kind in {"folder_missing", "folder_expected"}:
        shown = written if len(written) <= _SHOWN else f"{written[:_SHOWN]}..."
        return f"{shown!r} {details['msg']}"
    return _WORDS.get(kind) or details["msg"].replace("Input should be", "must be")
