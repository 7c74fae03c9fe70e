"""Standalone audits, audits of external models, audits that a model has twice: all are checks."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from dagster_transform import build_transform_definitions
from dagster_transform.graph import Check, GraphFile
from tests.support.sqlmesh_projects import Database, Project, utc
from tests.support.transforms import Transform

NOW = utc("2024-03-05 10:30")
MODELS = {
    "stage.base": "kind FULL\n---\nSELECT id FROM outside.raw",
    "stage.side": "kind FULL\n---\nSELECT 1 AS id",
    "stage.passed": "kind EMBEDDED\n---\nSELECT id FROM stage.base",
    "mart.long": "kind FULL\n---\nSELECT id FROM stage.passed",
    "mart.deep": """
        kind FULL,
        audits (same_name, no_rows(low := 1), no_rows(low := 0))
        ---
        SELECT l.id FROM mart.long AS l JOIN stage.side AS s USING (id)
    """,
    "mart.a_shallow": "kind FULL\n---\nSELECT 1 AS id",
    "mart.other": "kind FULL\n---\nSELECT id FROM mart.long",
}
FILES = {
    "external_models.yaml": """
        - name: outside.raw
          columns: {id: int}
          audits:
            - name: not_null
              columns: "[id]"
        - name: outside.unread
          columns: {id: int}
    """,
    "audits/model.sql": """
        AUDIT (name same_name, blocking false);
        SELECT 1 FROM @this_model WHERE id < 0;

        AUDIT (name no_rows, defaults (low = 0));
        SELECT 1 FROM @this_model WHERE id < @low;
    """,
    "audits/alone.sql": """
        AUDIT (
          name agree,
          standalone true,
          cron '@hourly',
          owner 'ana@example.com',
          cron_tz 'Europe/Oslo',
          description 'All ids are everywhere.'
        );
        SELECT d.id FROM stage.base AS b JOIN mart.deep AS d USING (id)
        JOIN stage.side AS s USING (id) JOIN outside.raw AS r USING (id) WHERE d.id < 0;

        AUDIT (name "two parts.of it", standalone true);
        SELECT 1 FROM mart.deep AS d JOIN mart.other AS o USING (id) WHERE d.id < 0;

        AUDIT (name deeper, standalone true);
        SELECT 1 FROM mart.a_shallow AS a JOIN mart.long AS l USING (id) WHERE l.id < 0;

        AUDIT (name through, standalone true);
        SELECT 1 FROM stage.passed WHERE id < 0;

        AUDIT (name left_out, standalone true, skip true);
        SELECT 1 FROM mart.deep;

        AUDIT (name reads_nothing, standalone true);
        SELECT 1 WHERE FALSE;
    """,
    "audits/same.sql": """
        AUDIT (name on_outside, standalone true);
        SELECT 1 FROM outside.raw WHERE id < 0;

        AUDIT (name on_undeclared, standalone true);
        SELECT 1 FROM outside.nowhere_said WHERE id < 0;
    """,
    # The name that one of the model's own checks gets from its arguments.
    "audits/taken.sql": """
        AUDIT (name no_rows_low_1, standalone true);
        SELECT 1 FROM mart.deep WHERE id < 0;
    """,
}


@pytest.fixture(scope="module")
def transform(tmp_path_factory: pytest.TempPathFactory) -> Transform:
    folder = tmp_path_factory.mktemp("audits")
    database = Database.in_file(folder / "w.duckdb")
    return Transform(folder, [Project(folder / "p", database, MODELS, files=FILES)])


@pytest.fixture(scope="module")
def file(transform: Transform) -> GraphFile:
    return transform.projects[0].read()


def standalone(file: GraphFile) -> dict[str, Check]:
    return {c.reference: c for c in file.graph.checks.values() if c.kind == "standalone_audit"}


def short(file: GraphFile, *ids: str) -> tuple[str, ...]:
    things = {**file.graph.nodes, **file.graph.sources}
    return tuple(sorted(things[id].name for id in ids))


def test_a_standalone_audit_is_a_check_on_the_node_furthest_downstream(file: GraphFile) -> None:
    found = standalone(file)
    agree = found["agree"]
    assert short(file, agree.target) == ("mart.deep",)
    assert short(file, *agree.also) == ("stage.base", "stage.side", "w.outside.raw")
    assert agree.id == f"{agree.target}:agree"
    assert (agree.name, agree.blocking, agree.in_build) == ("agree", False, False)
    assert agree.description == "All ids are everywhere."
    code = agree.properties["raw_code"]
    assert {k: v for k, v in agree.properties.items() if k != "raw_code"} == {
        "cron": "@hourly", "cron_tz": "Europe/Oslo", "owner": "ana@example.com"
    }  # fmt: skip
    assert code.startswith("SELECT")
    assert agree.location is not None
    assert (agree.location.path, agree.location.line) == ("audits/alone.sql", 2)
    # Depth counts, not the name.
    assert short(file, found["deeper"].target) == ("mart.long",)
    # mart.deep and mart.other are equally deep: the first by name has it.
    two = found["two parts.of it"]
    assert two.name == "two_parts_of_it"
    assert short(file, two.target) == ("mart.deep",)
    assert short(file, *two.also) == ("mart.other",)
    assert two.description == "SQLMesh standalone audit two parts.of it"
    # An embedded model is no node: what it reads is.
    assert short(file, found["through"].target) == ("stage.base",)
    assert found["through"].also == ()


def test_what_sqlmesh_would_not_run_or_dagster_can_not_show_is_left_out(
    transform: Transform, file: GraphFile, caplog: pytest.LogCaptureFixture
) -> None:
    transform.projects[0].read()
    assert "Audit reads_nothing reads nothing" in caplog.text
    assert set(standalone(file)) == {
        "agree", "deeper", "two parts.of it", "through", "no_rows_low_1",
        "on_outside", "on_undeclared",
    }  # fmt: skip


def test_a_model_keeps_the_names_of_its_audits(file: GraphFile) -> None:
    deep = {c.name: c for c in file.graph.checks.values() if '"deep"' in c.target}
    assert {name: check.kind for name, check in deep.items()} == {
        "same_name": "audit",
        "no_rows_low_1_standalone": "standalone_audit",
        # Two audits of one name are two checks.
        "no_rows_low_1": "audit",
        "no_rows_low_0": "audit",
        "agree": "standalone_audit",
        "two_parts_of_it": "standalone_audit",
    }
    assert deep["no_rows_low_1_standalone"].reference == "no_rows_low_1"


def test_the_reference_is_the_name_in_the_state(transform: Transform, file: GraphFile) -> None:
    project = transform.projects[0]
    project.database.execute(
        "CREATE SCHEMA IF NOT EXISTS outside",
        "CREATE OR REPLACE TABLE outside.raw AS SELECT 1 AS id",
        "CREATE OR REPLACE TABLE outside.nowhere_said AS SELECT 1 AS id",
    )
    project.plan_natively(NOW)
    environment = project.environment()
    assert environment is not None
    audits = {info.name for info in environment.snapshots if info.is_audit}
    assert standalone(file).keys() <= audits
    assert audits - standalone(file).keys() == {"left_out", "reads_nothing"}


def test_checks_on_external_tables(file: GraphFile) -> None:
    found = {
        source.name: {c.name: (c.kind, c.blocking) for c in file.graph.checks_of(source.id)}
        for source in file.graph.sources.values()
    }
    assert found == {
        "w.outside.raw": {
            "not_null": ("external_audit", True),
            "on_outside": ("standalone_audit", False),
        },
        "w.outside.nowhere_said": {"on_undeclared": ("standalone_audit", False)},
        "w.outside.unread": {},
    }


def test_dagster_shows_them_on_their_assets(transform: Transform) -> None:
    transform.prepare()
    defs = build_transform_definitions(transform.folder)
    dg.Definitions.validate_loadable(defs)
    graph = defs.resolve_asset_graph()
    shown = {
        key.name: sorted(k.to_user_string() for k in graph.get(key).parent_entity_keys)
        for key in graph.asset_check_keys
    }
    assert shown["agree"] == ["w/mart/deep", "w/outside/raw", "w/stage/base", "w/stage/side"]
    assert shown["through"] == ["w/stage/base"]
    assert shown["on_outside"] == ["w/outside/raw"]
    assert shown["on_undeclared"] == ["w/outside/nowhere_said"]
    assert shown["not_null"] == ["w/outside/raw"]
    assert len(shown) == 11


def test_names_stay_unique_whatever_audits_are_called(tmp_path: Path) -> None:
    """Two standalone audits of names that are equal in Dagster's alphabet, and a model's too."""
    files = {
        "audits/a.sql": """
            AUDIT (name a_b); SELECT 1 FROM @this_model WHERE FALSE;
            AUDIT (name a_b_standalone); SELECT 1 FROM @this_model WHERE FALSE;
        """,
        "audits/alone.sql": """
            AUDIT (name "a b", standalone true); SELECT 1 FROM mart.x;
            AUDIT (name "a.b", standalone true); SELECT 1 FROM mart.x;
        """,
    }
    models = {"mart.x": "kind FULL,\naudits (a_b, a_b_standalone)\n---\nSELECT 1 AS n"}
    project = Project(tmp_path, Database.in_file(tmp_path / "w.duckdb"), models, files=files)
    checks = project.read().graph.checks.values()
    assert {(c.name, c.reference) for c in checks} == {
        ("a_b", "a_b"),
        ("a_b_standalone", "a_b_standalone"),
        ("a_b_standalone_2", "a b"),
        ("a_b_standalone_3", "a.b"),
    }
