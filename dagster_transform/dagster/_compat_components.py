"""Dagster's components with state: where they are from 1.11.16 on, where they are not public."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
from dagster.components.component.state_backed_component import StateBackedComponent
from dagster.components.resolved.core_models import AssetAttributesModel
from dagster.components.resolved.errors import ResolutionException
from dagster.components.utils.defs_state import (
    DefsStateConfig,
    DefsStateConfigArgs,
    ResolvedDefsStateConfig,
)
from dagster.components.utils.translation import TranslationFn, TranslationFnResolver

__all__ = [
    "AssetAttributesModel",
    "DefsStateConfig",
    "DefsStateConfigArgs",
    "ResolutionException",
    "ResolvedDefsStateConfig",
    "StateBackedComponent",
    "TranslationFn",
    "TranslationFnResolver",
    "file_of",
    "is_local",
]


def file_of(context: dg.ResolutionContext) -> Path | None:
    """The YAML file whose attributes are resolved; None where they are from no file."""
    tree = context.source_position_tree
    return None if tree is None else Path(tree.position.filename)


def is_local(config: DefsStateConfig) -> bool:
    """Whether the state is a file in the project's own folder."""
    # 1.11 says `type` for what is `management_type` since 1.12.
    kind = getattr(config, "management_type", None) or getattr(config, "type", None)
    return getattr(kind, "value", None) == "LOCAL_FILESYSTEM"
