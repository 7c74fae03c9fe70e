"""Private parts of Dagster that this package touches, each with a contract test.

tests/contract/test_dagster_compat.py fails, naming the part, when a new version moves one.
"""

from __future__ import annotations

import dagster as dg
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION


def output_without_event(output_name: str) -> dg.Output[None]:
    """An output that lets downstream ops go on and stores no event for its asset.

    For a node that was up to date: what reads it may run, and nobody is told that it was
    materialised. Dagster leaves the event out for outputs that carry this metadata key.
    """
    return dg.Output(
        None,
        output_name=output_name,
        metadata={SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True},
    )


def check_outputs(assets: dg.AssetsDefinition) -> dict[str, dg.AssetCheckKey]:
    """The outputs of the blocking checks of a multi-asset, with their keys."""
    specs = assets._check_specs_by_output_name
    return {name: spec.key for name, spec in specs.items() if spec.blocking}
