"""Private parts of Dagster that telling of work done outside of it touches, each with a contract
test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dagster as dg

from dagster_transform.dagster._compat import asset_records


def last_told(
    instance: dg.DagsterInstance, keys: Sequence[dg.AssetKey], name: str
) -> dict[dg.AssetKey, float]:
    """When assets were last built, as far as Dagster was told, in seconds since 1970: when their
    last materialisation was stored, or the moment that its metadata `name` has, where that is later
    (clocks differ). A query for 500 assets."""
    found: dict[dg.AssetKey, float] = {}
    for record in asset_records(instance, keys):
        entry = record.asset_entry
        if entry.last_materialization_record is None:
            continue
        last = entry.last_materialization
        event = None if last is None else last.asset_materialization
        said = None if event is None else event.metadata.get(name)
        stored = entry.last_materialization_record.timestamp
        found[entry.asset_key] = max(stored, seconds_of(said))
    return found


def seconds_of(value: dg.MetadataValue[Any] | None) -> float:
    """The moment that metadata has, in seconds since 1970; 0: it has none."""
    return value.value if isinstance(value, dg.TimestampMetadataValue) else 0.0
