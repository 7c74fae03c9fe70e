"""What stands in Dagster for a project that can't be loaded."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from contextlib import suppress

import dagster as dg

from dagster_transform.dagster.translation.asking import ask
from dagster_transform.dagster.translation.inner_names import output_names
from dagster_transform.dagster.translation.translator import TransformTranslator
from dagster_transform.errors import TransformError
from dagster_transform.graph import Node

_log = logging.getLogger("dagster_transform")
_GROUP = "not_loaded"


def known_keys(nodes: Iterable[Node], translator: TransformTranslator) -> list[dg.AssetKey]:
    """The keys of nodes that can't be shown as what they are, where they have one; each once."""
    found: dict[dg.AssetKey, None] = {}
    for node in nodes:
        with suppress(TransformError):
            key = ask(translator, "get_asset_key", node, dg.AssetKey)
            if key.path:
                found[key] = None
    return list(found)


def not_loaded(
    project: str, error: TransformError, keys: Collection[dg.AssetKey]
) -> dg.AssetsDefinition:
    """An asset `<project>/not_loaded`, and one for each key that is known of the project.

    A run that selects everything, or one of the keys, fails with what is wrong and what to do. Jobs
    that name a key load.

    Args:
        project: The project's name.
        error: Why it can't be loaded.
        keys: Those of its nodes, as far as they are known and nothing else has them.
    """
    _log.error("%s", error)
    itself = dg.AssetKey([project, "not_loaded"])
    about = f"**Project {project} could not be loaded.**\n\n```\n{error}\n```"
    names, _ = output_names([itself, *(key for key in keys if key != itself)], [])

    def fail():  # type: ignore[no-untyped-def]  # Dagster reads the annotation
        raise dg.Failure(
            description=f"Project {project} could not be loaded: nothing of it was built. {error}",
            allow_retries=False,
        )

    op = dg.op(
        name=itself.to_python_identifier(),
        out={name: dg.Out(dg.Nothing, is_required=False) for name in names.values()},
    )(fail)
    return dg.AssetsDefinition(
        keys_by_output_name={name: key for key, name in names.items()},
        node_def=op,
        can_subset=True,
        specs=[dg.AssetSpec(key, description=about, group_name=_GROUP) for key in names],
    )
