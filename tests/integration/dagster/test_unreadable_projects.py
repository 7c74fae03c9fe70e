"""A project that can't be read: what is selected of it is red, and nothing is built over it.

Every way of launching a run, and every reason for which a project is not there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._grpc.types import ExecuteRunArgs

from tests.support.dbt_projects import DbtProject
from tests.support.kept_folders import KeptTransform
from tests.support.sqlmesh_projects import Database, Project
from tests.support.stories import Story
from tests.support.transforms import Transform

DAYS = ("2024-03-04", "2024-03-05")
FIRST, SECOND = "2024-03-05T10:30:00+00:00", "2024-03-06T10:30:00+00:00"
DBT = {
    "models/items.sql": """
        {{ config(materialized='table') }} select id, day from {{ source('raw', 'items') }}
    """,
    "models/apart.sql": "{{ config(materialized='table') }} select 1 as one",
    "models/schema.yml": """
        sources: [{name: raw, schema: raw, tables: [{name: items}]}]
    """,
}
SQLMESH = {
    "marts.daily": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column day), start '2024-03-04'
        ---
        SELECT day::DATE AS day, id::INT AS id FROM w.main.items
        WHERE day BETWEEN @start_ds AND @end_ds
    """,
    "marts.own": "kind FULL\n---\nSELECT 1 AS one",
}
MODULE = """
import dagster as dg
from pathlib import Path
from dagster_transform import build_transform_definitions

ROOT = Path(__file__).parent


@dg.asset(key=["report"], deps=[["w", "marts", "daily"]])
def report():
    pass


defs = dg.Definitions.merge(
    build_transform_definitions(ROOT),
    dg.Definitions(
        assets=[report], jobs=[dg.define_asset_job("everything", dg.AssetSelection.all())]
    ),
)
"""


class Shop(Transform):
    """A dbt project `d` below a SQLMesh project `p`, on one DuckDB file; 12 rows come a day."""

    def __init__(self, folder: Path) -> None:
        self.database = Database.in_file(folder / "w.duckdb")
        self.database.execute("CREATE SCHEMA raw", "CREATE TABLE raw.items (id INT, day DATE)")
        self.dbt = DbtProject(folder / "d", self.database, DBT)
        project = Project(folder / "p", self.database, SQLMESH)
        dbt = {"framework": "dbt", "path": "d", "profiles_dir": "d"}
        super().__init__(folder, [project], module=MODULE, further={"d": dbt}, plan="auto")

    def rows_come(self, day: str) -> None:
        self.database.execute(f"INSERT INTO raw.items SELECT i, DATE '{day}' FROM range(12) t(i)")

    def worker(self, run: dg.DagsterRun) -> Story:
        """Execute a run in a process of its own, as the launcher's run worker does."""
        assert run.job_code_origin is not None
        arguments = ExecuteRunArgs(run.job_code_origin, run.run_id, self.instance.get_ref())
        packed = dg.serialize_value(arguments)
        self.command("dagster", "api", "execute_run", packed, PYTHONPATH=self.path)
        return self.story(run.run_id)

    def command_that_fails(self, *arguments: str) -> Story:
        """What the run of a `dagster` command stored, which ends with an error."""
        options = {"resources": {"transform": {"config": {"execution_time": SECOND}}}}
        (self.folder / "run.yaml").write_text(yaml.safe_dump(options), encoding="utf-8")
        done = self.command(
            "dagster", *arguments, "-f", self.module.name, "-a", "defs", "-c", "run.yaml",
            PYTHONPATH=self.path,
        )  # fmt: skip
        assert done.returncode != 0, done.stderr[-2000:]
        return self.stories()[-1]

    @property
    def path(self) -> str:
        """PYTHONPATH of commands: what hides dbt comes first."""
        return os.pathsep.join([str(self.folder / "hides"), os.environ.get("PYTHONPATH", "")])

    def rows_by_day(self) -> dict[str, int]:
        found = self.database.rows("SELECT day, COUNT(*) FROM marts.daily GROUP BY day")
        return {str(day): n for day, n in found}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> KeptTransform[Shop]:
    """The first day is built, and the second one's rows have come."""
    transform = Shop(tmp_path_factory.mktemp("shop"))
    transform.prepare()
    transform.rows_come(DAYS[0])
    assert transform.run(execution_time=FIRST).success
    transform.rows_come(DAYS[1])
    return KeptTransform(transform)


@pytest.fixture
def shop(built: KeptTransform[Shop]) -> Iterator[Shop]:
    transform = built.restore()
    yield transform
    transform.close()


def missing(shop: Shop) -> None:
    shop.graph_path("d").unlink()


def damaged(shop: Shop) -> None:
    shop.graph_path("d").write_bytes(shop.graph_path("d").read_bytes()[:500])


def of_another_version(shop: Shop) -> None:
    text = shop.graph_path("d").read_text(encoding="utf-8")
    other = re.sub(r'"format": ?\d+', '"format": 1', text, count=1)
    assert other != text
    shop.graph_path("d").write_text(other, encoding="utf-8")


def stale(shop: Shop) -> None:
    shop.dbt.write({"models/apart.sql": DBT["models/apart.sql"] + " -- edited"})


def not_installed(shop: Shop) -> None:
    """A package of dbt's name stands before dbt, as where dbt is not installed."""
    (shop.folder / "hides" / "dbt").mkdir(parents=True)
    (shop.folder / "hides" / "dbt" / "__init__.py").write_text("")


def run_worker(shop: Shop) -> Story:
    with shop._workspace() as context:
        run = shop._create(context, None, None, None, {"execution_time": SECOND})
    return shop.worker(run)


def command_line(shop: Shop) -> Story:
    return shop.command_that_fails("asset", "materialize", "--select", "*")


def job_of_everything(shop: Shop) -> Story:
    return shop.command_that_fails("job", "execute", "-j", "everything")


WAYS = [run_worker, command_line, job_of_everything]
REASONS = [missing, damaged, of_another_version, stale, not_installed]


def cases() -> Iterator[object]:
    for way in WAYS:
        for reason in REASONS:
            quick = (way, reason) in ((run_worker, missing), (command_line, stale))
            name = f"{way.__name__}-{reason.__name__}"
            yield pytest.param(way, reason, id=name, marks=[] if quick else [pytest.mark.long])


@pytest.mark.parametrize(("way", "reason"), list(cases()))
def test_a_run_of_everything_is_red_and_no_row_is_lost(
    shop: Shop, way: Callable[[Shop], Story], reason: Callable[[Shop], None]
) -> None:
    reason(shop)
    run = way(shop)
    assert run.status is dg.DagsterRunStatus.FAILURE
    assert "prepare" in run.text or "pip install" in run.text
    assert "daily" not in run.materialized
    assert "report" not in run.materialized
    assert shop.rows_by_day() == {DAYS[0]: 12}, "it was built over items that were not"
    assert "own" in run.materialized, "the rest goes on"
    # Once the project can be read again, everything is as if nothing had happened.
    (shop.folder / "hides").rename(shop.folder / "away") if reason is not_installed else None
    shop.dbt.write(DBT)
    shop.prepare()
    shop.load_anew()
    again = shop.run(execution_time=SECOND)
    assert again.success, again.text[-3000:]
    assert shop.rows_by_day() == dict.fromkeys(DAYS, 12)


@pytest.mark.parametrize("reason", [missing, damaged, stale])
def test_a_code_server_from_before_the_edit(shop: Shop, reason: Callable[[Shop], None]) -> None:
    with shop._workspace() as context:
        run = shop._create(context, None, None, None, {"execution_time": SECOND})
        reason(shop)
    story = shop.worker(run)
    assert story.status is dg.DagsterRunStatus.FAILURE
    assert shop.rows_by_day() == {DAYS[0]: 12}


def test_a_stale_project_keeps_its_assets_and_what_reads_them_is_blocked(shop: Shop) -> None:
    stale(shop)
    with shop._workspace() as context:
        chosen = shop._create(
            context, ["marts.daily", "marts.own"], None, None, {"execution_time": SECOND}
        )
    run = shop.worker(chosen)
    assert not run.success
    assert run.observed["daily"] == ["blocked"]
    reason = run.reason("daily")
    assert "items, which project d builds" in reason
    assert "dagster-transform prepare --project d" in reason
    assert run.materialized == ["own"]
    keys = {key.to_user_string() for key in shop.repository().asset_graph.get_all_asset_keys()}
    assert {"items", "apart", "w/marts/daily", "d/not_loaded"} <= keys


def test_materialising_what_is_not_loaded_fails_with_the_remedy(shop: Shop) -> None:
    damaged(shop)
    with shop._workspace() as context:
        run = shop.worker(shop._create(context, ["d/not_loaded"], None, None, {}))
    assert not run.success
    assert "dagster-transform prepare --project d" in run.text


def test_a_project_that_reads_nothing_of_the_other_is_not_touched(shop: Shop) -> None:
    missing(shop)
    with shop._workspace() as context:
        chosen = shop._create(context, ["marts.own"], None, None, {"execution_time": SECOND})
    run = shop.worker(chosen)
    assert run.success, run.text[-2000:]


@pytest.mark.parametrize("reason", [of_another_version, stale])
def test_a_job_that_names_keys_of_it_is_there_and_red(
    shop: Shop, reason: Callable[[Shop], None]
) -> None:
    one = 'jobs=[dg.define_asset_job("one", dg.AssetSelection.keys("items", "report")), '
    shop.define(module=MODULE.replace("jobs=[", one))
    reason(shop)
    run = shop.command_that_fails("job", "execute", "-j", "one")
    assert run.status is dg.DagsterRunStatus.FAILURE
    assert "dagster-transform prepare --project d" in run.text
    assert "items" not in run.materialized
