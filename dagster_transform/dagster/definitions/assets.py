"""From a graph to one subsettable multi-asset."""

from __future__ import annotations

from collections.abc import Collection

import dagster as dg

from dagster_transform.config import TransformConfig
from dagster_transform.dagster._compat_circles import let_checks_close_no_circle
from dagster_transform.dagster.execution.transform import Transform
from dagster_transform.dagster.translation.freshness import with_freshness
from dagster_transform.dagster.translation.inner_names import op_name
from dagster_transform.dagster.translation.specs import Translation, translate
from dagster_transform.dagster.translation.translator import TransformTranslator
from dagster_transform.graph import Graph
from dagster_transform.planning import timed, times_of
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
        DuplicateKeyError: Two nodes have one asset key, or two checks one name.
        TranslationError: Dagster does not take what the translator makes of a node or check.
    """
    with kept("definitions"):
        translator = translator or TransformTranslator(config.root)
        graph = timed(graph, times_of(config))
        translation = with_freshness(translate(graph, translator), graph, config)
        transform = Transform(graph, config, translation.keys, translator)
        return multi_asset(name, translation, transform)


def multi_asset(
    name: str,
    translation: Translation,
    transform: Transform,
    not_there: Collection[dg.AssetKey] = (),
) -> dg.AssetsDefinition:
    """The multi-asset of a graph.

    Args:
        name: The op's name.
        translation: The graph in Dagster's terms.
        transform: What the op works with.
        not_there: Keys of projects that can't be loaded. What reads them is blocked by us, so that
            the rest of the op need not wait for what fails.
    """
    let_checks_close_no_circle()

    def transform_op(context):  # type: ignore[no-untyped-def]  # Dagster reads the annotation
        # Here, because what only a run needs takes as long to import as the graph file to read.
        from dagster_transform.dagster.execution.run import run_transform

        if transform.config.keep_event_log_open:
            from dagster_transform.dagster._compat_connections import keep_connections

            keep_connections(context.instance)
        yield from run_transform(context, transform, context.resources.transform)

    read = {each: key for each, key in translation.inputs.items() if key not in not_there}
    checks = dict.fromkeys(translation.check_specs, dg.Out(dagster_type=None, is_required=False))
    op = dg.op(
        name=op_name(name),
        ins=dict.fromkeys(read, dg.In(dg.Nothing)),  # one: Dagster looks into each type at length
        out={**translation.outs, **checks},
        required_resource_keys={"transform"},
    )(transform_op)
    # As `dg.multi_asset(can_subset=True, allow_arbitrary_check_specs=True)` makes it, for checks on
    # sources; but for the names of inputs and outputs, which that makes of keys as they are.
    return dg.AssetsDefinition(
        keys_by_input_name=read,
        keys_by_output_name={output: spec.key for output, spec in translation.specs.items()},
        node_def=op,
        can_subset=True,
        specs=list(translation.specs.values()),
        check_specs_by_output_name=translation.check_specs,
    )
