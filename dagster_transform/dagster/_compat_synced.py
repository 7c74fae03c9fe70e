"""Private parts of Dagster that telling of work done outside of it touches, each with a contract
test."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

_AT_ONCE = 500
"""Assets that one query names."""


def last_told(
    instance: dg.DagsterInstance, keys: Sequence[dg.AssetKey], name: str
) -> dict[dg.AssetKey, float]:
    """When assets were last built, as far as Dagster was told, in seconds since 1970: when their
    last materialisation was stored, or the moment that its metadata `name` has, where that is later
    (clocks differ). A query for 500 assets."""
    found: dict[dg.AssetKey, float] = {}
    for start in range(0, len(keys), _AT_ONCE):
        for record in instance.get_asset_records(keys[start : start + _AT_ONCE]):
            entry = record.asset_entry
            if entry.last_materialization_record is None:
                continue
            last = entry.last_materialization
            event = None if last is None else last.asset_materialization
            said = None if event is None else event.metadata.get(name)
            moment = said.value if isinstance(said, dg.TimestampMetadataValue) else 0.0
            found[entry.asset_key] = max(entry.last_materialization_record.timestamp, moment)
    return found
