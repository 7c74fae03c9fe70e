"""SQLMesh reads this file; `sqlmesh -p example_project/sqlmesh_project plan` works without Dagster.

Python and not YAML, because the path of the DuckDB file must be right in whatever directory a
process runs.
"""

import os
from pathlib import Path

from sqlmesh.core.config import (
    Config,
    DuckDBConnectionConfig,
    GatewayConfig,
    LinterConfig,
    ModelDefaultsConfig,
)

# The name of the file is the name of the catalog: keep it `flights.duckdb`.
database = Path(
    os.environ.get("FLIGHTS_DUCKDB") or Path(__file__).resolve().parents[1] / "data/flights.duckdb"
)
database.parent.mkdir(parents=True, exist_ok=True)

config = Config(
    gateways={"local": GatewayConfig(connection=DuckDBConnectionConfig(database=str(database)))},
    default_gateway="local",
    model_defaults=ModelDefaultsConfig(dialect="duckdb", start="2013-01-01", cron="@daily"),
    linter=LinterConfig(
        enabled=True, rules={"ambiguousorinvalidcolumn", "invalidselectstarexpansion"}
    ),
    disable_anonymized_analytics=True,
    # In an image the project's folder can't be written; by default the cache is in there.
    cache_dir=os.environ.get("FLIGHTS_SQLMESH_CACHE"),
)
