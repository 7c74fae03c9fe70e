"""What `dbt build` does with tests, Dagster says and the database shows too, node by node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.dbt_beside import NATIVE, OURS, Beside, told
from tests.support.dbt_project_runs import BOTH, TABLE, VIEW
from tests.support.postgres import PostgresDatabase
from tests.support.sqlmesh_projects import Database
from tests.support.transforms import python_asset

EPHEMERAL = "{{ config(materialized='ephemeral') }}\n"
FILES = {
    "seeds/items.csv": "id,kind\n1,a\n2,a\n3,\n",
    # Unit tests.
    "models/good.sql": TABLE + "SELECT id + 1 AS next FROM {{ ref('items') }}",
    "models/wrong.sql": TABLE + "SELECT id + 2 AS next FROM {{ ref('items') }}",
    "models/below_wrong.sql": VIEW + "SELECT next FROM {{ ref('wrong') }}",
    "models/soft.sql": EPHEMERAL + "SELECT id + 2 AS next FROM {{ ref('items') }}",
    "models/through_soft.sql": TABLE + "SELECT next FROM {{ ref('soft') }}",
    # Tests of ephemeral models.
    "models/thin.sql": EPHEMERAL + "SELECT id, kind FROM {{ ref('items') }}",
    "models/thinner.sql": EPHEMERAL + "SELECT kind FROM {{ ref('thin') }}",
    "models/reads_thin.sql": TABLE + "SELECT kind FROM {{ ref('thinner') }}",
    "models/below_thin.sql": VIEW + "SELECT kind FROM {{ ref('reads_thin') }}",
    "models/constant.sql": EPHEMERAL + "SELECT 1 AS one",
    "models/reads_constant.sql": TABLE + "SELECT one FROM {{ ref('constant') }}",
    "models/unread.sql": EPHEMERAL + "SELECT id FROM {{ ref('items') }}",
    # Tests with severity `warn`.
    "models/doubtful.sql": TABLE + "SELECT kind FROM {{ ref('items') }}",
    "models/below_doubtful.sql": TABLE + "SELECT kind FROM {{ ref('doubtful') }}",
    # Tests that refer to nothing.
    "tests/no_reference.sql": "SELECT 1 AS n",
    "tests/no_reference_and_fine.sql": "SELECT 1 AS n WHERE 1 = 0",
    "models/schema.yml": """
        models:
          - name: thin
            columns:
              - name: kind
                data_tests: [{not_null: {name: thin_kind}}]
              - name: id
                data_tests:
                  - not_null: {name: thin_id}
                  - relationships:
                      name: thin_good
                      arguments: {to: ref('good'), field: next}
          - name: constant
            columns:
              - name: one
                data_tests: [{accepted_values: {name: is_two, arguments: {values: [2]}}}]
          - name: unread
            columns:
              - name: id
                data_tests: [{accepted_values: {name: unread_id, arguments: {values: [9]}}}]
          - name: doubtful
            columns:
              - name: kind
                data_tests: [{not_null: {name: doubt, config: {severity: warn}}}]
        unit_tests:
          - name: good_is_next
            model: good
            given: [{input: ref('items'), rows: [{id: 1}]}]
            expect: {rows: [{next: 2}]}
          - name: wrong_is_next
            model: wrong
            given: [{input: ref('items'), rows: [{id: 1}]}]
            expect: {rows: [{next: 2}]}
          - name: soft_is_next
            model: soft
            given: [{input: ref('items'), rows: [{id: 1}]}]
            expect: {rows: [{next: 2}]}
          - name: below_is_below
            model: below_wrong
            given: [{input: ref('wrong'), rows: [{next: 1}]}]
            expect: {rows: [{next: 1}]}
        """,
}
UNIT_TEST = """
    unit_tests:
      - name: wrong_is_next
        model: wrong
        given: [{input: ref('items'), rows: [{id: 1}]}]
        expect: {rows: [{next: 2}]}
    """
BEFORE = ("CREATE TABLE {schema}.wrong AS SELECT 7 AS next",)
PYTHON = "".join(
    python_asset(f"after_{name}", [name])
    for name in ("items", "good", "wrong", "reads_thin", "doubtful")
)


@BOTH
def test_tests_hold_back_what_dbt_holds_back(database: Database, tmp_path: Path) -> None:
    project = Beside(tmp_path, database, FILES, before=BEFORE, code=PYTHON, threads=2).prepare()
    story = project.assert_alike()
    assert not story.success
    assert project.tables(OURS)["wrong"] == [(7,)], "wrong code has not replaced the good table"
    assert story.reason("wrong") == "blocking check failed: wrong:wrong_is_next"
    assert story.reason("reads_thin") == "blocking check failed: items:thin_kind"
    # Every test has an asset.
    assert "below_doubtful:no_reference" in story.checks
    assert "reads_constant:is_two" in story.checks
    after = {name for name in story.materialized if name.startswith("after_")}
    assert after == {"after_items", "after_good", "after_doubtful"}


def test_a_unit_test_runs_without_its_model_and_a_model_without_its_unit_tests(
    database: Database, tmp_path: Path
) -> None:
    files = {path: FILES[path] for path in ("seeds/items.csv", "models/wrong.sql")}
    files["models/schema.yml"] = UNIT_TEST
    project = Beside(tmp_path, database, files, before=BEFORE).prepare()
    project.transform.run(["items"])
    story = project.transform.run([], ["wrong:wrong_is_next"])
    assert told(story) == {"wrong_is_next": "fail"}
    assert not story.success
    assert project.tables(OURS)["wrong"] == [(7,)]
    # `dbt build --select wrong` has the unit test, and so has the asset.
    assert project.build("--select", "items")[1]
    story = project.assert_alike("--select", "wrong", assets=["wrong"])
    assert told(story) == {"wrong_is_next": "fail", "wrong": "skipped"}
    # `--exclude-resource-types unit_test`
    exclude = ("--exclude-resource-types", "unit_test")
    project.assert_alike("--select", "wrong", *exclude, assets=["wrong"], checks=[])
    assert project.tables(OURS)["wrong"] == [(3,), (4,), (5,)]


DOUBTFUL = {
    "seeds/items.csv": FILES["seeds/items.csv"],
    "models/doubtful.sql": FILES["models/doubtful.sql"],
    "models/below_doubtful.sql": FILES["models/below_doubtful.sql"],
    "models/broken.sql": TABLE + "SELECT kind FROM {{ ref('items') }}",
    "models/below_broken.sql": TABLE + "SELECT kind FROM {{ ref('broken') }}",
    "tests/no_such_column.sql": """
        {{ config(severity='warn') }}
        SELECT nothing FROM {{ ref('broken') }}
        """,
    "models/schema.yml": """
        models:
          - name: doubtful
            columns:
              - name: kind
                data_tests: [{not_null: {name: doubt, config: {severity: warn}}}]
        """,
}


@pytest.mark.long
@pytest.mark.parametrize(
    ("flags", "variables", "said"),
    [
        ({}, {}, "warn"),
        ({"warn_error": True}, {}, "fail"),
        ({"warn_error_options": {"error": "all", "warn": ["LogTestResult"]}}, {}, "warn"),
        ({}, {"DBT_WARN_ERROR_OPTIONS": "{'error': ['LogTestResult']}"}, "fail"),
        ({}, {"DBT_WARN_ERROR": "true"}, "fail"),
    ],
)
def test_dbt_decides_whether_it_is_a_failure(  # noqa: PLR0917 - three are pytest's
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    flags: dict[str, Any],
    variables: dict[str, str],
    said: str,
) -> None:
    settings = {"flags": {"send_anonymous_usage_stats": False, **flags}}
    python = python_asset("after_doubtful", ["doubtful"])
    project = Beside(tmp_path, database, DOUBTFUL, code=python, project=settings).prepare()
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    story = project.assert_alike()
    assert told(story)["doubt"] == said
    assert ("below_doubtful" in story.materialized) is (said == "warn")
    assert ("after_doubtful" in story.materialized) is (said == "warn")
    # It is an error to dbt that a test can't be carried out, whatever its severity.
    assert told(story)["below_broken"] == "skipped"


@pytest.mark.long
@pytest.mark.parametrize(
    "variables",
    [
        {"DBT_EXCLUDE_RESOURCE_TYPES": "unit_test"},
        {"DBT_EXCLUDE_RESOURCE_TYPES": "test unit_test"},
        {"DBT_EXCLUDE_RESOURCE_TYPES": "seed"},
        {"DBT_RESOURCE_TYPES": "model seed"},
    ],
)
def test_resource_types_that_dbt_leaves_out_are_left_out(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    files = {**DOUBTFUL, "models/wrong.sql": FILES["models/wrong.sql"]}
    del files["tests/no_such_column.sql"]
    files["models/unit_tests.yml"] = UNIT_TEST
    before = (*BEFORE, "CREATE TABLE {schema}.items AS SELECT 1 AS id, 'a' AS kind")
    project = Beside(tmp_path, database, files, before=before).prepare()
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    statuses, success = project.build()
    story = project.transform.run()
    assert story.success is success
    assert project.tables(OURS) == project.tables(NATIVE)
    left_out = {name: word for name, word in told(story).items() if name not in statuses}
    assert set(left_out.values()) == {"success"}, "up to date: dbt has nothing to do for it"
    assert {n: w for n, w in told(story).items() if n in statuses} == statuses
    assert (
        not {"doubt", "wrong_is_next"} & left_out.keys() & {c.split(":")[1] for c in story.checks}
    )
    assert "items" not in left_out or "resource type seed" in story.reason("items")


@pytest.mark.parametrize("word", ["NO-OP", "CLONE"])
def test_what_dbt_did_not_build_is_not_materialised(
    word: str, database: Database, tmp_path: Path
) -> None:
    """dbt State answers so for what it skips; here a materialisation of the project's own does."""
    kept = f"""
        {{% materialization kept, default %}}
          {{% call noop_statement('main', '{word} (nothing new)', '{word}', 0) %}}
            {{{{ sql }}}}
          {{% endcall %}}
          {{{{ return({{'relations': [this]}}) }}}}
        {{% endmaterialization %}}
        """
    files = {
        "macros/kept.sql": kept,
        "models/old.sql": "{{ config(materialized='kept') }}\nSELECT 2 AS n",
        "models/below.sql": TABLE + "SELECT n FROM {{ ref('old') }}",
        "models/schema.yml": """
            models: [{name: old, columns: [{name: n, data_tests: [not_null]}]}]
            """,
    }
    before = ("CREATE TABLE {schema}.old AS SELECT 1 AS n",)
    python = python_asset("after_old", ["old"])
    project = Beside(tmp_path, database, files, before=before, code=python).prepare()
    story = project.assert_alike()
    assert story.success
    assert project.tables(OURS)["below"] == [(1,)]
    assert set(story.materialized) == {"below", "after_old"}
    assert story.observed["old"] == ["up_to_date"]
    assert story.reason("old") == f"dbt says: success: {word} (nothing new)"


VIEW_WITH_INDEX = """
    {{{{ config(materialized='materialized_view', on_configuration_change='continue',
                indexes=[{{'columns': ['{column}']}}]) }}}}
    SELECT id, kind FROM {{{{ ref('items') }}}}
    """


@pytest.mark.postgres
@pytest.mark.long
def test_a_materialised_view_that_dbt_leaves_as_it_was_is_not_built(
    postgres_database: PostgresDatabase, tmp_path: Path
) -> None:
    database = Database.in_postgres(postgres_database)
    files = {
        "seeds/items.csv": FILES["seeds/items.csv"],
        "models/kept.sql": VIEW_WITH_INDEX.format(column="id"),
    }
    project = Beside(tmp_path, database, files).prepare()
    assert set(project.assert_alike().materialized) == {"items", "kept"}
    for side in (project.native, project.transform.dbt):
        side.write({"models/kept.sql": VIEW_WITH_INDEX.format(column="kind")})
    project.transform.prepare()
    story = project.assert_alike()
    assert story.materialized == ["items"]
    assert story.reason("kept").startswith("dbt says: success: skip ")
