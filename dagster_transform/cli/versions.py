"""`--version`: of this package, and of what it stands on."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

import click

_STANDS_ON = ("dagster", "sqlmesh", "dbt-core")


def installed_versions() -> Mapping[str, str | None]:
    """The versions that are installed here, by distribution; None: it is not. Imports none."""
    return {name: _installed(name) for name in ("dagster-transform", *_STANDS_ON)}


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _print(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if not wanted or context.resilient_parsing:
        return
    ours, *others = installed_versions().items()
    click.echo(" ".join(map(str, ours)))
    for name, found in others:
        click.echo(f"  {name} {found or 'is not installed'}")
    click.echo(f"  Python {platform.python_version()}")
    context.exit()


version_option = click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print,
    help="Show the versions of dagster-transform, Dagster, SQLMesh and dbt, and exit.",
)
