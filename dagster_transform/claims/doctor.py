"""What is wrong with claims: those that nobody renews, and those of runs that have ended."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from dagster_transform.claims.ids import RunId
from dagster_transform.claims.ports import Recovery
from dagster_transform.claims.values import Holder, OwnerKind
from dagster_transform.databases.backends import BackendId, in_words
from dagster_transform.planning.findings import Code, Finding, Severity

_SHOWN = 5


def claim_findings(store: Recovery, alive: Callable[[RunId], bool | None]) -> list[Finding]:
    """A finding for each run whose claims are in the way of others; pauses are people's own.

    Args:
        store: Where claims are kept.
        alive: Whether a run has not ended; None: nobody knows it.

    Raises:
        ClaimsError: The store can't be used.
    """
    expired = _by_run(store.expired())
    held = _by_run(store.holders())
    found = [_expired(run_id, holders) for run_id, holders in expired.items()]
    for run_id, holders in held.items():
        if run_id in expired or (living := alive(run_id)):
            continue
        known = "has ended" if living is False else "is not known to this Dagster instance"
        found.append(_ended(run_id, holders, known, unknown=living is None))
    return found


def backend_findings(
    store: Recovery, there: Collection[BackendId], *, runs_under_way: bool
) -> list[Finding]:
    """Whether a run builds that no claim in this store knows of.

    Args:
        store: Where claims are kept.
        there: Backends of runs that are on database servers now.
        runs_under_way: Whether runs of this Dagster instance are: one that has connected and builds
            nothing yet has not said in which backends it will.

    Raises:
        ClaimsError: The store can't be used.
    """
    known = {b for holder in (*store.holders(), *store.expired()) for b in holder.backends}
    others = sorted(set(there) - known)
    if runs_under_way or not others:
        return []
    return [
        Finding(
            Code.ANOTHER_HOME,
            Severity.WARNING,
            what="A run builds that no claim here knows of: "
            f"{', '.join(map(in_words, others[:_SHOWN]))}.",
            cause="No run of this Dagster instance is under way. Another instance builds on the "
            "same database and keeps its claims elsewhere: runs of the two may build one table at "
            "the same moment, and rows come twice.",
            remedy="Let both keep their claims in one place: `claims_url` in transform.yaml, or "
            "the environment variable DAGSTER_TRANSFORM_CLAIMS_URL.",
        )
    ]


def _by_run(holders: Iterable[Holder]) -> dict[RunId, list[Holder]]:
    found: dict[RunId, list[Holder]] = {}
    for holder in holders:
        if holder.owner_kind is not OwnerKind.PERSON:
            found.setdefault(RunId(holder.run_id), []).append(holder)
    return found


def _expired(run_id: RunId, holders: list[Holder]) -> Finding:
    since = max(h.expires_at for h in holders if h.expires_at is not None)
    return Finding(
        Code.CLAIM_EXPIRED,
        Severity.WARNING,
        what=f"The claims of run {run_id} have expired: {_listing(holders)}.",
        cause=f"Nobody has renewed them up to {since:%Y-%m-%d %H:%M:%S} UTC: its process is dead, "
        "was stopped, or can't reach the claims store. The next run that wants them takes them "
        "over.",
        remedy="See in Dagster what became of the run, then: `dagster-transform claims release "
        f"--run {run_id}`.",
        where=run_id,
    )


def _ended(run_id: RunId, holders: list[Holder], known: str, *, unknown: bool) -> Finding:
    if unknown:
        return Finding(
            Code.ANOTHER_HOME,
            Severity.WARNING,
            what=f"Run {run_id} {known}, and its claims are alive: {_listing(holders)}.",
            cause="Another Dagster instance keeps its claims in this store; that is right where "
            "both build on the same databases, and their runs are safe beside each other.",
            remedy="Nothing, if the other instance is yours; else find it and stop it.",
            where=run_id,
        )
    return Finding(
        Code.CLAIM_OF_ENDED_RUN,
        Severity.WARNING,
        what=f"Run {run_id} {known} and still holds {_listing(holders)}.",
        cause="Its process has not released them: it was killed in its last moments, or still "
        "runs. They end a lease after that; the transform's sensor releases them sooner.",
        remedy=f"`dagster-transform claims release --run {run_id}`, and see that the transform's "
        "sensor runs.",
        where=run_id,
    )


def _listing(holders: list[Holder]) -> str:
    keys = sorted({str(holder.resource_key) for holder in holders})
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + more
