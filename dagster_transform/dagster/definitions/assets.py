"""From a graph to one subsettable multi-asset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from dagster_transform.config import TransformConfig
from dagster_transform.dagster.execution.run import Transform, run_transform
from dagster_transform.dagster.translation.keys import Keys, keys_of
from dagster_transform.dagster.translation.translator import TransformTranslator
from dagster_transform.dbt import SpareProcess
from dagster_transform.errors import TransformError
from dagster_transform.graph import Graph, Node
from dagster_transform.process.collector import kept


def build_transform_assets(
    graph: Graph,
    config: TransformConfig,
    *,
    translator: TransformTranslator | None = None,
    name: str = "transform",
) -> dg.AssetsDefinition:
    """One multi-asset, and one op, for all nodes of a graph and all checks.

    A check on a source is a check on the asset that has the source's key, whoever makes it.

    Args:
        graph: The combined graph of the projects.
        config: Where the projects are.
        translator: How nodes look in Dagster.
        name: The op's name; several in one code location need different ones.

    Returns:
        An AssetsDefinition that needs a resource `transform` (a TransformResource).

    Raises:
        DuplicateKeyError: Two nodes have one asset key.
    """
    return assets_of(graph, config, translator=translator, name=name)


@kept("definitions")
def assets_of(
    graph: Graph,
    config: TransformConfig,
    *,
    translator: TransformTranslator | None,
    name: str,
    spare: SpareProcess | None = None,
    unreadable: Mapping[str, TransformError] | None = None,
) -> dg.AssetsDefinition:
    """As `build_transform_assets`; `spare` is a dbt process that was started early for the run
    which this process was started for, `unreadable` says why projects can't be read, by name."""
    translator = translator or TransformTranslator(config.root)
    keys = keys_of(graph, translator)
    specs = [
        dg.AssetSpec(
            key=keys.assets[node.id],
            deps=[keys.assets[dep] for dep in node.deps],
            description=translator.get_description(node),
            metadata=_metadata(node, keys, translator),
            group_name=translator.get_group_name(node),
            code_version=translator.get_code_version(node),
            owners=translator.get_owners(node),
            tags=translator.get_tags(node),
            kinds=translator.get_kinds(node),
            automation_condition=translator.get_automation_condition(node),
            skippable=True,
        )
        for node in graph.nodes.values()
    ]
    check_specs = [
        dg.AssetCheckSpec(
            name=keys.checks[check.id].name,
            asset=keys.checks[check.id].asset_key,
            additional_deps=[keys.assets[n] for n in check.also],
            description=translator.get_check_description(check),
            blocking=translator.get_check_blocking(check),
            metadata=translator.get_check_metadata(check),
        )
        for check in graph.checks.values()
    ]
    transform = Transform(graph, config, keys, translator, spare, unreadable or {})
    return _multi_asset(name, specs, check_specs, transform)


def _metadata(node: Node, keys: Keys, translator: TransformTranslator) -> dict[str, Any]:
    metadata = dict(translator.get_metadata(node))
    lineage = translator.get_column_lineage(node, keys.assets)
    if lineage is not None:
        metadata["dagster/column_lineage"] = lineage
    return metadata


def _multi_asset(
    name: str,
    specs: Sequence[dg.AssetSpec],
    check_specs: Sequence[dg.AssetCheckSpec],
    transform: Transform,
) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=name,
        specs=specs,
        check_specs=check_specs,
        can_subset=True,
        allow_arbitrary_check_specs=True,  # checks on sources
        required_resource_keys={"transform"},
    )
    def transform_op(context):  # type: ignore[no-untyped-def]  # Dagster reads the annotation
        yield from run_transform(context, transform, context.resources.transform)

    return transform_op
