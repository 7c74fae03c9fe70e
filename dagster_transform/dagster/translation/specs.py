"""From a graph and its translator to what Dagster is told: one spec for each node and check."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import dagster as dg

from dagster_transform.dagster._compat import IO_MANAGER_KEY
from dagster_transform.dagster.translation.asking import ask, refused
from dagster_transform.dagster.translation.inner_names import input_names, output_names
from dagster_transform.dagster.translation.keys import Keys, keys_of
from dagster_transform.dagster.translation.labels import Labels
from dagster_transform.dagster.translation.metadata import shown_lineage
from dagster_transform.dagster.translation.translator import TransformTranslator
from dagster_transform.graph import Check, Graph, InputId, Node


@dataclass(frozen=True, slots=True)
class Translation:
    """A graph in Dagster's terms.

    Attributes:
        keys: Its keys.
        specs: Of the nodes, by the names of their outputs.
        outs: The outputs of the nodes.
        check_specs: Of the checks, by the names of their outputs.
        inputs: The keys that an op reads which builds the graph, by the names of its inputs.
    """

    keys: Keys
    specs: Mapping[str, dg.AssetSpec]
    outs: Mapping[str, dg.Out]
    check_specs: Mapping[str, dg.AssetCheckSpec]
    inputs: Mapping[str, dg.AssetKey]


def translate(graph: Graph, translator: TransformTranslator) -> Translation:
    """A graph in Dagster's terms.

    Raises:
        TranslationError: Dagster does not take what the translator makes of a node or check.
    """
    keys = keys_of(graph, translator)
    labels = Labels(graph, keys.assets, translator)
    outputs, check_outputs = output_names(keys.nodes, keys.check_ids)
    specs: dict[str, dg.AssetSpec] = {}
    outs: dict[str, dg.Out] = {}
    for node in graph.nodes.values():
        name = outputs[keys.assets[node.id]]
        specs[name], outs[name] = _node(node, keys, labels, translator)
    check_specs = {
        check_outputs[keys.checks[check.id]]: _check(check, keys, translator)
        for check in graph.checks.values()
    }
    return Translation(keys, specs, outs, check_specs, _inputs(specs))


def part_of(
    translation: Translation,
    assets: Collection[dg.AssetKey],
    checks: Collection[dg.AssetCheckKey] | None = None,
) -> Translation:
    """A part of a graph in Dagster's terms: some of its nodes, with the checks that are shown on
    them; what they read of others is an input.

    Args:
        translation: The whole.
        assets: The keys of the nodes.
        checks: The keys of the checks, where they are others.
    """
    specs = {name: spec for name, spec in translation.specs.items() if spec.key in assets}
    return Translation(
        translation.keys,
        specs,
        {name: translation.outs[name] for name in specs},
        {
            name: check
            for name, check in translation.check_specs.items()
            if (check.asset_key in assets if checks is None else check.key in checks)
        },
        _inputs(specs),
    )


def with_tags(
    translation: Translation, tags: Mapping[dg.AssetKey, Mapping[str, str]]
) -> Translation:
    """The same, with further tags of assets, by their keys."""
    specs = {
        name: spec.replace_attributes(tags={**spec.tags, **tags[spec.key]})
        if spec.key in tags
        else spec
        for name, spec in translation.specs.items()
    }
    return replace(translation, specs=specs)


def _inputs(specs: Mapping[str, dg.AssetSpec]) -> Mapping[str, dg.AssetKey]:
    """What an op reads that makes these assets, by the names of its inputs."""
    read = {dep.asset_key for spec in specs.values() for dep in spec.deps}
    ours = {spec.key: name for name, spec in specs.items() if spec.key in read}
    return {name: key for key, name in input_names(sorted(read - ours.keys()), ours).items()}


def _node(
    node: Node, keys: Keys, labels: Labels, translator: TransformTranslator
) -> tuple[dg.AssetSpec, dg.Out]:
    def said(method: str, *expected: type[Any]) -> Any:
        return ask(translator, method, node, expected)

    key = keys.assets[node.id]
    group = said("get_group_name", str, type(None))
    metadata = dict(said("get_metadata", Mapping))
    asked = {
        "description": said("get_description", str, type(None)),
        "group_name": labels.group(node, group),
        "code_version": said("get_code_version", str, type(None)),
        "owners": said("get_owners", Sequence),
        "tags": labels.tags(node, said("get_tags", Mapping)),
        "kinds": said("get_kinds", Collection),
        "automation_condition": said(
            "get_automation_condition", dg.AutomationCondition, type(None)
        ),
    }
    try:
        lineage = translator.get_column_lineage(node, keys.assets)
        if lineage is not None:
            metadata |= shown_lineage(lineage)
        spec = dg.AssetSpec(
            key=key,
            deps=_others(node.deps, key, keys.assets),
            metadata=metadata,
            skippable=True,
            **asked,
        )
        io_manager = metadata.get(IO_MANAGER_KEY)
        return spec, dg.Out(
            dagster_type=Any if io_manager else dg.Nothing,
            is_required=False,
            description=spec.description,
            code_version=spec.code_version,
            metadata=metadata,
            io_manager_key=io_manager,
        )
    except Exception as error:  # whatever Dagster, or somebody's own code, raises
        raise refused(translator, node, _words(error)) from error


def _check(check: Check, keys: Keys, translator: TransformTranslator) -> dg.AssetCheckSpec:
    key = keys.checks[check.id]
    asked = {
        "description": ask(translator, "get_check_description", check, (str, type(None))),
        "blocking": ask(translator, "get_check_blocking", check, bool),
        "metadata": ask(translator, "get_check_metadata", check, Mapping),
    }
    try:
        return dg.AssetCheckSpec(
            name=key.name,
            asset=key.asset_key,
            additional_deps=_others(check.also, key.asset_key, keys.assets),
            **asked,
        )
    except Exception as error:  # whatever Dagster raises
        raise refused(translator, check, _words(error)) from error


def _others(
    ids: Iterable[InputId], key: dg.AssetKey, keys: Mapping[InputId, dg.AssetKey]
) -> list[dg.AssetKey]:
    """The keys of what is read, each once: two sources on two connections may have one key, and a
    source on another connection that of the node itself."""
    return [each for each in dict.fromkeys(keys[id] for id in ids) if each != key]


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
