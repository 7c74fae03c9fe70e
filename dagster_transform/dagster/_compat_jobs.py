"""Jobs that are resolved against assets of their own, and not against all of a code location.

Dagster copies every asset of a code location into each asset job that has some of an op's: 20 jobs
over 1,000 assets of one op are 20,000 copies. The job of a job group needs no others than its own,
and what goes along with these. It has an op for them alone, and what they read is there as an asset
that somebody else makes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeAlias

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

LocationAssets: TypeAlias = AssetGraph
"""All assets of a code location, and what depends on what."""


def whole(assets: LocationAssets, keys: Collection[dg.AssetKey]) -> set[dg.AssetKey]:
    """Assets, with those that are materialised only together with them."""
    return {each for key in keys for each in assets.get(key).execution_set_asset_keys}


def checks_of(assets: LocationAssets, keys: Collection[dg.AssetKey]) -> list[dg.AssetCheckKey]:
    """The checks of assets, in a fixed order."""
    wanted = set(keys)
    return sorted(key for key in assets.asset_check_keys if key.asset_key in wanted)


def job_of_its_own(
    job: UnresolvedAssetJobDefinition,
    assets: Callable[[], dg.AssetsDefinition] | None,
    along: Callable[[LocationAssets], Collection[dg.AssetKey]] = lambda _assets: (),
) -> UnresolvedAssetJobDefinition:
    """The same job, with an op of its own, and with other assets of the code location.

    Args:
        job: A job that selects assets.
        assets: Makes what it executes: an op with these assets. It is called when Dagster needs the
            job, which the process of another job's run never does. None: the code location's.
        along: Which others it selects, with their checks: what these are is known only once the
            code location is there as a whole.
    """
    fields = {name: getattr(job, name) for name in job.__annotations__}

    class _JobOfItsOwn(UnresolvedAssetJobDefinition):
        def resolve(self, asset_graph: AssetGraph, *args: Any, **kwargs: Any) -> dg.JobDefinition:
            others = whole(asset_graph, along(asset_graph))
            selection = job.selection
            if others:
                selection |= dg.AssetSelection.assets(*sorted(others))
            if assets is not None:
                found = asset_graph.assets_defs_for_keys(
                    [*sorted(others), *checks_of(asset_graph, others)]
                )
                asset_graph = AssetGraph.from_assets([assets(), *found])
            widened = UnresolvedAssetJobDefinition(**{**fields, "selection": selection})
            return widened.resolve(asset_graph, *args, **kwargs)

    return _JobOfItsOwn(**fields)
