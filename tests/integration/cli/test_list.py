"""`list`, `lineage` and `--version` on a dbt and a SQLMesh project that read each other."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dagster_transform.cli import main
from tests.support.dbt_projects import DbtProject
from tests.support.sqlmesh_projects import Database, Project
from tests.support.transforms import Transform

DBT = {
    "models/base.sql": "{{ config(materialized='table', tags=['daily']) }} select id, price * 2 "
    "as twice, 1 as extra "
    "from {{ source('raw', 'items') }}",
    "models/schema.yml": """
        sources:
          - name: raw
            schema: raw
            tables: [{name: items, columns: [{name: id, data_tests: [unique]}]}]
        models: [{name: base, columns: [{name: id, data_tests: [not_null]}]}]
    """,
}
SQLMESH = {
    "marts.sums": """
        kind FULL, cron '@hourly', tags (important),
        audits (not_null(columns := (total)), number_of_rows(threshold := 0, blocking := false))
        ---
        SELECT twice::INT + 1 AS total, id::INT AS id, 3 AS rows FROM w.main.base
    """,
    "marts.top": "kind VIEW\n---\nSELECT MAX(total)::INT AS highest FROM marts.sums",
}
RUN = "2024-03-05T10:30:00+00:00"


@pytest.fixture(scope="module")
def transform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Transform]:
    folder = tmp_path_factory.mktemp("listed")
    database = Database.in_file(folder / "w.duckdb")
    database.execute("CREATE SCHEMA raw", "CREATE TABLE raw.items AS SELECT 1 AS id, 2 AS price")
    DbtProject(folder / "d", database, DBT)
    further = {"d": {"framework": "dbt", "path": "d", "profiles_dir": "d"}}
    project = Project(folder / "p", database, SQLMESH)
    project.write(
        {"external_models.yaml": "- name: w.main.base\n  columns: {id: INT, twice: INT}\n"}
    )
    found = Transform(folder, [project], further=further, plan="auto")
    found.prepare()
    yield found
    found.close()


def run(transform: Transform, *arguments: str, **variables: str) -> Result:
    environment = {"DAGSTER_HOME": None, "COLUMNS": None, **variables}
    command = [*arguments, "--config", str(transform.folder)]
    return CliRunner(env=environment).invoke(main, command, catch_exceptions=False)


def test_assets_of_both_frameworks(transform: Transform) -> None:
    done = run(transform, "list")
    assert done.exit_code == 0, done.output
    lines = {line.split()[0]: line.split() for line in done.output.splitlines() if line}
    assert lines["w/marts/sums"] == ["w/marts/sums", "sqlmesh", "FULL", "2", "@hourly", "marts"]
    assert lines["base"] == ["base", "dbt", "table", "1", "@daily"]
    assert "3 assets, 4 checks" in done.output, "a test of a source too"
    assert not done.stderr


def test_a_selection_and_json(transform: Transform) -> None:
    done = run(transform, "list", "--json", "--select", "+marts.sums")
    found = {each["name"]: each for each in json.loads(done.output)}
    assert set(found) == {"base", "w/marts/sums"}
    sums = found["w/marts/sums"]
    assert sums["key"] == ["w", "marts", "sums"]
    assert sums["reads"] == ["base"]
    assert (sums["group"], sums["cron"], sums["kind"]) == ("marts", "@hourly", "FULL")
    assert sorted(sums["checks"]) == ["not_null", "number_of_rows"]
    wrong = run(transform, "list", "--select", "nothing")
    assert wrong.exit_code == 1
    assert "matches no node" in wrong.stderr


def test_checks(transform: Transform) -> None:
    done = run(transform, "list", "--checks", "--json")
    found = {each["name"]: each for each in json.loads(done.output)}
    assert found["w/marts/sums:not_null"]["blocking"] is True
    assert found["w/marts/sums:number_of_rows"]["blocking"] is False
    assert found["w/marts/sums:number_of_rows"]["runs"] == "after_each"
    assert any(each["asset"] == "raw/items" for each in found.values())
    of_some = run(transform, "list", "--checks", "--select", "base")
    assert "not_null_base_id" in of_some.output
    assert "marts" not in of_some.output


def test_a_project_that_is_not_prepared_hides_no_other_one(transform: Transform) -> None:
    hidden = transform.graph_path("d").rename(transform.folder / "hidden")
    try:
        done = run(transform, "list", "--json")
        assert done.exit_code == 1
        assert "w/marts/sums" in [each["name"] for each in json.loads(done.stdout)]
        assert "dagster-transform prepare --project d" in done.stderr
    finally:
        hidden.rename(transform.graph_path("d"))


def test_that_nothing_was_prepared_is_said_once(transform: Transform) -> None:
    paths = [transform.graph_path(name) for name in ("d", "p")]
    hidden = [path.rename(transform.folder / path.stem) for path in paths]
    try:
        done = run(transform, "list")
        assert done.exit_code == 1
        (error,) = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
        assert "Projects d, p were never prepared" in error
        assert done.stderr.count("dagster-transform prepare") == 1
        assert "anew" not in done.stderr
        hidden[1].rename(paths[1])
        one = run(transform, "list")
        assert "prepare --project d` to write it.\n" in one.stderr
        assert "w/marts/sums" in one.stdout
    finally:
        for path, there in zip(hidden, paths, strict=True):
            if path.exists():
                path.rename(there)


def test_no_colours_in_a_pipe_or_with_no_color(transform: Transform) -> None:
    for variables in ({}, {"NO_COLOR": "1"}):
        done = run(transform, "list", **variables)
        assert "\x1b" not in done.output


def test_versions_of_what_it_stands_on() -> None:
    done = CliRunner().invoke(main, ["--version"])
    assert done.exit_code == 0
    for name in ("dagster-transform", "dagster", "sqlmesh", "dbt-core", "Python"):
        assert re.search(rf"^ *{name} \d+\.\d+", done.output, re.MULTILINE), done.output


def test_completion_is_clicks_own() -> None:
    typed = {"COMP_WORDS": "dagster-transform li", "COMP_CWORD": "1"}
    environment = {"_DAGSTER_TRANSFORM_COMPLETE": "bash_complete", **typed}
    done = CliRunner().invoke(main, [], prog_name="dagster-transform", env=environment)
    assert done.output.split() == ["plain,lineage", "plain,list"]


def test_lineage_through_both_frameworks(transform: Transform) -> None:
    done = run(transform, "lineage", "marts.top.highest")
    assert done.exit_code == 0, done.output
    assert re.search(r"w/marts/top\.highest +w/marts/sums\.total +1", done.stdout)
    assert re.search(r"w/marts/sums\.total +base\.twice +2", done.stdout)
    assert "It ends at base: what the columns there are computed from is not known." in done.stderr
    assert '"fetch_column_lineage": true' in done.stderr
    assert "SQLMesh's come" not in done.stderr, "what does not help here"


def test_what_dbts_last_run_found_out_goes_on_from_there(transform: Transform) -> None:
    story = transform.run(execution_time=RUN, dbt={"fetch_column_lineage": True})
    assert story.success, story.failure
    home = str(transform.home)
    done = run(transform, "lineage", "w/marts/top.highest", "--as", "json", DAGSTER_HOME=home)
    found = json.loads(done.stdout)
    steps = [(s["from"]["asset"], s["from"]["column"], s["to"]["column"]) for s in found["steps"]]
    assert steps == [
        ("w/marts/sums", "total", "highest"),
        ("base", "twice", "total"),
        ("raw/items", "price", "twice"),
    ]
    assert found["not_known"] == []
    down = run(
        transform,
        "lineage",
        "raw/items.price",
        "--downstream",
        "--as",
        "mermaid",
        DAGSTER_HOME=home,
    )
    assert down.stdout.startswith("flowchart LR\n")
    for word in ('"raw/items"', '"price"', '"highest"', " --> "):
        assert word in down.stdout
    # A column of which only the table knows, in a model of which schema.yml says another one.
    story = transform.run(["base"], execution_time=RUN, dbt={"fetch_columns": True})
    assert story.success, story.failure
    assert run(transform, "lineage", "base.extra", DAGSTER_HOME=home).exit_code == 0
    assert run(transform, "lineage", "base.extra").exit_code == 1
    counted = run(transform, "lineage", "marts.sums")
    assert re.search(r"w/marts/sums\.rows +\(no column\)", counted.stdout)
    table = transform.folder / "lineage.txt"
    assert run(transform, "lineage", "marts.top", "-o", str(table)).exit_code == 0
    assert "highest" in table.read_text()


def test_a_column_that_is_not_there(transform: Transform) -> None:
    done = run(transform, "lineage", "marts.top.height")
    assert done.exit_code == 1
    assert "known are: highest" in done.stderr
    assert run(transform, "lineage", "marts.nothing").exit_code == 1


def test_why_a_column_is_not_known_and_what_to_do(transform: Transform) -> None:
    """The table has it; the graph file does not."""
    of_dbt = run(transform, "lineage", "base.nothing", DAGSTER_HOME=None)
    assert of_dbt.exit_code == 1
    for words in ("schema.yml", "fetch_column_lineage", "DAGSTER_HOME (which is not set here)"):
        assert words in of_dbt.stderr
    of_source = run(transform, "lineage", "raw.items.nothing")
    assert "the source's `columns` in schema.yml" in of_source.stderr
    assert "external_models.yaml" in run(transform, "lineage", "marts.top.height").stderr


def test_what_to_type_for_columns_that_only_the_table_knows(tmp_path: Path) -> None:
    """Of a seed and of a model without ref() nothing is known before the command was typed."""
    database = Database.in_file(tmp_path / "w.duckdb")
    models = {"seeds/beans.csv": "bean,grams\nkona,250\n", "models/lone.sql": "select 1 as n"}
    DbtProject(tmp_path / "d", database, models)
    further = {"d": {"framework": "dbt", "path": "d"}}
    with closing(Transform(tmp_path, [], further=further)) as found:
        found.prepare()
        (tmp_path / "definitions.py").write_text(found.module.read_text())
        home = {"DAGSTER_HOME": str(found.home)}
        nothing = run(found, "lineage", "beans", **home)
        assert (nothing.exit_code, nothing.stdout) == (0, "")
        assert nothing.stderr.startswith(
            "No column of beans is known. dbt knows those of the seed's"
        )
        told = run(found, "lineage", "beans.grams", **home).stderr
        assert told.startswith("Error: No column 'grams' of beans is known")
        command = told[told.index("dagster asset materialize") :]
        folder = str(Path(sys.executable).parent)
        environment = {**os.environ, **home, "PATH": os.pathsep.join([folder, os.environ["PATH"]])}
        typed = subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True,
            timeout=200, check=False,
        )  # fmt: skip
        assert typed.returncode == 0, typed.stdout + typed.stderr
        assert run(found, "lineage", "beans.grams", **home).exit_code == 0
        lone = run(found, "lineage", "lone", **home).stderr
        assert "No column of lone is known" in lone
        assert "It ends at lone: without ref() and source() dbt does not know" in lone


def test_a_table_names_the_node_that_builds_it(transform: Transform) -> None:
    for name in ("main.base", "w.main.base"):
        found = json.loads(run(transform, "list", "--json", "--select", name).output)
        assert [each["name"] for each in found] == ["base"]
        assert run(transform, "lineage", f"{name}.id").exit_code == 0
    wrong = run(transform, "lineage", "main.bsae")
    assert "Did you mean 'main.base'" in wrong.stderr


def test_the_asset_says_it_too(transform: Transform) -> None:
    specs = {
        spec.key.to_user_string(): spec
        for definition in transform.repository().assets_defs_by_key.values()
        for spec in definition.specs
    }
    shown = specs["w/marts/top"].metadata["dagster_transform/computed_from"]
    assert "| highest | w/marts/sums.total |" in shown.value
