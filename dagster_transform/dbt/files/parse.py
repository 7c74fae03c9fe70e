"""`dbt deps` and `dbt parse`, in child processes, with one clear error for what can be wrong."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

import yaml

from dagster_transform.config import DbtProject, SettingError
from dagster_transform.dbt.command_line import (
    child_environment,
    global_arguments,
    project_arguments,
)
from dagster_transform.dbt.errors import DbtError, DbtParseError, PackagesError
from dagster_transform.dbt.faults import Fault, artifacts_error, error_of
from dagster_transform.dbt.files.artifacts import Artifacts, ParseRecord
from dagster_transform.dbt.installation import require_dbt
from dagster_transform.graph import SourceFile
from dagster_transform.process.private_files import make_private_folder, write_private

_DECLARATIONS = ("packages.yml", "dependencies.yml")
_LOCK = "package-lock.yml"
_MARKER = "packages.sha256"
_PROJECT_FILE = "dbt_project.yml"
_BUILT = ("model.", "seed.", "snapshot.")


def install_packages(artifacts: Artifacts, project: DbtProject) -> bool:
    """Run `dbt deps` where packages are declared that are not installed as declared.

    Call it before the project's files are fingerprinted: dbt writes package-lock.yml.

    Returns:
        Whether it was run.

    Raises:
        DbtMissingError: dbt is not installed.
        PackagesError: The packages can't be installed.
    """
    declared = _declared(project.path)
    if not declared:
        return False
    marker = artifacts.folder / _MARKER
    known = marker.read_text(encoding="ascii") if marker.exists() else None
    installed = len(_installed(project.path)) >= len(declared)
    run = not installed or known not in (None, _digest(project.path))
    if run:
        arguments = [*_global(artifacts.folder), "deps", *project_arguments(project)]
        _carry_out(artifacts.project, project, arguments)
    try:
        make_private_folder(artifacts.folder)
        write_private(marker, _digest(project.path))
    except OSError as error:
        raise artifacts_error(artifacts.project, error) from None
    return run


def parse(
    artifacts: Artifacts, project: DbtProject, *, sources: Mapping[str, SourceFile]
) -> ParseRecord:
    """Run `dbt parse` and keep its artifacts; where it fails, the old ones stay.

    Args:
        artifacts: Where they are kept.
        project: The project's configuration.
        sources: Fingerprint of the files, taken before.

    Raises:
        DbtMissingError: dbt is not installed.
        AdapterMissingError: The profile's adapter is not installed.
        ProfileError: profiles.yml is missing or wrong.
        PackagesError: Packages are not installed.
        DbtParseError: The project's files are wrong, or the dbt process was killed.
        ArtifactsError: They can't be written.
        SettingError: What transform.yaml selects is wrong, or nothing.
    """
    try:
        return _parse(artifacts, project, sources)
    except OSError as error:
        raise artifacts_error(artifacts.project, error) from None


def _parse(
    artifacts: Artifacts, project: DbtProject, sources: Mapping[str, SourceFile]
) -> ParseRecord:
    with artifacts.replaced() as folder:
        parsed = artifacts.partial_parse if artifacts.partial_parse.exists() else None
        arguments = [*_global(folder, parsed), "parse", *project_arguments(project)]
        arguments += ["--target-path", str(folder)]
        selection = _selection(project, folder)
        said = _carry_out(artifacts.project, project, arguments, selection)
        if said is not None and selection is not None:
            _require_selected(project, said["selected"], said.pop("nothing"))
        if said is None or not (folder / artifacts.manifest.name).exists():
            raise DbtParseError(f"Project {artifacts.project}: dbt wrote no manifest.")
    record = ParseRecord(**said, files=sources)
    artifacts.write_record(record)
    return record


def _global(log_folder: Path, parsed: Path | None = None) -> list[str]:
    return [*global_arguments(log_folder, parsed), "--quiet"]


def _selection(project: DbtProject, folder: Path) -> list[str] | None:
    """The arguments of `dbt list` that say what transform.yaml selects; None: everything."""
    chosen = {"--select": project.select, "--exclude": project.exclude}
    if not any(chosen.values()):
        return None
    found = [*_global(folder), "list", *project_arguments(project), "--target-path", str(folder)]
    found += ["--output", "json", "--output-keys", "unique_id"]
    for option, criteria in chosen.items():
        if criteria:
            found += [option, *criteria]
    if project.state is not None and "state:" in " ".join((*project.select, *project.exclude)):
        found += ["--state", str(project.state)]
    return found


def _require_selected(project: DbtProject, selected: Sequence[str], nothing: Sequence[str]) -> None:
    """Raises SettingError where something that was asked for does not exist."""
    shows = f"`dbt list --select ...` in {project.path} shows what a selection has."
    for place, criteria in enumerate(project.select):
        for criterion in nothing:
            if criterion in criteria:
                raise SettingError(
                    ("select", place), f"{criterion!r} selects nothing of the project", remedy=shows
                )
    if not any(each.startswith(_BUILT) for each in selected):
        where = "exclude" if project.exclude else "select"
        raise SettingError(
            (where,), "no model, seed or snapshot of the project is left", remedy=shows
        )


def _carry_out(
    name: str,
    project: DbtProject,
    arguments: Sequence[str],
    selection: Sequence[str] | None = None,
) -> dict[str, Any] | None:
    """What the child says of the project. Raises DbtError, and SettingError of the selection."""
    require_dbt()
    done = subprocess.run(
        [sys.executable, "-m", "dagster_transform.dbt.child.parse"],
        input=json.dumps(
            {"folder": str(project.path), "arguments": arguments, "selection": selection}
        ),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        env=child_environment(),
    )
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise DbtParseError(
            f"Project {name}: the dbt process ended with exit code {done.returncode}: {last}",
            remedy=f"Try it by hand, in {project.path}: dbt parse",
        ) from None
    if answer["error"] is not None and answer["error"]["fault"] == "selection":
        where = ("select" if project.select else "exclude",)
        raise SettingError(where, f"dbt can't select that: {answer['error']['message'].strip()}")
    if answer["error"] is not None:
        raise _error(name, project, arguments, **answer["error"])
    said: dict[str, Any] | None = answer["project"]
    return said


def _error(
    name: str,
    project: DbtProject,
    arguments: Sequence[str],
    *,
    fault: str,
    place: str,
    message: str,
) -> DbtError:
    if "deps" in arguments and fault not in ("variable", "artifacts"):
        words = dedent(message.removeprefix("Runtime Error\n")).strip()
        return PackagesError(
            f"Project {name}: its packages can't be installed: {words}",
            remedy=f"Run `dbt deps` where there is a network, in {project.path}, and take"
            " dbt_packages and package-lock.yml along.",
        )
    return error_of(Fault(fault, place), message, name, project)


def _declared(folder: Path) -> list[Any]:
    """The packages that a project declares; dbt complains of what can't be read."""
    found: list[Any] = []
    for name in _DECLARATIONS:
        packages = _yaml(folder / name).get("packages")
        found += packages if isinstance(packages, list) else []
    return found


def _installed(folder: Path) -> list[Path]:
    place = _yaml(folder / _PROJECT_FILE).get("packages-install-path")
    packages = folder / (place if isinstance(place, str) else "dbt_packages")
    return list(packages.glob(f"*/{_PROJECT_FILE}"))


def _yaml(path: Path) -> Mapping[str, Any]:
    try:
        found = yaml.safe_load(path.read_bytes())
    except (OSError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}


def _digest(folder: Path) -> str:
    """Of the declarations and of what they were resolved to."""
    digest = hashlib.sha256()
    for name in (*_DECLARATIONS, _LOCK):
        path = folder / name
        digest.update(path.read_bytes() if path.exists() else b"")
        digest.update(b"\0")
    return digest.hexdigest()
