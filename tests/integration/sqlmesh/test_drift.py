"""The drift between files and environment: what SQLMesh's own plan would find."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dagster_transform.graph import Drift, Presence
from tests.support.sqlmesh_projects import Database, Project, utc

NOW = utc("2024-03-05 10:30")
MODELS = {
    "mart.a": "kind FULL\n---\nSELECT id FROM outside.t",
    "mart.hidden": "kind EMBEDDED\n---\nSELECT id FROM mart.a",
    "mart.b": "kind FULL\n---\nSELECT id FROM mart.hidden",
    "mart.alone": "kind FULL\n---\nSELECT 1 AS id",
}
FILES = {
    "external_models.yaml": "- name: outside.t\n  columns: {id: int}\n",
    "audits/agree.sql": "AUDIT (name agree, standalone true);\nSELECT 1 FROM mart.b WHERE id < 0",
}
HOOKS = {"before_all": ["SELECT 1"]}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    database = Database.in_file(tmp_path / "w.duckdb")
    database.execute("CREATE SCHEMA outside", "CREATE TABLE outside.t AS SELECT 1 AS id")
    return Project(tmp_path / "p", database, MODELS, files=FILES, config=HOOKS)


def natively(project: Project) -> tuple[set[str], set[str], set[str], set[str]]:
    """Names that SQLMesh calls added, directly and indirectly modified, and removed."""
    with project.native() as context:
        diff = (
            context.plan_builder("prod", skip_tests=True, execution_time=NOW).build().context_diff
        )
        called = {s.name: key(s.name) for s in diff.snapshots.values()}
        direct = {n for n in diff.modified_snapshots if diff.directly_modified(n)}
        indirect = {n for n in diff.modified_snapshots if diff.indirectly_modified(n)}
        # Metadata alone is modified without being either.
        direct |= set(diff.modified_snapshots) - direct - indirect
        return (
            {called[s.name] for s in diff.added},
            {called[n] for n in direct},
            {called[n] for n in indirect},
            {key(s.name) for s in diff.removed_snapshots},
        )


def key(name: str) -> str:
    return name.replace('"', "").replace(".", "/")


CHANGES: dict[str, tuple[dict[str, str | None], Drift]] = {
    "a model": (
        {"models/mart.a.sql": "MODEL (name mart.a, kind FULL);\nSELECT -id AS id FROM outside.t"},
        Drift(changed=("w/mart/a",), affected=("agree", "w/mart/b", "w/mart/hidden")),
    ),
    "a description": (
        {
            "models/mart.alone.sql": "MODEL (name mart.alone, kind FULL, description 'x');\n"
            "SELECT 1 AS id"
        },
        Drift(changed=("w/mart/alone",)),
    ),
    "an embedded model": (
        {"models/mart.hidden.sql": "MODEL (name mart.hidden, kind EMBEDDED);\nSELECT 2 AS id"},
        Drift(changed=("w/mart/hidden",), affected=("agree", "w/mart/b")),
    ),
    "an external model": (
        {"external_models.yaml": "- name: outside.t\n  columns: {id: int, more: int}\n"},
        Drift(
            changed=("w/outside/t",), affected=("agree", "w/mart/a", "w/mart/b", "w/mart/hidden")
        ),
    ),
    "a standalone audit": (
        {"audits/agree.sql": "AUDIT (name agree, standalone true);\nSELECT 1 FROM mart.b WHERE 0"},
        Drift(changed=("agree",)),
    ),
    "new things": (
        {
            "models/new.sql": "MODEL (name mart.new, kind FULL);\nSELECT 1 AS id",
            "audits/new.sql": "AUDIT (name newer, standalone true);\nSELECT 1 FROM mart.a WHERE 0",
        },
        Drift(new=("newer", "w/mart/new")),
    ),
    "what is gone": (
        {"models/mart.b.sql": None, "models/mart.alone.sql": None, "audits/agree.sql": None},
        Drift(removed=("agree", "w/mart/alone", "w/mart/b")),
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_drift_is_what_a_plan_would_find(what: str, project: Project) -> None:
    project.plan_natively(NOW)
    assert project.read().drift == Drift()
    files, expected = CHANGES[what]
    for path, text in files.items():
        if text is None:
            (project.folder / path).unlink()
        else:
            project.write({path: text})
    found = project.read().drift
    assert found == expected
    added, direct, indirect, removed = natively(project)
    assert set(found.new) == added
    assert set(found.changed) == direct
    assert set(found.affected) == indirect
    assert set(found.removed) == removed


def test_everything_is_new_to_an_environment_that_was_never_planned(project: Project) -> None:
    drift = project.read().drift
    everything = (
        "agree", "w/mart/a", "w/mart/alone", "w/mart/b", "w/mart/hidden", "w/outside/t",
    )  # fmt: skip
    assert drift == Drift(new=everything)
    project.plan_natively(NOW)
    project.config = project.config.model_copy(update={"environment": "dev"})
    elsewhere = project.read()
    assert elsewhere.drift == Drift(new=everything)
    assert {n.presence for n in elsewhere.graph.nodes.values()} == {Presence.ABSENT}


def test_statements_that_surround_a_run_are_drift_too(project: Project, tmp_path: Path) -> None:
    project.plan_natively(NOW)
    changed: dict[str, Any] = {"before_all": ["SELECT 2"]}
    again = Project(tmp_path / "p", project.database, MODELS, files=FILES, config=changed)
    assert again.read().drift == Drift(other=("before_all or after_all differ",))


def test_a_plan_that_did_not_come_to_its_end_is_drift(project: Project) -> None:
    project.plan_natively(NOW)
    project.database.execute("UPDATE sqlmesh._environments SET finalized_ts = NULL")
    drift = project.read().drift
    assert drift == Drift(other=("a plan has not come to its end",))
    assert drift


def test_what_is_gone_is_no_node_and_blocks_nothing(project: Project) -> None:
    project.plan_natively(NOW)
    (project.folder / "models" / "mart.alone.sql").unlink()
    file = project.read()
    assert {n.name for n in file.graph.nodes.values()} == {"mart.a", "mart.b"}
    assert {n.presence for n in file.graph.nodes.values()} == {Presence.EQUAL}
