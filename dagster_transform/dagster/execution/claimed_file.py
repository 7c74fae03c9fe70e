"""A DuckDB file for a Python asset, shared one after the other with the runs that need it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from dagster_transform.config import TransformConfig, load_config
from dagster_transform.dagster.execution.run_options import TransformResource
from dagster_transform.planning import ResourceKey


@contextmanager
def claimed_file(
    context: Any,
    path: str | Path,
    *,
    config: TransformConfig | str | Path | None = None,
    wait: float = 900.0,
) -> Iterator[Path]:
    """Have a DuckDB file to oneself: one process only can open it.

    For Python assets and ops that write or read the file which dbt or SQLMesh build in:

        @dg.asset(key=["raw", "flights"])
        def flights(context: dg.AssetExecutionContext):
            with claimed_file(context, "data/flights.duckdb") as path, duckdb.connect(path) as db:
                ...

    Other runs, and other assets that do the same, wait until the block ends. Open the file
    inside the block, and close it there.

    Args:
        context: Dagster's context of the asset or op.
        path: The file; relative paths are meant from the working directory.
        config: transform.yaml, for where claims are kept: as `load_config` takes it.
        wait: Seconds to wait, at most.

    Yields:
        The resolved path.

    Raises:
        ClaimTimeoutError: Somebody else had it for longer.
        ClaimsError: The claims store can't be used.
    """
    # Here, because what only a run needs takes as long to import as definitions to load.
    from dagster_transform.dagster.execution.claims import new_claims
    from dagster_transform.walk import SharedResources

    settings = config if isinstance(config, TransformConfig) else load_config(config)
    file = Path(path).resolve()
    options = TransformResource(claim_wait=wait)
    with closing(new_claims(context, settings, options)) as claims:
        claims.take_shared({"": SharedResources(frozenset({ResourceKey.file(str(file))}))})
        yield file
