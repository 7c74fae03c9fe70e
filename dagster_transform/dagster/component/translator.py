"""A translator that asks the component for the spec of each node."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from dagster_transform.dagster.component.errors import UntranslatableError
from dagster_transform.dagster.translation.translator import TransformTranslator
from dagster_transform.graph import Node, NodeId, Source

# What a spec may have that a translation can't decide, and what does.
_DECIDED_ELSEWHERE = {
    "deps": "the projects' files say what a node reads",
    "partitions_def": "runs build what is due, without partitions",
    "freshness_policy": "`freshness_grace` sets it",
}


def base_spec(node: Node, root: Path) -> dg.AssetSpec:
    """How a node looks without a translation, but for its dependencies.

    Args:
        node: The node.
        root: The folder that its location is relative to.
    """
    plain = TransformTranslator(root)
    return dg.AssetSpec(
        plain.get_asset_key(node),
        description=plain.get_description(node),
        metadata=plain.get_metadata(node),
        group_name=plain.get_group_name(node),
        code_version=plain.get_code_version(node),
        automation_condition=plain.get_automation_condition(node),
        owners=plain.get_owners(node),
        tags=plain.get_tags(node),
        kinds=plain.get_kinds(node),
    )


class ComponentTranslator(TransformTranslator):
    """What a component says of nodes; of sources and checks what everybody says.

    Args:
        root: Folder of the YAML file.
        spec_of: What the component says.
    """

    said_by = "`translation` or `get_asset_spec` of the component"

    def __init__(self, root: Path, spec_of: Callable[[Node], dg.AssetSpec]) -> None:
        super().__init__(root)
        self._spec_of = spec_of
        self._specs: dict[NodeId, dg.AssetSpec] = {}

    def get_asset_key(self, node: Node | Source) -> dg.AssetKey:
        """The spec's."""
        return super().get_asset_key(node) if isinstance(node, Source) else self._spec(node).key

    def get_group_name(self, node: Node) -> str | None:
        """The spec's."""
        return self._spec(node).group_name

    def get_description(self, node: Node) -> str | None:
        """The spec's."""
        return self._spec(node).description

    def get_tags(self, node: Node) -> Mapping[str, str]:
        """The spec's, with those that Dagster makes of kinds."""
        return self._spec(node).tags

    def get_owners(self, node: Node) -> Sequence[str]:
        """The spec's."""
        return list(self._spec(node).owners)

    def get_kinds(self, node: Node) -> set[str]:
        """The spec's."""
        return set(self._spec(node).kinds)

    def get_code_version(self, node: Node) -> str | None:
        """The spec's."""
        return self._spec(node).code_version

    def get_automation_condition(self, node: Node) -> dg.AutomationCondition[Any] | None:
        """The spec's."""
        return self._spec(node).automation_condition

    def get_metadata(self, node: Node) -> Mapping[str, Any]:
        """The spec's."""
        return self._spec(node).metadata

    def _spec(self, node: Node) -> dg.AssetSpec:
        """Asked once: templates take a while."""
        if node.id not in self._specs:
            spec = self._specs[node.id] = self._spec_of(node)
            for name, why in _DECIDED_ELSEWHERE.items():
                if getattr(spec, name, None):
                    raise UntranslatableError(f"`{name}` can't be set: {why}.")
        return self._specs[node.id]
