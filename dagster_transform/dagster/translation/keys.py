"""How the ids of a graph are called in Dagster, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg

from dagster_transform.dagster.definitions.errors import DuplicateKeyError
from dagster_transform.dagster.translation.translator import TransformTranslator
from dagster_transform.graph import (
    CheckId,
    Graph,
    InputId,
    Node,
    NodeId,
    Source,
    named_by_keys,
)


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys of a graph, as its translator gives them.

    Attributes:
        assets: Asset key of each node and source.
        nodes: Node of each asset key.
        checks: Check key of each check.
        check_ids: Check of each check key.
    """

    assets: Mapping[InputId, dg.AssetKey]
    nodes: Mapping[dg.AssetKey, NodeId]
    checks: Mapping[CheckId, dg.AssetCheckKey]
    check_ids: Mapping[dg.AssetCheckKey, CheckId]

    def named(self, graph: Graph) -> Graph:
        """The graph, in which nodes and sources are called by their asset keys."""
        return named_by_keys(graph, {id: key.path for id, key in self.assets.items()})


def keys_of(graph: Graph, translator: TransformTranslator) -> Keys:
    """The keys of all nodes, sources and checks.

    Raises:
        DuplicateKeyError: Two nodes have one asset key, or a dbt source has that of a node which
            does not build it.
    """
    assets: dict[InputId, dg.AssetKey] = {}
    nodes: dict[dg.AssetKey, NodeId] = {}
    for node in graph.nodes.values():
        key = assets[node.id] = translator.get_asset_key(node)
        if key in nodes:
            raise _duplicate(key, graph.nodes[nodes[key]], node)
        nodes[key] = node.id
    for source in graph.sources.values():
        key = assets[source.id] = translator.get_asset_key(source)
        node_id = nodes.get(key)
        if source.key and node_id and graph.nodes[node_id].relation != source.relation:
            raise _duplicate(key, graph.nodes[node_id], source)
    checks = {
        c.id: dg.AssetCheckKey(assets[c.target], translator.get_check_name(c))
        for c in graph.checks.values()
    }
    return Keys(assets, nodes, checks, {key: check for check, key in checks.items()})


def _duplicate(key: dg.AssetKey, one: Node, other: Node | Source) -> DuplicateKeyError:
    by_name = [f"{thing.project}:{thing.name}" for thing in (one, other)]
    # Two packages of one dbt project may have a model of the same name.
    first, second = by_name if by_name[0] != by_name[1] else (one.id, other.id)
    remedy = "Override get_asset_key of the translator, so that they differ."
    if one.key or other.key:
        remedy = (
            "Give one of them another key: meta: {dagster: {asset_key: [...]}} in dbt, or override"
            " get_asset_key of the translator."
        )
    return DuplicateKeyError(
        f"{first} and {second} have one asset key: {key.to_user_string()}", remedy=remedy
    )
