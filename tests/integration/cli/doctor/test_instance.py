"""What the doctor finds of Dagster's instance, of definitions, and of claims."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from textwrap import dedent

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test
from dagster._daemon.types import DaemonHeartbeat
from sqlalchemy import create_engine

from dagster_transform.claims import ClaimId, Owner, OwnerKind, RunId, Want, new_claim_id
from dagster_transform.config import load_config
from dagster_transform.dagster.execution.claims_store import open_claims
from dagster_transform.databases.backends import application_name, backend_id, new_name
from dagster_transform.planning import ResourceKey
from tests.support.examined import codes, examined
from tests.support.grouped import FILE, grouped, write_groups
from tests.support.postgres import PostgresDatabase
from tests.support.scheduler import QUEUE, scheduler_of
from tests.support.sqlmesh_projects import Database, Project, utc
from tests.support.transforms import DEFINITIONS, Transform

NOW = utc("2024-03-05 10:30")
MODELS = {"mart.a": "kind FULL\n---\nSELECT 1 AS n"}
MONITORED = "run_monitoring: {enabled: true}\n"


@pytest.fixture
def transform(tmp_path: Path) -> Iterator[Transform]:
    project = Project(tmp_path / "p", Database.in_file(tmp_path / "w.duckdb"), MODELS)
    project.plan_natively(NOW)
    found = Transform(tmp_path, [project])
    found.prepare()
    yield found
    found.close()


def home(transform: Transform, text: str) -> Path:
    (transform.home / "dagster.yaml").write_text(text)
    return transform.home


def found_in(transform: Transform, text: str | None = None) -> set[str]:
    """The codes of what is found, with a home whose dagster.yaml has a text."""
    if text is not None:
        home(transform, text)
    return set(examined(transform.folder, home=transform.home)[1])


def test_an_instance_that_is_well(transform: Transform) -> None:
    home(transform, QUEUE + MONITORED)
    for daemon in transform.instance.get_required_daemon_types():
        beat = DaemonHeartbeat(time.time(), daemon, None, None)
        transform.instance.add_daemon_heartbeat(beat)
    assert codes(transform.folder, home=transform.home) == set()
    found = found_in(transform)
    assert found.isdisjoint(
        {"daemon_not_running", "run_monitoring_off", "run_queue_off", "home_unset"}
    )
    beat = DaemonHeartbeat(time.time() - 9999, "SENSOR", None, None)
    transform.instance.add_daemon_heartbeat(beat)
    told = examined(transform.folder, home=transform.home)[1]
    assert told["daemon_not_running"]["where"] == "SENSOR"
    assert "last heard of at" in told["daemon_not_running"]["what"]


def test_a_home_that_is_not_set_is_no_folder_or_is_temporary(
    transform: Transform, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert "home_unset" in examined(transform.folder)[1]
    missing = transform.folder / "nowhere"
    assert "home_missing" in examined(transform.folder, home=missing)[1]
    assert "home_missing" in examined(transform.folder, home=Path("relative"))[1]
    assert "home_temporary" in found_in(transform)


def test_a_home_that_can_not_be_written(transform: Transform) -> None:
    found = examined(transform.folder, home=Path("/proc"))[1]
    assert found["home_unwritable"]["severity"] == "error"
    assert "home_temporary" not in found


def test_storage_that_can_not_be_used(transform: Transform) -> None:
    # What SQLAlchemy 2.1 makes of a URL without a driver.
    url = "postgresql+psycopg://me:hunter2-secret@127.0.0.1:1/x"
    home(transform, f"storage:\n  postgres:\n    postgres_url: {url}\n")
    code, told = examined(transform.folder, home=transform.home)
    assert code == 2
    assert "postgresql+psycopg2://" in told["postgres_driver"]["remedy"]
    with_driver = url.replace("+psycopg:", "+psycopg2:")
    home(transform, f"storage:\n  postgres:\n    postgres_url: {with_driver}\n")
    told = examined(transform.folder, home=transform.home)[1]
    assert "instance_unusable" in told
    assert "hunter2-secret" not in str(told)
    assert "instance_unusable" in found_in(transform, "no_such_key: 1\n")


def test_monitoring_and_the_queue(transform: Transform) -> None:
    assert {"run_monitoring_off", "run_queue_off"} <= found_in(transform)
    assert "run_queue_off" not in found_in(transform, QUEUE)
    assert "run_monitoring_off" not in found_in(transform, MONITORED)


def test_it_names_the_file_whole_and_says_that_it_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "transform.yaml").write_text("projects: {}\n", encoding="utf-8")
    file = tmp_path / "dagster.yaml"
    environment = {**os.environ, "DAGSTER_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "dagster_transform.cli", "doctor", "--json"]

    def doctor() -> tuple[str, str]:
        done = subprocess.run(
            [*command, "-c", str(tmp_path)],
            env=environment, capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
        (off,) = [f for f in json.loads(done.stdout) if f["code"] == "run_monitoring_off"]
        return off["remedy"], done.stderr

    remedy, stderr = doctor()
    assert remedy.startswith(f"In {file} (it is not there yet: make it): `run_monitoring: ")
    assert "No dagster instance configuration file" not in stderr, "Dagster's own warning"
    file.touch()
    assert doctor()[0].startswith(f"In {file}: `run_monitoring: ")


def test_without_monitoring_the_sensor_helps_where_there_is_one(transform: Transform) -> None:
    home(transform, QUEUE)

    def why() -> str:
        return str(
            examined(transform.folder, home=transform.home)[1]["run_monitoring_off"]["cause"]
        )

    assert "Nobody else notices: the transform's sensor" in why()
    assert "comes with job groups, and here are none" in why()
    (transform.folder / "job_groups.yaml").write_text("job_groups: {}\n", encoding="utf-8")
    assert "The transform's sensor fails those of its own runs" in why()


def test_limits_of_the_queue_that_disagree_with_tags(transform: Transform) -> None:
    transform.configure({"tags": {"heavy": 3}})
    limits = (
        "concurrency:\n  runs:\n    tag_concurrency_limits:\n"
        "      - {{key: {}, value: 'true', limit: {}}}\n"
    )
    key = "dagster_transform/concurrency.heavy"
    assert "queue_limit_disagrees" not in found_in(transform, limits.format(key, 3))
    assert "queue_limit_disagrees" in found_in(transform, limits.format(key, 1))
    assert "queue_limit_disagrees" in found_in(transform, limits.format(f"{key}s", 1))
    assert "queue_limit_disagrees" in found_in(
        transform, "concurrency: {runs: {max_concurrent_runs: 0}}\n"
    )


def test_sensors_that_are_off_and_schedules_that_are_renamed(tmp_path: Path) -> None:
    transform = grouped(tmp_path)
    transform.prepare()
    with scheduler_of(transform, sensors=True) as scheduler:
        start = datetime(2026, 3, 2, 0, 30, tzinfo=timezone.utc)
        scheduler.start(start)
        scheduler.look(start + timedelta(hours=1))
        told = examined(tmp_path, home=transform.home)[1]
        # Those that watch are switched off by the test's scheduler.
        assert told["sensor_not_running"]["what"].startswith("Sensor p_environment_sensor")
        assert "schedule_state_lost" not in told, told["schedule_state_lost"]
        write_groups(transform, FILE.replace("hourly:", "each_hour:"))
        told = examined(tmp_path, home=transform.home)[1]
        assert told["schedule_state_lost"]["what"].endswith("no job group for: hourly_schedule.")
        scheduler.stop_sensors("transform_sensor")
        told = examined(tmp_path, home=transform.home)[1]
    transform.close()
    assert "transform_sensor" in str(told)


def test_the_executor_of_definitions(transform: Transform) -> None:
    module = transform.module.name
    arguments = ("--definitions", str(transform.module))
    assert codes(transform.folder, *arguments) == set()
    for executor in ("None", "dg.multiprocess_executor", "dg.in_process_executor"):
        text = DEFINITIONS.replace("(ROOT)", f"(ROOT, executor={executor})")
        sys.modules.pop(transform.module.stem, None)  # Dagster keeps it
        transform.define(module=text)
        told = examined(transform.folder, *arguments)[1]
        assert "executor_not_ours" in told, (module, executor)
        # People who compose by hand don't call build_transform_definitions.
        assert "Your Definitions take `executor=" in told["executor_not_ours"]["remedy"]
    sys.modules.pop(transform.module.stem, None)
    transform.define(module="import sys; sys.exit(3)")
    assert "definitions_unloadable" in examined(transform.folder, *arguments)[1]


OWN_JOB = """
import dagster as dg
from pathlib import Path
from dagster_transform import build_transform_definitions

job = dg.define_asset_job("daily")
defs = dg.Definitions.merge(
    build_transform_definitions(Path(__file__).parent),
    dg.Definitions(jobs=[job], schedules=[{schedule}]),
)
"""
OWN_SCHEDULE = 'dg.ScheduleDefinition(job=job, cron_schedule="@daily")'
EXECUTORS = """
import dagster as dg
from pathlib import Path
from dagster_transform import build_transform_definitions

@dg.definitions
def defs():
    own = dg.Definitions(executor=dg.in_process_executor)
    return dg.Definitions.merge(build_transform_definitions(Path(__file__).parent), own)
"""


def unloadable(transform: Transform, module: str) -> dict[str, str]:
    """What is said of definitions that Dagster can't load."""
    sys.modules.pop(transform.module.stem, None)
    transform.module.write_text(module)
    told = examined(transform.folder, "--definitions", str(transform.module))[1]
    return told["definitions_unloadable"]


@pytest.mark.parametrize(("schedule", "name"), [(OWN_SCHEDULE, "daily_schedule"), ("", "daily")])
def test_definitions_of_ones_own_with_the_name_of_a_job_group(
    tmp_path: Path, schedule: str, name: str
) -> None:
    transform = grouped(tmp_path)
    transform.prepare()
    try:
        told = unloadable(transform, OWN_JOB.replace("{schedule}", schedule))
        assert "Duplicate definition found" in told["cause"]
        assert f"Job group daily of {tmp_path / 'job_groups.yaml'} makes {name}," in told["remedy"]
        assert "Rename the group" in told["remedy"]
    finally:
        transform.close()


NOT_LOADED = {
    "both have an executor": (EXECUTORS, "executor=None"),
    "unresolved job 'own'": (
        """
        more = [dg.define_asset_job("own", "*") for _ in range(2)]
        defs = dg.Definitions(jobs=more)
        """,
        "are called own: rename one",
    ),
    "Duplicate asset key": (
        """
        @dg.asset(key="k")
        def one(): ...

        @dg.asset(key="k")
        def other(): ...

        defs = dg.Definitions([one, other])
        """,
        "docs/moving",
    ),
    "more than one job found": (
        """
        @dg.job
        def one(): ...

        @dg.job
        def other(): ...
        """,
        "dagster definitions validate",
    ),
    # Dagster says that the job can't be resolved, and why it can't only as a cause of that.
    "'nowhere'": (
        """
        @dg.repository
        def own():
            return [dg.define_asset_job("j", "nowhere")]
        """,
        "dagster definitions validate",
    ),
}


def test_definitions_that_dagster_imports_and_does_not_load(transform: Transform) -> None:
    for cause, (module, remedy) in NOT_LOADED.items():
        told = unloadable(transform, "import dagster as dg\n" + dedent(module))
        assert cause in told["cause"]
        assert remedy in told["remedy"], cause


def test_definitions_beside_transform_yaml_are_found(transform: Transform) -> None:
    (transform.folder / "definitions.py").write_text("1 / 0\n")
    assert "ZeroDivisionError" in examined(transform.folder)[1]["definitions_unloadable"]["cause"]


def claim(transform: Transform, run_id: str, *, lease: float) -> ClaimId:
    store = open_claims(transform.instance, load_config(transform.folder))
    owner = Owner(OwnerKind.RUN, RunId(run_id), RunId(run_id), 0)
    wants = [Want(ResourceKey(f"table:w.{run_id[:4]}"))]
    claim_id = new_claim_id()
    store.acquire(owner, wants, claim_id=claim_id, all_or_nothing=True, lease=lease)
    return claim_id


def test_claims_that_are_in_the_way(transform: Transform) -> None:
    going = create_run_for_test(transform.instance, "a", status=dg.DagsterRunStatus.STARTED)
    ended = create_run_for_test(transform.instance, "a", status=dg.DagsterRunStatus.FAILURE)
    claim(transform, going.run_id, lease=600)
    assert codes(transform.folder, home=transform.home) == set()
    claim(transform, ended.run_id, lease=600)
    claim(transform, "of-another-home", lease=600)
    told = examined(transform.folder, home=transform.home)[1]
    assert told["claim_of_ended_run"]["where"] == ended.run_id
    assert told["another_home"]["where"] == "of-another-home"
    claim(transform, "dead-run", lease=0.05)
    time.sleep(0.2)
    told = examined(transform.folder, home=transform.home)[1]
    assert told["claim_expired"]["where"] == "dead-run"
    assert "claims release --run dead-run" in told["claim_expired"]["remedy"]


def test_a_claims_store_that_can_not_be_used(transform: Transform) -> None:
    transform.configure({"claims_url": "mysql://db/x"})
    assert "claims_unusable" in found_in(transform)


@pytest.mark.postgres
def test_another_home_that_builds_on_the_same_server(
    tmp_path: Path, postgres_database: PostgresDatabase
) -> None:
    project = Project(tmp_path / "p", Database.in_postgres(postgres_database), MODELS)
    project.plan_natively(NOW)
    transform = Transform(tmp_path, [project])
    transform.prepare()
    name = new_name()
    engine = create_engine(
        postgres_database.url, connect_args={"application_name": application_name(name, "theirs")}
    )
    try:
        with engine.connect():
            told = examined(tmp_path, home=transform.home)[1]
            assert name in told["another_home"]["what"]
            (node,) = project.graph.nodes.values()
            going = create_run_for_test(transform.instance, "a", status=dg.DagsterRunStatus.STARTED)
            assert codes(tmp_path, home=transform.home) == set(), "it may be this one's"
            claim_id = claim(transform, going.run_id, lease=600)
            store = open_claims(transform.instance, load_config(tmp_path))
            store.set_backends(claim_id, [backend_id(node.relation.connection, name)])
            transform.instance.report_run_failed(going)
            found = codes(tmp_path, home=transform.home)
            assert found == {"claim_of_ended_run"}, "a claim here knows it"
    finally:
        engine.dispose()
        transform.close()
