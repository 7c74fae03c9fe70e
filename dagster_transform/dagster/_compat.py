"""Private parts of Dagster that this package touches, each with a contract test.

tests/contract/test_dagster_compat.py fails, naming the part, when a new version moves one.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

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


def summary_event(
    label: str, description: str, metadata: Mapping[str, dg.MetadataValue[Any]]
) -> dg.ExpectationResult:
    """An event about a whole step. Dagster has no other one, and warns that this one will go."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return dg.ExpectationResult(
            success=True, label=label, description=description, metadata=metadata
        )


def code_references(path: str, line: int) -> dg.CodeReferencesMetadataValue:
    """A link to a line of a file.

    Dagster warns that these classes are in beta, which says nothing to those who load definitions
    and would end the loading where warnings are errors.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        reference = dg.LocalFileCodeReference(file_path=path, line_number=line)
        return dg.CodeReferencesMetadataValue(code_references=[reference])
