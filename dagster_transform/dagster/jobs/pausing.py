"""What the jobs `<transform>_pause` and `<transform>_resume` do."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

import dagster as dg

from dagster_transform.claims import Holder, Store
from dagster_transform.dagster._compat_pauses import USER_TAG, selected_assets
from dagster_transform.dagster.execution.claims_store import open_claims
from dagster_transform.dagster.execution.transform import Transform
from dagster_transform.dagster.jobs.pause import OUTPUT, PauseConfig, ResumeConfig
from dagster_transform.dagster.translation.metadata import REASON
from dagster_transform.errors import TransformError
from dagster_transform.graph import Node
from dagster_transform.planning.pauses import end_of_pause
from dagster_transform.runs.pausing import (
    Named,
    named_of,
    nodes_held_up,
    pause,
    paused_now,
    resume,
)

PAUSED = "dagster_transform/paused"
BY = "dagster_transform/by"
UNTIL = "dagster_transform/until"
_LISTED = 100
"""Rows that a table has."""


class PauseRefusedError(TransformError):
    """A pause can't be made or ended as it was asked for."""


def pause_named(
    context: dg.OpExecutionContext, transform: Transform, asked: PauseConfig
) -> dg.Output[None]:
    """Pause what was asked for: all of it, or nothing where something of it can't be.

    Raises:
        dg.Failure: It can't be, or the claims store can't be used.
    """
    try:
        if not asked.reason.strip():
            raise PauseRefusedError("reason is empty.", remedy="Say why: whoever waits reads it.")
        now = datetime.now(timezone.utc)
        until = end_of_pause(asked.until, now) if asked.until else None
        store = _store(context, transform)
        named = _named(context, transform, asked, store)
        by = _who(context, asked.by)
        made = pause(store, named, reason=asked.reason.strip(), until=until, by=by)
    except TransformError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from None
    return _tell(context, transform, made, paused=True, by=by)


def resume_named(
    context: dg.OpExecutionContext, transform: Transform, asked: ResumeConfig
) -> dg.Output[None]:
    """End the pauses of what was asked for; what is not paused is left alone.

    Raises:
        dg.Failure: None of it is paused, or the claims store can't be used.
    """
    try:
        store = _store(context, transform)
        named = _named(context, transform, asked, store)
        ended = resume(store, named)
        if not ended:
            raise PauseRefusedError("Nothing of it is paused.", remedy=_what_is_paused(store))
    except TransformError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from None
    return _tell(context, transform, ended, paused=False, by=_who(context, asked.by))


def _store(context: dg.OpExecutionContext, transform: Transform) -> Store:
    store = open_claims(context.instance, transform.config)
    if not store.shared:
        raise PauseRefusedError(
            "Claims are kept in memory here, and no other process sees them.",
            remedy="Set DAGSTER_HOME, or claims_url in transform.yaml.",
        )
    return store


def _named(
    context: dg.OpExecutionContext,
    transform: Transform,
    asked: PauseConfig | ResumeConfig,
    store: Store,
) -> Named:
    graph = transform.keys.named(transform.graph)
    selected: list[Node] = []
    if asked.selection:
        try:
            found = selected_assets(context.repository_def, asked.selection)
        except dg.DagsterError as error:
            raise PauseRefusedError(f"selection: {error}") from None
        nodes = transform.keys.nodes
        selected = [graph.nodes[nodes[key]] for key in sorted(found) if key in nodes]
        if others := sorted(key.to_user_string() for key in found if key not in nodes):
            context.log.warning(f"No nodes of the transform, passed over: {', '.join(others)}")
    named = named_of(
        transform.config,
        # By both their names: the framework's, and their asset keys.
        [*transform.graph.nodes.values(), *graph.nodes.values()],
        called=asked.nodes,
        selected=selected,
        environments=asked.environments,
    )
    if not named:
        raise PauseRefusedError(
            "Neither nodes, a selection of nodes nor environments were given.",
            remedy=_what_is_paused(store),
        )
    return named


def _who(context: dg.OpExecutionContext, given: str | None) -> str:
    """Who it is, as far as somebody says so; Dagster itself knows no users."""
    return context.run.tags.get(USER_TAG) or (given or "").strip()


def _what_is_paused(store: Store) -> str:
    found = ", ".join(holder.resource_key for holder in paused_now(store)[:_LISTED])
    return f"Paused now: {found or 'nothing'}."


def _tell(
    context: dg.OpExecutionContext,
    transform: Transform,
    holders: Iterable[Holder],
    *,
    paused: bool,
    by: str,
) -> dg.Output[None]:
    """Into the log, on the assets, and as the run's metadata."""
    pauses = {holder.resource_key: holder for holder in holders}
    graph = transform.keys.named(transform.graph)
    held_up = nodes_held_up(graph, transform.config, pauses.keys())
    called = {key: graph.nodes[node].name for node, key in held_up.items()}
    for node, key in held_up.items():
        said = _in_words(pauses[key], paused=paused, by=by)
        context.log.info(f"{graph.nodes[node].name}: {said}")
        context.log_event(
            dg.AssetObservation(
                transform.keys.assets[node],
                description=said,
                metadata=_metadata(pauses[key], paused=paused, by=by),
            )
        )
    for key, holder in pauses.items():
        if key not in called:
            context.log.info(f"{key}: {_in_words(holder, paused=paused, by=by)}")
    rows = [
        f"| {called.get(k, k)} | {_in_words(h, paused=paused, by=by)} |" for k, h in pauses.items()
    ]
    more = [f"| and {len(rows) - _LISTED} more | |"] if len(rows) > _LISTED else []
    table = "\n".join(["| what | |", "|---|---|", *rows[:_LISTED], *more])
    metadata: dict[str, Any] = {
        "dagster_transform/pauses": dg.MetadataValue.md(table),
        "dagster_transform/nodes": len(held_up),
    }
    return dg.Output(None, OUTPUT, metadata=metadata)


def _metadata(holder: Holder, *, paused: bool, by: str) -> dict[str, Any]:
    found: dict[str, Any] = {PAUSED: paused, REASON: holder.reason, BY: by or "not said"}
    if paused and holder.expires_at is not None:
        found[UNTIL] = dg.MetadataValue.timestamp(holder.expires_at)
    return found


def _in_words(holder: Holder, *, paused: bool, by: str) -> str:
    who = f" by {by}" if by else ""
    if not paused:
        since = f"{holder.since:%Y-%m-%d %H:%M} UTC"
        earlier = f" by {holder.run_id}" if holder.run_id else ""
        return f"resumed{who}; was paused{earlier} since {since} ({holder.reason})"
    end = holder.expires_at
    until = f"until {end:%Y-%m-%d %H:%M} UTC" if end else "until it is resumed"
    return f"paused{who} {until} ({holder.reason})"
