"""The environment sensor of a SQLMesh project: what it tells of what is done outside of Dagster."""

from __future__ import annotations

import json
import os
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import dagster as dg
import duckdb
import pytest
from dagster._core.scheduler.instigation import InstigatorTick, TickStatus
from dagster._core.test_utils import create_run_for_test

from dagster_transform.claims import WHOLE, Owner, OwnerKind, RunId, Want, new_claim_id
from dagster_transform.config import load_config
from dagster_transform.dagster.execution.claims_store import open_claims
from dagster_transform.graph import read_graph_file
from dagster_transform.planning import ResourceKey
from tests.support.postgres import PostgresDatabase
from tests.support.scheduler import Scheduler, scheduler_of
from tests.support.sqlmesh_projects import Database
from tests.support.transforms import LOCATION, Transform
from tests.support.watching import ADDED, TODAY, Watch, days_ago, metadata, shell, told, watched

NOTHING = ["Nothing has changed since it looked last."]


@pytest.fixture(params=["duckdb", pytest.param("postgres", marks=pytest.mark.long)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    if request.param == "postgres":
        return Database.in_postgres(request.getfixturevalue("postgres_database"))
    return Database.in_file(tmp_path / "w.duckdb")


def counts(transform: Transform, *names: str) -> list[int]:
    return [len(told(transform, transform.key(name).path)) for name in names]


def test_what_a_shell_builds_is_told_once(tmp_path: Path, database: Database) -> None:
    transform = watched(tmp_path, database)
    watch = Watch(transform)
    assert watch.look() == ["Told Dagster 2 materialisations from outside of it."]
    with database.cursor():  # a DuckDB file that can't be read is not read, where nothing is new
        assert [watch.look(), watch.look()] == [NOTHING, NOTHING]
    began, ended = shell(transform.projects[0], "run")
    watch.look()
    assert watch.look() == NOTHING
    assert Watch(transform).look() == NOTHING  # after a restart that has lost the cursor
    assert counts(transform, "mart.days", "mart.last") == [2, 2]
    entry = told(transform, transform.key("mart.days").path)[-1]
    said = metadata(entry)
    assert entry.run_id == ""
    assert said["outcome"] == "synced"
    assert said["reason"] == "built by SQLMesh, and told by no run of this Dagster"
    assert began <= said["built_at"] <= ended
    assert said["data_until"] == TODAY.timestamp()
    assert watch.cursor is not None
    assert len(watch.cursor) < 30


class Webserver(BaseHTTPRequestHandler):
    """Answers as Dagster's does to the mutation that reloads a code location."""

    asked: ClassVar[list[tuple[str, str | None, dict[str, Any]]]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, self.headers["Authorization"], body["variables"]))
        answer = {"data": {"reloadRepositoryLocation": {"__typename": "WorkspaceLocationEntry"}}}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def webserver() -> Iterator[str]:
    Webserver.asked.clear()
    with HTTPServer(("127.0.0.1", 0), Webserver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://ann:secret@127.0.0.1:{server.server_port}/dagster/"
        server.shutdown()


def test_a_new_plan_is_followed_by_a_graph_file_and_a_reload(tmp_path: Path) -> None:
    with webserver() as url:
        database = Database.in_file(tmp_path / "w.duckdb")
        transform = watched(tmp_path, database, webserver=url)
        (tmp_path / "job_groups.yaml").write_text(
            'job_groups: {daily: {cron: "@daily", nodes: [w/gone, w/mart/days]}}', encoding="utf-8"
        )
        project = transform.projects[0]
        watch = Watch(transform)
        watch.look()
        project.model("mart.added", ADDED)
        shell(project, "plan", "--auto-apply", "--no-prompts")
        project.model("mart.later", ADDED)  # after the plan: the files are ahead of it
        said = "\n".join(watch.look_until_written())
        assert "was written anew" in said
        assert "1 new (w/mart/later)" in said
        assert "there is no node 'w/gone'" in said
        assert "secret" not in said
        names = {n.name for n in read_graph_file(transform.graph_path(), "p").graph.nodes.values()}
        assert "mart.added" in names
        ((path, authorization, variables),) = Webserver.asked
        assert (path, variables) == ("/dagster/graphql", {"location": LOCATION})
        assert authorization == "Basic YW5uOnNlY3JldA=="
        said = [watch.look()[0] for _ in range(5)]  # nothing reloads this process
        assert "restart it" in said[2]
        assert said[3:] == ["It waits for a restart of this code server, as told before."] * 2
        assert len(Webserver.asked) == 3
        again = Watch(transform, watch.cursor)  # it is reloaded
        assert again.look()[0] == "Told Dagster 1 materialisation from outside of it."
        assert again.look() == NOTHING
        assert len(Webserver.asked) == 3
        assert counts(transform, "mart.added", "mart.days") == [1, 1]


@pytest.mark.long
def test_what_to_do_is_said_where_it_is_not_done(tmp_path: Path) -> None:
    transform = watched(tmp_path, Database.in_file(tmp_path / "w.duckdb"))
    project = transform.projects[0]
    before = transform.graph_path().read_bytes()
    transform.configure(watch={"prepare": False})
    project.model("mart.added", ADDED)
    project.plan_natively(days_ago(3))
    (said, *_) = Watch(transform).look()
    assert "run `dagster-transform prepare --project p`" in said
    assert transform.graph_path().read_bytes() == before
    transform.configure()
    project.write({"models/broken.sql": "MODEL (name mart.broken);\n\nSELECT FROM"})
    watch = Watch(transform)
    said = "\n".join(watch.look_until_written())
    assert "could not be written: " in said
    assert "broken" in said
    assert any(
        "could not be written here for that plan" in line for line in watch.look()
    )  # once a plan
    assert transform.graph_path().read_bytes() == before
    os.utime(transform.graph_path())  # somebody has written it
    (said, *_) = watch.look()
    assert f"reload code location {LOCATION} in the UI" in said
    assert "set `webserver` in transform.yaml or DAGSTER_WEBSERVER_URL" in said
    again = [watch.look()[0] for _ in range(2)]
    assert set(again) == {f"It waits for a reload of code location {LOCATION}, as told before."}
    os.utime(transform.graph_path(), (3e9, 3e9))  # and once more: another graph file
    assert "set `webserver`" in watch.look()[0]
    (project.folder / "models" / "broken.sql").unlink()
    transform.configure({"artifacts": "elsewhere"})
    os.utime(transform.graph_path(), (4e9, 4e9))  # the newer one is read, and it is not written
    watch = Watch(transform)
    assert "was written anew" in "\n".join(watch.look_until_written())
    assert "for that plan" in "\n".join(watch.look())


def test_what_others_have_is_left_to_them(tmp_path: Path) -> None:
    transform = watched(tmp_path, Database.in_file(tmp_path / "w.duckdb"))
    watch, instance = Watch(transform), transform.instance
    store = open_claims(instance, load_config(tmp_path))
    file = os.path.realpath(tmp_path / "w.duckdb")
    for want in (
        Want(ResourceKey.environment(f"duckdb:{file}/sqlmesh", "prod"), WHOLE, WHOLE),
        Want(ResourceKey.file(file)),
        Want(ResourceKey.tag(f"{LOCATION}/p_environment_sensor")),  # another daemon's
    ):
        claim_id = new_claim_id()
        owner = Owner(OwnerKind.RUN, RunId("other"), RunId("other"), 0)
        assert store.acquire(owner, [want], claim_id=claim_id, all_or_nothing=True).granted
        (said,) = watch.look()
        assert "waits for" in said
        assert "run other has claimed" in said
        store.release(claim_id)
    with duckdb.connect(file):
        (said,) = watch.look()
        assert said == "Another process has the DuckDB file of project p open."
    assert counts(transform, "mart.days") == [0]
    # A run that plans, or that says nothing of what it selects, has the environment.
    run = create_run_for_test(
        instance, run_id=str(uuid.uuid4()), status=dg.DagsterRunStatus.STARTED
    )
    claim_id = new_claim_id()
    owner = Owner(OwnerKind.RUN, RunId(run.run_id), RunId(run.run_id), 0)
    shared = Want(ResourceKey.environment(f"duckdb:{file}/sqlmesh", "prod"), 1, WHOLE)
    store.acquire(owner, [shared], claim_id=claim_id, all_or_nothing=True)
    assert watch.look() == ["Left to the runs that have their nodes now: 2."]
    store.release(claim_id)
    run = create_run_for_test(
        instance,
        run_id=str(uuid.uuid4()),
        status=dg.DagsterRunStatus.STARTED,
        asset_selection=frozenset({transform.key("mart.days")}),
    )
    assert "Left to the runs that have their nodes now: 1." in watch.look()
    assert counts(transform, "mart.days", "mart.last") == [0, 1]
    instance.report_run_canceled(run)
    watch.look()
    assert counts(transform, "mart.days", "mart.last") == [1, 1]
    assert store.holders() == []


def test_two_daemons_tell_it_once(tmp_path: Path, postgres_database: PostgresDatabase) -> None:
    database = Database.in_postgres(postgres_database)
    database.connection["role"] = database.connection["user"]  # each look reads the state
    transform = watched(tmp_path, database)
    watches = [Watch(transform) for _ in range(2)]
    both = [threading.Thread(target=watch.look) for watch in watches]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    for watch in watches:
        watch.look()
        assert watch.look() == NOTHING
    assert counts(transform, "mart.days", "mart.last") == [1, 1]


@pytest.mark.long
def test_an_environment_that_was_never_planned(tmp_path: Path) -> None:
    transform = watched(tmp_path, Database.in_file(tmp_path / "w.duckdb"))
    transform.projects[0].config = transform.projects[0].config.model_copy(
        update={"environment": "dev"}
    )
    transform.configure()
    transform.prepare()
    watch = Watch(transform)
    assert watch.look() == ["Environment dev of project p was never planned."]
    transform.projects[0].model("mart.last", "kind FULL, cron '@daily'\n---\nSELECT 2 AS ds")
    transform.projects[0].plan_natively(days_ago(3), "dev", include_unmodified=True)
    watch.look()
    again = Watch(transform)
    again.look()
    assert again.look() == NOTHING
    # Of mart.days its readers see production's table.
    assert counts(transform, "mart.last", "mart.days") == [1, 1]


def test_over_dagsters_own_daemon(tmp_path: Path) -> None:
    transform = watched(tmp_path, Database.in_file(tmp_path / "w.duckdb"))

    def look(scheduler: Scheduler) -> str:
        scheduler.sense(datetime.now(timezone.utc) + timedelta(seconds=61 * len(looked)))
        looked.append(scheduler.sensor_ticks("p_environment_sensor")[-1])
        assert looked[-1].status is TickStatus.SKIPPED, looked[-1].error
        return str(looked[-1].skip_reason)

    looked: list[InstigatorTick] = []
    with scheduler_of(transform, sensors=True, watching=True) as scheduler:
        said = scheduler.look_at_sensor("p_environment_sensor")  # as the UI's button does
        assert said.startswith("This is a preview, which does nothing")
        assert counts(transform, "mart.days", "mart.last") == [0, 0]
        assert "2 materialisations" in look(scheduler)
        assert counts(transform, "mart.days", "mart.last") == [1, 1]
        assert transform.run().success  # what our own runs build is not told again
        assert look(scheduler) == NOTHING[0]
        assert counts(transform, "mart.days", "mart.last") == [2, 2]
    transform.close()
