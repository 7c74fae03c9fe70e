"""What a materialisation says of checks that run apart from it.

Dagster shows a check's result with the materialisation that it judged, and no longer once there is
a newer one: nobody would see a failure for longer than an hour where a node is built hourly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from types import MappingProxyType
from typing import Any

import dagster as dg

Evaluations = Mapping[dg.AssetCheckKey, tuple[dg.AssetCheckEvaluation, float, str]]
"""By check: its latest result, when it was stored (seconds since 1970), and in which run."""
CHECKS_APART = "dagster_transform/checks_apart"
CHECKS_OVERDUE = "dagster_transform/checks_overdue"
FAILED_IN_RUN = "dagster_transform/failed_in_run"
_NAMED = 5
"""So many checks are named of those that share a result; of the rest there is a number."""


def said_of_checks_apart(
    checks: Iterable[dg.AssetCheckKey],
    found: Evaluations,
    overdue: Mapping[dg.AssetCheckKey, datetime] = MappingProxyType({}),
) -> dict[str, dg.MetadataValue[Any]]:
    """Metadata for the materialisation of a node: the latest results of its checks that this run
    does not run, which judged an older one, and the run of the last failure among them.

    Args:
        checks: Those of the node; at least one.
        found: The latest results of those that have one.
        overdue: The ticks, aware, since which checks have no result that they should have.
    """
    keys = sorted(checks, key=lambda key: key.name)
    words = {key: _word(found[key][0]) if key in found else "never run" for key in keys}
    parts = []
    for word in ("failed", "warned", "passed", "never run"):
        mine = [key for key in keys if words[key] == word]
        if mine:
            parts.append(f"{word} {_listed([_named(key, found) for key in mine])}")
    metadata: dict[str, dg.MetadataValue[Any]] = {
        CHECKS_APART: dg.MetadataValue.text(f"before this: {'; '.join(parts)}")
    }
    since: dict[datetime, list[str]] = {}
    for key in keys:
        if key in overdue:
            since.setdefault(overdue[key], []).append(key.name)
    if since:
        texts = [
            f"no result since {tick.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC: {_listed(names)}"
            for tick, names in sorted(since.items())
        ]
        metadata[CHECKS_OVERDUE] = dg.MetadataValue.text("; ".join(texts))
    failures = [found[key] for key in keys if words[key] == "failed"]
    if failures:
        _, _, run_id = max(failures, key=lambda failure: failure[1])
        metadata[FAILED_IN_RUN] = dg.MetadataValue.dagster_run(run_id)
    return metadata


def _word(result: dg.AssetCheckEvaluation) -> str:
    if result.passed:
        return "passed"
    return "failed" if result.severity is dg.AssetCheckSeverity.ERROR else "warned"


def _named(key: dg.AssetCheckKey, found: Evaluations) -> str:
    if key not in found:
        return key.name
    return f"{key.name} ({datetime.fromtimestamp(found[key][1], timezone.utc):%Y-%m-%d %H:%M} UTC)"


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
