"""What users see, as golden files: the refactoring of the insides must leave all of it as it is.

The files are tests/golden/public/*.json. Where a change is wanted, write them anew and look at the
diff:

    UPDATE_GOLDEN=1 .venv/bin/python -m pytest tests/integration/test_public_surface.py
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner

import dagster_transform
from dagster_transform import TransformConfig, TransformTranslator, build_transform_definitions
from tests.support.dbt_projects import DbtProject
from tests.support.public_surface import (
    OURS,
    Golden,
    assets,
    command_line,
    commands,
    config_fields,
    jobs,
    keys_of,
    methods,
    run_of,
    signature,
    without_descriptions,
)
from tests.support.sqlmesh_projects import Database, Project
from tests.support.stories import Story
from tests.support.transforms import Transform, python_asset

FIRST = "2024-03-05T10:30:00+00:00"
SAME_DAY = "2024-03-05T11:30:00+00:00"
NEXT_DAY = "2024-03-06T10:30:00+00:00"
LATER_DAY = "2024-03-07T10:30:00+00:00"
TICK = {"dagster/schedule_name": "nightly"}

SQLMESH = {
    "mart.a": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds),
        owner ada,
        tags (heavy, daily),
        audits (not_null(columns := (id)), small(blocking := false))
        ---
        SELECT id, ds FROM src.raw WHERE ds BETWEEN @start_ds AND @end_ds
    """,
    "mart.b": """
        kind INCREMENTAL_BY_TIME_RANGE (time_column ds),
        description 'Rows by day'
        ---
        SELECT ds, COUNT(*) AS n FROM mart.a WHERE ds BETWEEN @start_ds AND @end_ds GROUP BY ds
    """,
    "mart.c": "kind VIEW\n---\nSELECT SUM(n) AS n FROM mart.b",
    "mart.levels": "kind SEED (path '../seeds/levels.csv')\n---\n",
    "mart.words": "kind FULL\n---\nSELECT SUM(CAST(word AS INT)) AS n FROM src.words",
    "mart.on_words": "kind FULL,\naudits (number_of_rows(threshold := 0))\n---\n"
    "SELECT n FROM mart.words",
    "mart.apart": "kind FULL\n---\nSELECT level FROM mart.levels",
    "mart.gone": "kind FULL\n---\nSELECT 1 AS one",
    "mart.by_name": "kind FULL,\naudits (number_of_rows(threshold := 0))\n---\n"
    "SELECT name, COUNT(*) AS n FROM w.main_staging.items GROUP BY name",
}
SQLMESH_FILES = {
    "audits/small.sql": "AUDIT (name small);\nSELECT * FROM @this_model WHERE id > 5;\n",
    "seeds/levels.csv": "level\n1\n2\n",
}
FRESH = "kind FULL\n---\nSELECT n + 1 AS n FROM mart.words"
EDITED = "kind FULL\n---\nSELECT level + 1 AS level FROM mart.levels"
DBT = {
    "seeds/codes.csv": "code,name\n1,one\n2,two\n",
    "models/items.sql": """
        {{ config(materialized='table', schema='staging', tags=['heavy']) }}
        select i.id, i.code, c.name from {{ source('raw', 'items') }} i
        left join {{ ref('codes') }} c on i.code = c.code
    """,
    "models/fragile.sql": """
        {{ config(materialized='incremental', schema='staging') }}
        select cast(word as int) as n from {{ source('raw', 'words') }}
    """,
    "models/on_fragile.sql": """
        {{ config(materialized='table', schema='staging') }}
        select n from {{ ref('fragile') }}
    """,
    "models/checked.sql": """
        {{ config(materialized='view', schema='staging') }}
        select id, code from {{ ref('items') }}
    """,
    "models/on_checked.sql": """
        {{ config(materialized='table', schema='staging') }}
        select id from {{ ref('checked') }}
    """,
    "models/summary.sql": """
        {{ config(materialized='table', schema='late') }}
        select sum(n) as n from {{ source('mart', 'by_name') }}
    """,
    "models/schema.yml": """
        version: 2
        sources:
          - name: raw
            schema: raw
            tables:
              - name: items
                columns: [{name: id, data_tests: [unique]}]
              - name: words
          - name: mart
            schema: mart
            tables: [{name: by_name}]
        models:
          - name: items
            description: All items
            config: {meta: {owner: someone@example.com, dagster_transform: {cron: "@daily"}}}
            columns:
              - name: id
                description: Which
                data_tests: [not_null]
              - name: name
                data_tests: [{not_null: {config: {severity: warn}}}]
          - name: checked
            columns:
              - name: code
                data_tests: [not_null]
    """,
}
PYTHON = python_asset("picture", ["late", "summary"])
PYTHON += python_asset("on_c", ["w", "mart", "c"])
TAGS = {"tags": {"heavy": 2}}
FETCH = {"fetch_row_counts": True, "fetch_columns": True, "fetch_column_lineage": True}


@pytest.fixture
def golden() -> Golden:
    return Golden()


@pytest.fixture
def empty(tmp_path: Path) -> Transform:
    """A transform whose one project was never prepared: it loads neither SQLMesh nor dbt."""
    project = Project(tmp_path / "p", Database.in_file(tmp_path / "w.duckdb"))
    return Transform(tmp_path, [project], settings=TAGS)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Transform, Any]]:
    """A SQLMesh project `p` and a dbt project `d` on one DuckDB file, where nothing is built yet;
    and its definitions (in words, because the runs change them)."""
    folder = tmp_path_factory.mktemp("surface")
    database = Database.in_file(folder / "w.duckdb")
    rows = ", ".join(f"({i}, DATE '2024-03-{1 + i // 3:02}')" for i in range(18))
    database.execute(
        "CREATE SCHEMA src",
        "CREATE TABLE src.raw (id INT, ds DATE)",
        f"INSERT INTO src.raw VALUES {rows}",
        "CREATE TABLE src.words AS SELECT '7' AS word",
        "CREATE SCHEMA raw",
        "CREATE TABLE raw.items AS SELECT * FROM (VALUES (1, 1), (2, 2), (3, 3)) t(id, code)",
        "CREATE TABLE raw.words AS SELECT '7' AS word",
    )
    DbtProject(folder / "d", database, DBT)
    # SQLMesh looks through all installed packages for each plan, which takes seconds.
    quick = {"infer_python_dependencies": False}
    project = Project(folder / "p", database, SQLMESH, files=SQLMESH_FILES, config=quick)
    dbt = {"framework": "dbt", "path": "d", "profiles_dir": "d"}
    transform = Transform(folder, [project], code=PYTHON, further={"d": dbt}, settings=TAGS)
    transform.prepare()
    repository = transform.repository()
    pauses = {f"transform_{x}": _form(repository, f"transform_{x}") for x in ("pause", "resume")}
    yield (
        transform,
        {"assets": assets(repository), "jobs": jobs(repository), "job_config_pauses": pauses},
    )
    transform.close()


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Runs `dagster-transform` for a transform, as a shell does it."""

    def run(transform: Transform, *words: str) -> str:
        monkeypatch.setenv("LOGNAME", "ada")  # who has paused it
        monkeypatch.setenv("DAGSTER_HOME", str(transform.home))
        monkeypatch.setenv("DAGSTER_TRANSFORM_CONFIG", str(transform.folder))
        done = CliRunner().invoke(command_line(), words)
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


def test_names_and_signatures(golden: Golden) -> None:
    names = list(dagster_transform.__all__)
    public = {name: getattr(dagster_transform, name) for name in names}
    found = {
        name: {"is a": "class" if inspect.isclass(thing) else "function", "takes": signature(thing)}
        for name, thing in public.items()
    }
    golden.add("names", {"all": sorted(names), "signatures": found})
    golden.add("translator", methods(TransformTranslator))
    golden.compare()


def test_the_schema_of_transform_yaml(golden: Golden) -> None:
    golden.add("transform_yaml", without_descriptions(TransformConfig.model_json_schema()))
    golden.compare()


def test_run_options_and_the_config_of_jobs(empty: Transform, golden: Golden) -> None:
    repository = build_transform_definitions(empty.folder).get_repository_def()
    found = {name: _form(repository, name) for name in ("p_plan", "p_janitor")}
    resource = repository.get_top_level_resources()["transform"]
    golden.add("run_options", config_fields(resource.config_schema.config_type))
    golden.add("job_config", found)
    golden.compare()


def _form(repository: Any, job: str) -> dict[str, Any]:
    (op,) = repository.get_job(job).nodes
    return {"op": op.name, "config": config_fields(op.definition.config_schema.config_type)}


def test_the_command_line(empty: Transform, golden: Golden, command: Callable[..., str]) -> None:
    golden.add("command_line", commands(command_line(), "dagster-transform"))
    command(empty, "claims", "pause", "tag:heavy", "--reason", "why")
    listed = json.loads(command(empty, "claims", "list", "--json"))
    golden.add("claims_list_json", keys_of(listed))
    golden.compare()


def test_definitions(prepared: tuple[Transform, Any], empty: Transform, golden: Golden) -> None:
    _, described = prepared
    golden.add("assets", described["assets"])
    golden.add("jobs", described["jobs"])
    golden.add("job_config_pauses", described["job_config_pauses"])
    golden.add("assets_not_loaded", assets(empty.repository()))
    golden.compare()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_runs_store(
    prepared: tuple[Transform, Any],
    golden: Golden,
    command: Callable[..., str],
    capfd: pytest.CaptureFixture[str],
) -> None:
    """One story of a transform, in which each run leads to the next one's situation."""
    transform, _ = prepared
    project = transform.projects[0]
    of_sqlmesh = [*SQLMESH, "on_c"]

    def told(name: str, story: Story) -> dg.DagsterRun:
        run = transform.instance.get_run_by_id(story.run_id)
        assert run is not None
        golden.add(f"run_{name}", run_of(story, run))
        return run

    # Planned, backfilled and promoted; a check that does not block and a test that warns fail.
    told("first_build", transform.run(execution_time=FIRST, plan="auto", dbt=FETCH))
    told("up_to_date", transform.run(of_sqlmesh, execution_time=SAME_DAY, ignore_cron=False))
    checks = ["mart.a:not_null", "mart.a:small", "staging/items:not_null_items_id"]
    told("checks_only", transform.run([], checks, execution_time=SAME_DAY))
    told("upstreams_held", transform.run(["mart.b"], execution_time=NEXT_DAY))

    # A model and an audit of SQLMesh fail, and a model and a test of dbt.
    project.database.execute(
        "UPDATE src.words SET word = 'seven'",
        "INSERT INTO src.raw VALUES (NULL, DATE '2024-03-05')",
        "UPDATE raw.words SET word = 'seven'",
        "UPDATE raw.items SET code = NULL WHERE id = 3",
    )
    told("failures", transform.run(execution_time=NEXT_DAY))
    fast = {"fail_fast": True, "max_concurrent_models": 1}
    told("fail_fast", transform.run(of_sqlmesh, execution_time=NEXT_DAY, **fast))
    project.database.execute(
        "UPDATE src.words SET word = '7'", "DELETE FROM src.raw WHERE id IS NULL"
    )

    # A pause, which is a claim, met by a run that leaves out and by one that waits (for 0 s).
    command(transform, "prepare", "--project", "p")  # the graph file knows the new tables
    command(transform, "claims", "pause", "mart.words", "--reason", "why")
    words = ["mart.words", "mart.on_words"]
    told("claimed", transform.run(words, tags=TICK, ignore_cron=True, execution_time=NEXT_DAY))
    told("claimed_in_vain", transform.run(words, claim_wait=0, execution_time=NEXT_DAY))
    command(transform, "claims", "resume", "mart.words")

    # Built anew over a time.
    for downstream in ("refuse", "leave"):
        again = {"start": "2024-03-02", "end": "2024-03-03", "downstream": downstream}
        run = transform.run(["mart.a"], execution_time=SAME_DAY, restate=again)
        told(f"restate_{downstream}", run)

    # The files differ from the environment.
    project.model("mart.fresh", FRESH)
    project.model("mart.apart", EDITED)
    project.remove("mart.gone")
    command(transform, "prepare", "--project", "p")
    golden.add("assets_not_in_files", assets(transform.repository())["p/not_in_files"])
    told("not_promoted", transform.run(["mart.fresh", "mart.words"], execution_time=LATER_DAY))
    explained = told("plan_explained", transform.job("p_plan", execution_time=LATER_DAY))
    digest = explained.tags[f"{OURS}plan_digest"]
    project.model("mart.apart", EDITED.replace("+ 1", "+ 2"))
    told("plan_refused", transform.job("p_plan", {"apply": True, "digest": digest}))
    project.model("mart.apart", EDITED)
    told("plan_applied", transform.job("p_plan", {"apply": True, "digest": digest}))
    told("janitor", transform.job("p_janitor", {"ignore_ttl": True}))

    # A Dagster that has seen none of this.
    transform.close()
    settings = (transform.home / "dagster.yaml").read_text(encoding="utf-8")
    transform.home = transform.folder / "another_home"
    transform.home.mkdir()
    (transform.home / "dagster.yaml").write_text(settings, encoding="utf-8")
    some = ["mart.a", "mart.b", "mart.levels"]
    told("synced", transform.run(some, execution_time=SAME_DAY, ignore_cron=False))
    capfd.readouterr()  # the differences, and not a thousand lines of Dagster's log
    golden.compare()
