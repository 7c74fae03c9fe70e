"""Groups and tags of a whole graph: two that are called differently stay two.

A translator sees one node at a time; whether `my group` may be `my_group` depends on the others. It
is its own say where somebody has overridden it.
"""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from dagster_transform.dagster.translation.dbt_translation import is_dbt
from dagster_transform.dagster.translation.inner_names import distinct
from dagster_transform.dagster.translation.translator import (
    LONGEST_TAG,
    TransformTranslator,
    group_called,
    group_spelled,
    tag_spelled,
    tags_called,
)
from dagster_transform.graph import Graph, InputId, Node

_NAMELESS = "tag"


class Labels:
    """The groups and tags of a graph, where its translator leaves them as they are.

    Args:
        graph: The graph.
        keys: Asset keys of its nodes.
        translator: Its translator.
    """

    def __init__(
        self,
        graph: Graph,
        keys: Mapping[InputId, dg.AssetKey],
        translator: TransformTranslator,
    ) -> None:
        kind = type(translator)
        self._keys = keys
        self._groups: dict[str, str] = {}
        self._tags: dict[str, str] = {}
        if kind.get_group_name is TransformTranslator.get_group_name:
            called = (group_called(node, keys[node.id]) for node in graph.nodes.values())
            self._groups = distinct({name: group_spelled(name) or "" for name in called if name})
        if kind.get_tags is TransformTranslator.get_tags:
            nodes = [node for node in graph.nodes.values() if not is_dbt(node)]
            tags = {tag for node in nodes for tag in tags_called(node) if tag}
            self._tags = distinct(
                {tag: tag_spelled(tag) or _NAMELESS for tag in tags}, longest=LONGEST_TAG
            )

    def group(self, node: Node, translated: str | None) -> str | None:
        """The group of a node, of which the translator says that it is this."""
        called = group_called(node, self._keys[node.id])
        return self._groups.get(called or "", translated)

    def tags(self, node: Node, translated: Mapping[str, str]) -> Mapping[str, str]:
        """The tags of a node, of which the translator says that they are these."""
        if is_dbt(node) or not self._tags:
            return translated
        return {self._tags[tag]: "" for tag in tags_called(node) if tag}
