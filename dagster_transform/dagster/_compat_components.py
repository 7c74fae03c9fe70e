"""Dagster's components with state: where they are from 1.11.16 on, where they are not public."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import dagster as dg
from dagster.components.component.state_backed_component import StateBackedComponent
from dagster.components.core.defs_module import CompositeYamlComponent
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
    "component_at",
    "file_of",
    "is_local",
]

_Kind = TypeVar("_Kind", bound=dg.Component)


def component_at(folder: Path, kind: type[_Kind]) -> _Kind:
    """The component of a kind whose YAML file is in a folder of a project of `dg`.

    The project is imported, as for Dagster. Raises whatever Dagster or the project raises, and
    LookupError where the file has no such component, or several.
    """
    tree = dg.ComponentTree.for_project(folder)
    # 1.11 says `load_component_at_path` for what is `load_component` since 1.12.
    names = ("load_component", "load_component_at_path")
    load = next(getattr(tree, name) for name in names if hasattr(tree, name))
    found = load(folder)
    several = found.components if isinstance(found, CompositeYamlComponent) else [found]
    mine = [each for each in several if isinstance(each, kind)]
    if len(mine) != 1:
        raise LookupError(f"{len(mine)} components of type {kind.__name__} are there")
    return mine[0]


def file_of(context: dg.ResolutionContext) -> Path | None:
    """The YAML file whose attributes are resolved; None where they are from no file."""
    tree = context.source_position_tree
    return None if tree is None else Path(tree.position.filename)


def is_local(config: DefsStateConfig) -> bool:
    """Whether the state is a file in the project's own folder."""
    # 1.11 says `type` for what is `management_type` since 1.12.
    kind = getattr(config, "management_type", None) or getattr(config, "type", None)
    return getattr(kind, "value", None) == "LOCAL_FILESYSTEM"
