"""The command itself."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click

from dagster_transform.cli.init.example import EXAMPLE_DATABASE, example_files
from dagster_transform.cli.init.finding import (
    FoundProject,
    find_projects,
    other_integrations,
)
from dagster_transform.cli.init.layout import Layout, layout_of
from dagster_transform.cli.init.texts import transform_yaml
from dagster_transform.config import ConfigError, TransformConfig, load_config
from dagster_transform.config.ignored_files import GITIGNORE, generated, ignore
from dagster_transform.errors import TransformError
from dagster_transform.sqlmesh.first_plan import FirstPlan, first_plan

_CONFIG = "transform.yaml"
_DISTRIBUTIONS = {"dbt": "dbt-core", "sqlmesh": "sqlmesh"}


class InitError(TransformError):
    """The files of a transform can't be written."""


@click.command()
@click.argument("folder", default=".", type=click.Path(path_type=Path, file_okay=False))
@click.option("--example", is_flag=True, help="Make a small project in FOLDER, and use that.")
@click.option("--force", is_flag=True, help="Replace files that are there and say something else.")
def init(folder: Path, example: bool, force: bool) -> None:
    """Write transform.yaml and definitions.py for the dbt and SQLMesh projects in a folder.

    Projects are found in FOLDER [the working directory] and below it, by dbt_project.yml and by
    SQLMesh's config.yaml or config.py. Where there are none, a small example is made: of SQLMesh,
    of dbt with DuckDB, or of both, whatever is installed.

    .gitignore gets lines for what is generated: graph files, dbt's target folder, logs, caches.
    In a project of Dagster's `dg` the module goes to its `defs` folder. What is there already is
    left as it is, and said; --force replaces it.

    \b
    Examples:
      dagster-transform init                     # in your repository
      dagster-transform init demo --example      # to look around

    \b
    Exit codes:
      0  all is there, and the next commands are shown
      1  a file can't be written, or nothing that could be
         run is installed
    """
    root = Path(os.path.abspath(folder))
    projects = [] if example or not root.is_dir() else find_projects(root)
    files: dict[Path, str] = {}
    plan = "never"
    if not projects:
        files, projects, plan = _example(root), _of_example(root), "auto"
        said = "The example" if example else f"No dbt or SQLMesh project is in {root}: an example"
        click.echo(f"{said} is made there.")
    layout = layout_of(root)
    files[root / _CONFIG] = transform_yaml(projects, root, plan=plan)
    if layout.file is not None:
        files[layout.file] = layout.text
    for project in projects:
        click.echo(f"{project.framework} project {project.name} in {project.folder}")
        if project.remark:
            click.echo(f"  Note: {project.remark}")
    kept = [path for path, text in files.items() if not _write(path, text, root, force=force)]
    _ignore(root, projects, EXAMPLE_DATABASE if plan == "auto" else ())
    for line in _remarks(root, projects, kept, layout):
        click.echo(line)
    click.echo("\nNext:")
    for line in _next(root, projects, layout):
        click.echo(f"  {line}")


def _of_example(root: Path) -> list[FoundProject]:
    frameworks = _installed_frameworks()
    return [
        FoundProject(f"{name}_project", name, root / f"{name}_project")
        for name in ("dbt", "sqlmesh")
        if name in frameworks
    ]


def _example(root: Path) -> dict[Path, str]:
    """The files of the example. Raises InitError: None of the frameworks is installed."""
    frameworks = _installed_frameworks()
    if not frameworks:
        raise InitError(
            f"There is no dbt or SQLMesh project in {root}, and for an example neither SQLMesh nor "
            "dbt with DuckDB is installed here.",
            remedy="pip install 'dagster-transform[sqlmesh]', or 'dagster-transform[dbt]' and "
            "dbt-duckdb.",
        )
    return {root / path: text for path, text in example_files(frameworks).items()}


def _installed_frameworks() -> frozenset[str]:
    found = {"sqlmesh"} if _is_installed("sqlmesh") else set()
    return frozenset(found | ({"dbt"} if _is_installed("dbt-duckdb") else set()))


def _is_installed(distribution: str) -> bool:
    try:
        return bool(version(distribution))
    except PackageNotFoundError:
        return False


def _write(path: Path, text: str, root: Path, *, force: bool) -> bool:
    """Write a file; False where it is kept as it is, and says something else. Raises InitError."""
    shown = path.relative_to(root)
    try:
        there = path.read_text(encoding="utf-8") if path.exists() else None
        if there == text:
            click.echo(f"  {shown} is as it should be")
            return True
        if there is not None and not force:
            click.echo(f"  {shown} is there already, and left as it is (--force replaces it)")
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise InitError(
            f"{path} can't be written: {why}",
            remedy="Make the folder writable, or name another one: `dagster-transform init "
            "FOLDER`.",
        ) from None
    click.echo(f"  {'replaced' if there is not None else 'wrote'} {shown}")
    return True


def _ignore(root: Path, projects: Sequence[FoundProject], more: Sequence[str]) -> None:
    """Have git ignore what is generated: what .gitignore has stays, and lines are added. What can't
    be read or written is left as it is: nothing depends on it."""
    lines = generated(root, [(project.framework, project.folder) for project in projects])
    lines += more
    try:
        said = ignore(root, lines)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        click.echo(f"  {GITIGNORE} can't be changed ({why}); git should ignore: {' '.join(lines)}")
    else:
        click.echo(f"  {said} {GITIGNORE}" if said else f"  {GITIGNORE} is as it should be")


def _remarks(
    root: Path, projects: Sequence[FoundProject], kept: Sequence[Path], layout: Layout
) -> Iterator[str]:
    """What is left for people to do, of files that are not as they would have been written."""
    if root / _CONFIG in kept:
        yield from _not_in_config(root, projects)
    others = other_integrations(root)
    for name, file in others.items():
        page = "dagster-dbt" if name == "dagster-dbt" else "dagster-sqlmesh"
        yield (
            f"\n{file} uses {name}. Where it makes assets of a project above, the two can't be in "
            "one code location: Dagster loads nothing of it (`Duplicate asset key`). "
            f"docs/moving/{page}.md of dagster-transform has the steps for moving over, with which "
            "keys and history stay; merge nothing before."
        )
    if not others and (layout.file in kept or layout.merge_into):
        name = layout.merge_into or (layout.file.name if layout.file else "")
        yield (
            f"\nMerge the transform into the definitions of {name}, if they do not have it yet:\n\n"
            "  from dagster_transform import build_transform_definitions\n"
            f'  defs = dg.Definitions.merge(defs, build_transform_definitions("{_CONFIG}"))\n\n'
            f"There {_CONFIG} is meant from the working directory; give a whole path elsewhere. "
            "Where your definitions have an executor, add `executor=None`."
        )


def _not_in_config(root: Path, projects: Sequence[FoundProject]) -> Iterator[str]:
    """The projects that a transform.yaml of somebody's own does not name."""
    try:
        config = load_config(root)
    except ConfigError as error:
        yield f"\n{error}"
        return
    named = {Path(path).resolve() for p in config.projects.values() for path in p.paths}
    missing = [p for p in projects if p.folder.resolve() not in named]
    if missing:
        yield f"\n{_CONFIG} does not name these; add them where Dagster is to show them:\n"
        yield transform_yaml(missing, root)


def _next(root: Path, projects: Sequence[FoundProject], layout: Layout) -> Iterator[str]:
    """What to type next, in order."""
    if root != Path.cwd():
        yield f"cd {shlex.quote(str(root))}"
    if missing := _missing(projects):
        yield f"pip install {' '.join(missing)}"
    to_plan = [*_to_plan(root)]
    for project in projects:
        if to_plan and project.framework == "dbt":
            build = _dbt_build(project, root)
            yield f"({build})   # once, if you haven't yet: SQLMesh may read its tables"
    for name, plan in to_plan:
        yield (
            f"({plan.command})   # once, if you haven't yet: {name} has nothing to run before its "
            "first plan"
        )
    # After the plan, so that the graph files know the environment.
    yield "dagster-transform prepare"
    if not os.environ.get("DAGSTER_HOME"):
        # A folder of its own: without it `dagster dev` forgets everything when it ends. Without the
        # file each command of Dagster's warns that it is not there.
        yield (
            'export DAGSTER_HOME="$PWD/.dagster_home" && mkdir -p "$DAGSTER_HOME"'
            ' && touch "$DAGSTER_HOME/dagster.yaml"'
        )
    yield f"{layout.start}   # then http://localhost:3000: Assets, Materialize all"


def _dbt_build(project: FoundProject, root: Path) -> str:
    """What builds a dbt project in a shell."""
    folder = os.path.relpath(project.folder, root)
    profiles = ""
    if project.profiles is not None and project.profiles != project.folder:
        where = os.path.relpath(project.profiles, project.folder)
        profiles = f" --profiles-dir {shlex.quote(where)}"
    build = f"dbt build{profiles}"
    return build if folder == "." else f"cd {shlex.quote(folder)} && {build}"


def _to_plan(root: Path) -> Iterator[tuple[str, FirstPlan]]:
    """The SQLMesh projects whose first plan is a person's."""
    config: TransformConfig | None
    try:
        config = load_config(root)
    except TransformError:
        return
    for name, project in config.projects.items():
        if project.framework == "sqlmesh" and project.plan == "never":
            paths = [Path(os.path.relpath(path, root)) for path in project.paths]
            yield name, first_plan(name, project.environment, paths, project.gateway)


def _missing(projects: Sequence[FoundProject]) -> list[str]:
    """What to install for what was found."""
    frameworks = sorted({project.framework for project in projects})
    missing = [name for name in frameworks if not _is_installed(_DISTRIBUTIONS[name])]
    found = [f"'dagster-transform[{','.join(missing)}]'"] if missing else []
    if not _is_installed("dagster-webserver"):
        found.append("dagster-webserver")
    return found
