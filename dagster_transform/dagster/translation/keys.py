"""How the ids of a graph are called in Dagster, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg

from dagster_transform.dagster.definitions.errors import DuplicateKeyError
from dagster_transform.dagster.translation.asking import ask, location, named, refused
from dagster_transform.dagster.translation.translator import TransformTranslator
from dagster_transform.graph import (
    Check,
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
        DuplicateKeyError: Two nodes have one asset key, a dbt source has that of a node which does
            not build it, or two checks of one asset have one name.
        TranslationError: The translator fails, or gives what is no key or no name.
    """
    assets: dict[InputId, dg.AssetKey] = {}
    nodes: dict[dg.AssetKey, NodeId] = {}
    for node in graph.nodes.values():
        key = assets[node.id] = _asset_key(node, translator)
        if key in nodes:
            raise _duplicate(key, graph.nodes[nodes[key]], node)
        nodes[key] = node.id
    for source in graph.sources.values():
        key = assets[source.id] = _asset_key(source, translator)
        node_id = nodes.get(key)
        if source.key and node_id and graph.nodes[node_id].relation != source.relation:
            raise _duplicate(key, graph.nodes[node_id], source)
    checks: dict[CheckId, dg.AssetCheckKey] = {}
    check_ids: dict[dg.AssetCheckKey, CheckId] = {}
    for check in graph.checks.values():
        name = ask(translator, "get_check_name", check, str)
        target = assets[check.target]
        while (found := check_ids.get(dg.AssetCheckKey(target, name))) is not None:
            other = graph.checks[found]
            if other.target == check.target or graph.is_node(check.target):
                raise _one_name(dg.AssetCheckKey(target, name), other, check)
            # Sources of one name in two databases are one asset: two environments of a project.
            name = f"{name}_{check.project}"
        check_key = checks[check.id] = dg.AssetCheckKey(target, name)
        check_ids[check_key] = check.id
    return Keys(assets, nodes, checks, check_ids)


def _asset_key(thing: Node | Source, translator: TransformTranslator) -> dg.AssetKey:
    key: dg.AssetKey = ask(translator, "get_asset_key", thing, dg.AssetKey)
    if not key.path:
        what = "it returns a key without a part"
        raise refused(translator, thing, what, "get_asset_key")
    return key


def _duplicate(key: dg.AssetKey, one: Node, other: Node | Source) -> DuplicateKeyError:
    by_name = [f"{thing.project}:{thing.name}" for thing in (one, other)]
    # Two packages of one dbt project may have a model of the same name.
    first, second = by_name if by_name[0] != by_name[1] else (one.id, other.id)
    remedy = "Override get_asset_key of the translator, so that they differ."
    if one.project != other.project:
        remedy = (
            f"Give one of the projects {one.project} and {other.project} a key_prefix in"
            " transform.yaml, or override get_asset_key of the translator."
        )
    elif one.key or other.key:
        remedy = (
            "Give one of them another key: meta: {dagster: {asset_key: [...]}} in dbt, or override"
            " get_asset_key of the translator."
        )
    return DuplicateKeyError(
        f"{first} and {second} have one asset key: {key.to_user_string()}{_files(one, other)}",
        remedy=remedy,
    )


def _files(*things: Node | Source) -> str:
    """Where things are written, as far as that is known."""
    files = [place.path for thing in things if (place := location(thing))]
    return f" ({' and '.join(files)})" if files else ""


def _one_name(key: dg.AssetCheckKey, one: Check, other: Check) -> DuplicateKeyError:
    return DuplicateKeyError(
        f"Two checks of asset {key.asset_key.to_user_string()} have one name, {key.name}: "
        f"{named(one)} and {named(other)}.",
        remedy=(
            "Rename one of them, or override get_check_name of the translator, so that they differ."
            if one.target == other.target
            else "Give one of what they judge another key: meta: {dagster: {asset_key: [...]}} in"
            " dbt, or override get_asset_key of the translator."
        ),
    )
