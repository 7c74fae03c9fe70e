"""What is wrong where dbt can't read a project, as one clear error, for `prepare` and for runs.

The dbt process says which fault it is (`child._compat.fault`); what helps is known here.
"""

from __future__ import annotations

import errno
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from dagster_transform.config import ARTIFACTS_VARIABLE, DbtProject
from dagster_transform.dbt.errors import (
    AdapterMissingError,
    ArtifactsError,
    DbtError,
    DbtParseError,
    EnvironmentVariableError,
    PackagesError,
    ProfileError,
)

_ADAPTER = re.compile(r"adapter type (?P<type>\w+)")
_VARIABLE = re.compile(r"Env var required but not provided: '(?P<name>[^']+)'")
_SUFFIXES = frozenset({".md", ".py", ".sql", ".yaml", ".yml"})
_PROJECT_FILE = "dbt_project.yml"
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, as the dbt process says it.

    Attributes:
        kind: `adapter`, `no_profiles` (there is no profiles.yml), `no_profile` (it has none of the
            name), `no_target`, `profile` (what it says is wrong), `variable` (an environment
            variable is not set), `packages`, `project_file`, `files` or `artifacts` (a file can't
            be written).
        place: The file at fault, where it is one; else "".
    """

    kind: str
    place: str = ""


def error_of(fault: Fault, message: str, name: str, project: DbtProject) -> DbtError:
    """The error of ours.

    Args:
        fault: What is wrong.
        message: What dbt says of it.
        name: The project's name in transform.yaml.
        project: Its configuration.
    """
    words = dedent(message.removeprefix("Runtime Error\n")).strip()
    text = f"Project {name}: {words}"
    place = fault.place or "profiles.yml"
    debug = f"`dbt debug` tests it, in {project.path}."
    match fault.kind:
        case "adapter":
            found = _ADAPTER.search(words)
            package = f"dbt-{found['type']}" if found else "its package"
            return AdapterMissingError(text, remedy=f"Most adapters: pip install {package}")
        case "no_profiles":
            return ProfileError(text, remedy=_no_profiles(name, project))
        case "no_profile":
            remedy = (
                f"Add it to {place}, or name another one as profile in {_PROJECT_FILE}, or set "
                f"{_key(name)} to the folder of another profiles.yml. {debug}"
            )
            return ProfileError(text, remedy=remedy)
        case "no_target":
            remedy = f"Add it to {place}, or set the project's target in transform.yaml. {debug}"
            return ProfileError(text, remedy=remedy)
        case "variable":
            return _of_variable(fault, words, name, project)
        case "profile":
            return ProfileError(text, remedy=f"Correct {place}; {debug}")
        case "packages":
            return PackagesError(text, remedy=f"Run `dbt deps` in {project.path}.")
        case "artifacts":
            return artifacts_error(name, OSError(0, words, fault.place or None))
        case "project_file":
            text = f"Project {name}: its {_PROJECT_FILE} can't be used: {words}"
    return DbtParseError(text, remedy=f"Correct it, then check with `dbt parse` in {project.path}.")


def _key(name: str) -> str:
    return f"`profiles_dir` of project {name} in transform.yaml"


def _no_profiles(name: str, project: DbtProject) -> str:
    key = _key(name)
    if project.profiles_dir is not None:
        return (
            f"dbt looks for profiles.yml in {project.profiles_dir}, since {key} says so: write it "
            "there, or name its folder; `dbt debug` tests it."
        )
    return (
        f"dbt looks for profiles.yml in {project.path}, $DBT_PROFILES_DIR and ~/.dbt: write it "
        f"into one of them, or say with {key} in which folder it is; `dbt debug` tests it."
    )


def artifacts_error(name: str, error: OSError) -> ArtifactsError:
    """The error that what dbt or a run of it writes can't be written.

    Args:
        name: The project's name in transform.yaml.
        error: Of the system.
    """
    place = f"{error.filename}: " if error.filename else ""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error)
    remedy = "Make room there" if full else "Let the user that runs Dagster write there"
    return ArtifactsError(
        f"Project {name}: dbt's artifacts can't be written: {place}{error.strerror or error}",
        remedy=f"{remedy}, or have another place: set artifacts in transform.yaml, or the "
        f"environment variable {ARTIFACTS_VARIABLE}, to a folder.",
    )


def _of_variable(
    fault: Fault, words: str, name: str, project: DbtProject
) -> EnvironmentVariableError:
    found = _VARIABLE.search(words)
    variable = found["name"] if found else ""
    place = fault.place or _files_with(variable, project.path) or f"a file of {project.path}"
    return EnvironmentVariableError(
        f"Project {name}: the environment variable {variable} is not set, which {place} asks for.",
        remedy=f"Set {variable} where Dagster's code location and its runs get their environment, "
        f"or give it a default: env_var('{variable}', '...').",
        variable=variable,
        place=place,
    )


def _files_with(variable: str, folder: Path) -> str:
    """The project's files that ask for a variable: of models, dbt does not say which."""
    asks = re.compile(rf"env_var\(\s*['\"]{re.escape(variable)}['\"]")
    found: list[str] = []
    for path in sorted(folder.rglob("*")):
        with suppress(OSError, ValueError):
            if path.suffix in _SUFFIXES and asks.search(path.read_text(encoding="utf-8")):
                found.append(str(path.relative_to(folder)))
    return ", ".join(found[:_SHOWN])
