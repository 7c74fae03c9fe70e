"""`dagster-transform claims`: who holds what, pauses, and the release of what dead runs hold."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timezone
from getpass import getuser
from pathlib import Path
from typing import Any

import click

from dagster_transform.claims import Holder, RunId, Store
from dagster_transform.cli.claims_listing import listing
from dagster_transform.cli.graphs import prepared_as_far_as_possible
from dagster_transform.cli.options import config_option
from dagster_transform.cli.output import line_width
from dagster_transform.cli.prepare import translator_named
from dagster_transform.config import TransformConfig, load_config
from dagster_transform.databases.backends import BackendId, in_words, statement_to_end
from dagster_transform.errors import TransformError
from dagster_transform.graph import Node
from dagster_transform.graph.counts import counted
from dagster_transform.planning.pauses import PauseEndError, end_of_pause
from dagster_transform.planning.resource_keys import ResourceKey, ResourceKind


@click.group()
def claims() -> None:
    """See and change who may build what.

    A run claims the tables that it builds, so that no two runs build one at the same moment. A
    claim ends when its node is done, when its run ends, or a lease after its process has died.

    Claims are kept where runs keep them: `claims_url` of transform.yaml, else
    DAGSTER_TRANSFORM_CLAIMS_URL, else in the database of Dagster's own storage, which is found
    through DAGSTER_HOME.
    """


@claims.command("list")
@config_option
@click.option("--run", "run_id", help="Only what this run holds.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, a list of objects.")
def list_claims(config_path: Path | None, run_id: RunId | None, as_json: bool) -> None:
    """Show what is claimed or paused: by whom, since when, until when, and why.

    Times are UTC; a run's claim is renewed until the run is done with it. Nodes are called by
    their asset keys, as far as the graph files know whose table it is.

    \b
    Examples:
      dagster-transform claims list
      dagster-transform claims list --run 1a2b... --json

    \b
    Exit codes:
      0  it is shown
      1  the claims store can't be used
    """
    from dagster_transform.runs.resource_names import names_of_tables

    config = load_config(config_path)
    store, _ = _open(config)
    found = store.holders(run_id=run_id)
    if as_json:
        click.echo(json.dumps([_as_json(holder) for holder in found], indent=2))
        return
    if not found:
        click.echo("Nothing is claimed.")
        return
    names = names_of_tables(config, _as_shown(config))
    click.echo(listing(found, names, line_width()))


@claims.command()
@click.argument("what", metavar="NODE-OR-ENVIRONMENT")
@config_option
@click.option("--reason", required=True, help="Shown to whoever has to wait.")
@click.option(
    "--until",
    help="When it ends by itself: 2h, 1d 12h, 2026-01-31, or 2026-01-31T06:00+01:00.",
)
def pause(what: str, config_path: Path | None, reason: str, until: str | None) -> None:
    """Have no run build something until it is resumed.

    NODE-OR-ENVIRONMENT is one of

    \b
      a node       warehouse/marts/delays (its asset key), marts.delays or project:marts.delays:
                   the table that the environment has now
      a project    marts: its SQLMesh environment, for runs and plans, and all its nodes
      a key        tag:heavy, or whatever `claims list` shows

    What runs now goes on; only what has not started waits.

    \b
    Examples:
      dagster-transform claims pause marts.delays --reason "bad source" --until 2h
      dagster-transform claims pause tag:heavy --reason "quarter's end"

    \b
    Exit codes:
      0  it is paused
      1  there is no such node, or the claims store can't be used
    """
    from dagster_transform.runs.pausing import named_in_files
    from dagster_transform.runs.pausing import pause as pause_named

    config = load_config(config_path)
    named = named_in_files(config, what, _as_shown(config))
    store, _ = _open(config)
    end = _moment(until) if until else None
    made = pause_named(store, named, reason=reason, until=end, by=getuser())
    click.echo(
        f"Paused {_listed_short(made)}" + (f" until {end:%Y-%m-%d %H:%M} UTC" if end else "")
    )


@claims.command()
@click.argument("what", metavar="NODE-OR-ENVIRONMENT")
@config_option
def resume(what: str, config_path: Path | None) -> None:
    """End a pause; of a project also those of its nodes that were made with it.

    \b
    Examples:
      dagster-transform claims resume marts.delays

    \b
    Exit codes:
      0  it goes on
      1  it is not paused, or the claims store can't be used
    """
    from dagster_transform.runs.pausing import named_in_files
    from dagster_transform.runs.pausing import resume as resume_named

    config = load_config(config_path)
    named = named_in_files(config, what, _as_shown(config))
    store, _ = _open(config)
    if not (ended := resume_named(store, named)):
        key = next(iter([*named.environments, *named.resources]))
        raise click.ClickException(f"{key} is not paused.")
    click.echo(f"Resumed {_listed_short(ended)}")


@claims.command()
@click.option("--run", "run_id", required=True, help="The run's id, as `claims list` shows it.")
@config_option
@click.option(
    "--force",
    is_flag=True,
    help="Also where Dagster says that the run is alive, or where its backends on a database "
    "server can't be ended.",
)
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
def release(run_id: RunId, config_path: Path | None, force: bool, yes: bool) -> None:
    """Release all that a run holds, and end its backends on PostgreSQL servers before that.

    For a run whose process is known to be dead: what it has not released ends by itself a lease
    after that. Releasing what a living run builds lets another run build it at the same moment.

    A server goes on with a statement of a process that is dead. The backends in which the run has
    built are ended through the projects of transform.yaml, with what these connect with; where
    none of them reaches a server, or the user may not end them, nothing is released, and it is
    said what to end there.

    \b
    Examples:
      dagster-transform claims release --run 1a2b...
      dagster-transform claims release --run 1a2b... --force --yes

    \b
    Exit codes:
      0  what it held is released
      1  it holds nothing, is alive, or its backends do not end
    """
    config = load_config(config_path)
    store, status = _open(config)
    held = store.holders(run_id=run_id)
    held += [h for h in store.expired() if h.run_id == run_id]
    if not held:
        raise click.ClickException(f"Run {run_id} holds nothing.")
    alive = status(run_id)
    if alive and not force:
        raise click.ClickException(
            f"Dagster says that run {run_id} is {alive}: terminate it first. "
            "If its process is certainly dead, use --force."
        )
    keys = _listing(held)
    backends = sorted({backend for holder in held for backend in holder.backends})
    if not yes:
        also = f", and end {_listed(backends)}" if backends else ""
        click.confirm(f"Release {keys} of run {run_id}{also}?", abort=True)
    if backends:
        _end(config, run_id, backends, force=force)
    released = store.release_run(run_id)
    click.echo(f"Released {_listing(released)}")


def _end(
    config: TransformConfig, run_id: RunId, backends: Collection[BackendId], *, force: bool
) -> None:
    """End a run's backends on database servers, and say which have ended."""
    from dagster_transform.cli.backends import end_backends

    ended, problems = end_backends(config, backends)
    if ended:
        click.echo(f"Ended {_listed(ended)}")
    if not (remaining := set(backends) - ended):
        return
    reason = "\n".join(problems) or "No project of transform.yaml reaches that server."
    if force:
        click.echo(f"Not ended: {_listed(remaining)}. {reason}", err=True)
        return
    raise click.ClickException(
        f"Nothing was released: statements of run {run_id} may go on in {_listed(remaining)}.\n"
        f"{reason}\nEnd them there, and then use --force:\n{statement_to_end(remaining)}"
    )


def _listed(backends: Iterable[BackendId]) -> str:
    return ", ".join(f"backend {in_words(backend)}" for backend in sorted(backends))


def _open(config: TransformConfig) -> tuple[Store, Callable[[RunId], str]]:
    """The store that runs use, and what Dagster says of a run that is alive."""
    from dagster_transform.dagster.execution.claims_store import claims_of_instance

    store, status = claims_of_instance(config)
    if not store.shared:
        raise click.ClickException(
            "Claims are kept in memory here, and no other process sees them. Set DAGSTER_HOME to "
            "the folder of dagster.yaml, or DAGSTER_TRANSFORM_CLAIMS_URL."
        )
    return store, status


def _as_shown(config: TransformConfig) -> Collection[Node]:
    """The nodes, called as in Dagster, where a component calls them otherwise than by default. Who
    holds what is shown without that too."""
    if not config.translated_by_component:
        return ()
    try:
        made = translator_named(config, None)
        return [*prepared_as_far_as_possible(config, made)[0].graph.nodes.values()]
    except TransformError as error:
        click.echo(f"Warning: nodes are called as without the component. {error}", err=True)
        return ()


def _moment(text: str) -> datetime:
    try:
        return end_of_pause(text, datetime.now(timezone.utc))
    except PauseEndError as error:
        raise click.BadParameter(str(error), param_hint="--until") from None


def _listed_short(holders: Collection[Holder]) -> str:
    """What was paused or resumed: an environment first, of the tables of its nodes how many."""
    first, *more = sorted(
        holders,
        key=lambda each: ResourceKey(each.resource_key).kind is not ResourceKind.ENVIRONMENT,
    )
    return first.resource_key + (f" and the tables of {counted(len(more), 'node')}" if more else "")


def _listing(holders: Iterable[Holder]) -> str:
    return ", ".join(sorted({holder.resource_key for holder in holders})) or "nothing"


def _as_json(holder: Holder) -> dict[str, Any]:
    return {
        "resource_key": holder.resource_key,
        "weight": holder.weight,
        "owner_kind": holder.owner_kind.value,
        "run_id": holder.run_id,
        "since": holder.since.isoformat(),
        "expires_at": holder.expires_at.isoformat() if holder.expires_at else None,
        "reason": holder.reason,
        "claim_id": holder.claim_id,
        "backends": list(holder.backends),
        "sessions": list(holder.backends),  # what they were called at first
    }
