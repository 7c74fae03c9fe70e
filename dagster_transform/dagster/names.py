"""How the ids of a graph are called in Dagster, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg

from dagster_transform.dagster.errors import DuplicateKeyError
from dagster_transform.dagster.translator import TransformTranslator
from dagster_transform.graph import Graph


@dataclass(frozen=True, slots=True)
class Names:
    """Keys of a graph, as its translator gives them.

    Attributes:
        keys: Asset key of each node and source.
        nodes: Node id of each asset key.
        check_keys: Check key of each check.
        checks: Check id of each check key.
    """

    keys: Mapping[str, dg.AssetKey]
    nodes: Mapping[dg.AssetKey, str]
    check_keys: Mapping[str, dg.AssetCheckKey]
    checks: Mapping[dg.AssetCheckKey, str]


def name_all(graph: Graph, translator: TransformTranslator) -> Names:
    """The keys of all nodes, sources and checks.

    Raises:
        DuplicateKeyError: Two nodes have one asset key.
    """
    keys: dict[str, dg.AssetKey] = {}
    nodes: dict[dg.AssetKey, str] = {}
    for node in graph.nodes.values():
        key = keys[node.id] = translator.get_asset_key(node)
        if key in nodes:
            other = graph.nodes[nodes[key]]
            raise DuplicateKeyError(
                f"{node.project}:{node.name} and {other.project}:{other.name} have one asset key: "
                f"{key.to_user_string()}",
                remedy="Override get_asset_key of the translator, so that they differ.",
            )
        nodes[key] = node.id
    for source in graph.sources.values():
        keys[source.id] = translator.get_asset_key(source)
    check_keys = {
        c.id: dg.AssetCheckKey(keys[c.target], translator.get_check_name(c))
        for c in graph.checks.values()
    }
    return Names(keys, nodes, check_keys, {key: check for check, key in check_keys.items()})
