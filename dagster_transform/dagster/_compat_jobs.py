"""Jobs that are resolved against assets of their own, and not against all of a code location.

Dagster copies every asset of a code location into each asset job that has some of an op's: 20 jobs
over 1,000 assets of one op are 20,000 copies. The job of a job group needs no others than its own.
It has an op for them alone, and what they read is there as an asset that somebody else makes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition


def job_of_its_own(
    job: UnresolvedAssetJobDefinition, assets: Callable[[], dg.AssetsDefinition]
) -> UnresolvedAssetJobDefinition:
    """The same job, with an op of its own.

    Args:
        job: A job that selects assets.
        assets: Makes what it executes: an op with these assets. It is called when Dagster needs the
            job, which the process of another job's run never does.
    """

    class _JobOfItsOwn(UnresolvedAssetJobDefinition):
        def resolve(self, asset_graph: AssetGraph, *args: Any, **kwargs: Any) -> dg.JobDefinition:
            del asset_graph  # of the whole code location
            return super().resolve(AssetGraph.from_assets([assets()]), *args, **kwargs)

    fields = {name: getattr(job, name) for name in job.__annotations__}
    return _JobOfItsOwn(**fields)
