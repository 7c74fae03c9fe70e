"""`dagster-transform claims`: on the store that runs use, against runs that claim."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from click.testing import CliRunner, Result

from dagster_transform.claims import Owner, OwnerKind, Store, Want, new_claim_id
from dagster_transform.cli.main import main
from dagster_transform.cli.prepare import prepare_project
from dagster_transform.config import load_config
from dagster_transform.dagster.execution.claims_store import open_claims
from dagster_transform.databases.backends import backend_id, new_name
from dagster_transform.databases.identity import server_identity
from dagster_transform.planning import ResourceKey
from tests.support.dbt_projects import DbtProject
from tests.support.dbt_runs import sessions
from tests.support.server_backends import backend, identity_of
from tests.support.sqlmesh_projects import Database, Project, utc
from tests.support.transforms import Transform

if TYPE_CHECKING:
    from tests.support.postgres import PostgresDatabase

FIRST, NEXT = utc("2024-03-05 10:30"), "2024-03-06T10:30:00+00:00"
MODELS = {
    "mart.a": "kind FULL\n---\nSELECT 1 AS n",
    "mart.b": "kind FULL\n---\nSELECT n FROM mart.a",
    "mart.c": "kind FULL\n---\nSELECT 1 AS n",
}
TICK = {"dagster/schedule_name": "s"}


@pytest.fixture(scope="module")
def transform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Transform]:
    folder = tmp_path_factory.mktemp("claims")
    project = Project(folder / "p", Database.in_file(folder / "w.duckdb"), MODELS)
    project.plan_natively(FIRST)
    transform = Transform(folder, [project], settings={"tags": {"heavy": 3}})
    transform.prepare()
    yield transform
    transform.close()


@pytest.fixture
def store(transform: Transform) -> Iterator[Store]:
    store = open_claims(transform.instance, load_config(transform.folder))
    yield store
    for holder in store.holders():
        store.resume(holder.resource_key)
        store.release_run(holder.run_id)


@pytest.fixture
def claims(transform: Transform, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("DAGSTER_HOME", str(transform.home))
    monkeypatch.setenv("DAGSTER_TRANSFORM_CONFIG", str(transform.folder))

    def command(*arguments: str, answer: str | None = None) -> Result:
        return CliRunner().invoke(main, ["claims", *arguments], input=answer)

    return command


def hold(store: Store, run_id: str, *keys: str) -> str:
    """Returns the claim's id."""
    claim = new_claim_id()
    owner = Owner(OwnerKind.RUN, run_id, run_id, 0, "nightly")
    wants = [Want(ResourceKey.parse(key)) for key in keys]
    assert not store.acquire(owner, wants, claim_id=claim, all_or_nothing=True).refused
    return claim


def test_what_is_held_is_listed(store: Store, claims: Any) -> None:
    assert claims("list").output == "Nothing is claimed.\n"
    hold(store, "1a2b", "file:/data/x")
    hold(store, "3c4d", "file:/data/y")
    shown = claims("list").output
    assert "file:/data/x" in shown
    assert "run 1a2b" in shown
    assert "nightly" in shown
    (found,) = json.loads(claims("list", "--run", "1a2b", "--json").output)
    assert (found["resource_key"], found["owner_kind"]) == ("file:/data/x", "run")
    assert found["since"].endswith("+00:00")
    assert found["expires_at"] > found["since"]


def test_a_paused_node_is_left_out_and_what_reads_it_waits(
    transform: Transform, store: Store, claims: Any
) -> None:
    done = claims("pause", "mart.a", "--reason", "bad source", "--until", "2999-01-01")
    assert done.exit_code == 0, done.output
    run = transform.run(["mart.a", "mart.b", "mart.c"], tags=TICK, execution_time=NEXT)
    assert run.success
    assert run.observed == {"a": ["claimed"], "b": ["waiting"]}
    assert run.materialized == ["c"]
    reason = run.reason("a")
    assert "has paused it since" in reason
    assert "until 2999-01-01 00:00 UTC (bad source): table:" in reason
    assert claims("resume", "p:mart.a").exit_code == 0
    again = claims("resume", "mart.a")
    assert (again.exit_code, "is not paused" in again.output) == (1, True)
    run = transform.run(["mart.a"], tags=TICK, execution_time=NEXT)
    assert run.materialized == ["a"]


def test_a_run_that_waits_in_vain_fails(transform: Transform, claims: Any) -> None:
    """As a person's does, who wanted it built; other nodes are built all the same."""
    assert claims("pause", "mart.a", "--reason", "bad source").exit_code == 0
    run = transform.run(["mart.a", "mart.b", "mart.c"], execution_time=NEXT, claim_wait=0)
    assert run.observed == {"a": ["claimed"], "b": ["waiting"]}
    assert run.materialized == ["c"]
    assert not run.success
    assert "has paused it since" in run.failure
    assert claims("resume", "mart.a").exit_code == 0
    run = transform.run(["mart.a", "mart.b"], execution_time=NEXT, claim_wait=0)
    assert (run.success, run.materialized) == (True, ["a", "b"])


def test_a_paused_environment_makes_a_run_wait_and_then_fail(
    transform: Transform, store: Store, claims: Any
) -> None:
    assert claims("pause", "p", "--reason", "migration").exit_code == 0
    run = transform.run(["mart.c"], execution_time=NEXT, claim_wait=0)
    assert not run.success
    assert run.materialized == []
    assert "environment:" in run.failure
    assert "(migration)" in run.failure
    assert claims("resume", "p").exit_code == 0
    assert transform.run(["mart.c"], execution_time=NEXT, claim_wait=0).success


def test_what_can_be_paused(claims: Any) -> None:
    assert claims("pause", "tag:heavy", "--reason", "r").exit_code == 0
    assert claims("resume", "tag:heavy").exit_code == 0
    for what, words in {
        "tag:unknown": "no concurrency tag of transform.yaml: heavy",
        "mart.aa": "Did you mean mart.a",
        "nothing": "no node or project",
    }.items():
        done = claims("pause", what, "--reason", "r")
        assert (done.exit_code, words in done.output) == (1, True), done.output
    for until, words in {
        "soon": "no duration and no ISO 8601 time",
        "2001-01-01": "is over",
    }.items():
        done = claims("pause", "tag:heavy", "--reason", "r", "--until", until)
        assert (done.exit_code, words in done.output) == (2, True), done.output


def test_a_run_that_is_alive_keeps_what_it_holds(
    transform: Transform, store: Store, claims: Any
) -> None:
    run = transform.instance.create_run_for_job(
        job_def=transform.repository().get_job("__ASSET_JOB"), status=dg.DagsterRunStatus.STARTED
    )
    hold(store, run.run_id, "file:/data/x")
    refused = claims("release", "--run", run.run_id, "--yes")
    assert refused.exit_code == 1
    assert "is STARTED: terminate it first" in refused.output
    assert store.holders(run_id=run.run_id)
    assert claims("release", "--run", run.run_id, "--force", answer="n\n").exit_code == 1
    assert store.holders(run_id=run.run_id)
    done = claims("release", "--run", run.run_id, "--force", answer="y\n")
    assert "Released file:/data/x" in done.output
    assert not store.holders()
    assert "holds nothing" in claims("release", "--run", run.run_id).output


@pytest.mark.postgres
def test_the_backends_of_a_run_end_before_what_it_holds_is_released(
    tmp_path: Path,
    claims: Any,
    monkeypatch: pytest.MonkeyPatch,
    postgres: PostgresDatabase,
    postgres_database: PostgresDatabase,
) -> None:
    """SQLMesh reaches one database, dbt another, and nobody the third."""
    mesh = Project(tmp_path / "p", Database.in_postgres(postgres_database), {})
    model = {"models/a.sql": "select 1 as n"}
    DbtProject(tmp_path / "d", Database.in_postgres(postgres), model)
    further = {"d": {"framework": "dbt", "path": "d", "profiles_dir": "d"}}
    transform = Transform(tmp_path, [mesh], further=further)
    prepare_project(config := load_config(tmp_path), "d")
    monkeypatch.setenv("DAGSTER_HOME", str(transform.home))
    monkeypatch.setenv("DAGSTER_TRANSFORM_CONFIG", str(tmp_path))
    store = open_claims(transform.instance, config)
    elsewhere = server_identity("postgres", "elsewhere", None, "db")
    places = [identity_of(postgres_database), identity_of(postgres), elsewhere]
    names = [new_name() for _ in places]
    ids = [backend_id(place, name) for place, name in zip(places, names, strict=True)]
    with ExitStack() as stack:
        for where, name in zip((postgres_database, postgres), names, strict=False):
            stack.enter_context(closing(backend(where, name)))
        there = lambda: sorted(sessions(postgres) + sessions(postgres_database))  # noqa: E731
        claim = hold(store, "1a2b", "table:x", "table:y")
        store.set_backends(claim, ids, ["table:x"])
        assert claims("release", "--run", "1a2b", answer="n\n").exit_code == 1
        assert there() == sorted(names[:2])
        refused = claims("release", "--run", "1a2b", "--yes")
        assert refused.exit_code == 1
        assert there() == []
        ended, why = refused.output.split("Error: Nothing was released")
        assert all(name in ended for name in names[:2])
        assert f"{names[2]} on postgres:elsewhere/db" in why
        assert "No project of transform.yaml reaches" in why
        assert "pg_terminate_backend" in why
        assert [name for name in names if name in why] == names[2:]
        assert len(store.holders(run_id="1a2b")) == 2
        store.set_backends(claim, ids[:2], ["table:x"])
        (found,) = json.loads(claims("list", "--json").output)[:1]
        assert found["backends"] == found["sessions"] == sorted(ids[:2])
        done = claims("release", "--run", "1a2b", "--yes")
        assert "Released table:x, table:y" in done.output
        hold(store, "3c4d", "table:x")
        claim = hold(store, "3c4d", "table:y")
        store.set_backends(claim, ids[2:])
        forced = claims("release", "--run", "3c4d", "--yes", "--force")
        assert forced.exit_code == 0
        assert "Not ended" in forced.output
        assert store.holders() == []
    assert not list((tmp_path / ".dagster_transform" / "d").glob("runs/*"))
    store.close()
    transform.close()


def test_what_a_run_still_holds_that_has_ended_is_taken_at_once(
    transform: Transform, store: Store
) -> None:
    """Its process was killed, Dagster's monitoring has noticed, and the lease goes on."""
    job = transform.repository().get_job("__ASSET_JOB")
    dead = transform.instance.create_run_for_job(job_def=job, status=dg.DagsterRunStatus.FAILURE)
    hold(store, dead.run_id, f"file:{transform.folder / 'w.duckdb'}")
    run = transform.run(["mart.c"], execution_time=NEXT, claim_wait=0)
    assert run.success
    assert any(f"Run {dead.run_id} has ended without releasing" in line for line in run.log)


def test_without_a_home_it_says_where_claims_are_looked_for(
    transform: Transform, claims: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_HOME")
    done = claims("list")
    assert done.exit_code == 1
    assert "Set DAGSTER_HOME" in done.output
    monkeypatch.setenv("DAGSTER_TRANSFORM_CLAIMS_URL", f"sqlite:///{transform.folder / 'c.db'}")
    assert claims("list").output == "Nothing is claimed.\n"
    monkeypatch.setenv("DAGSTER_TRANSFORM_CLAIMS_URL", "postgresql://me:secret@127.0.0.1:1/db")
    done = claims("list")
    assert done.exit_code == 1
    assert "me:***@127.0.0.1:1/db" in done.output
    assert "secret" not in done.output
