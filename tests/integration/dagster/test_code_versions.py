"""Files that differ from the environment and are not planned: what is built is the environment's
version, and Dagster says that of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterEventType as Kind
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest

from tests.support.sqlmesh_projects import Database, Project, utc
from tests.support.stories import Story
from tests.support.transforms import Transform

PLANNED = utc("2024-03-05 10:30")
OPTIONS: dict[str, Any] = {"execution_time": "2024-03-06T10:30:00+00:00"}
VERSION = "dagster/code_version"
MODELS = {
    "mart.a": "kind FULL\n---\nSELECT 1::INT AS n",
    "mart.b": "kind FULL\n---\nSELECT n FROM mart.a",
    "mart.same": "kind FULL\n---\nSELECT 1::INT AS n",
}
CHANGES = {
    "code": "kind FULL\n---\nSELECT 2::INT AS n",
    "cron": "kind FULL,\ncron '@hourly'\n---\nSELECT 1::INT AS n",
}


def project_in(folder: Path) -> Project:
    project = Project(folder / "p", Database.in_file(folder / "w.duckdb"), MODELS)
    project.plan_natively(PLANNED)
    return project


def versions(story: Story) -> dict[str, str]:
    """The code version of each materialisation, by the last part of the key."""
    found = [e.event_specific_data.materialization for e in story.of(Kind.ASSET_MATERIALIZATION)]
    return {m.asset_key.path[-1]: m.tags[VERSION] for m in found}


def warnings(story: Story) -> list[str]:
    return [line for line in story.log if "the files have other versions" in line]


@pytest.mark.parametrize("change", ["code", "cron"])
def test_changed_files_that_are_not_planned(tmp_path: Path, change: str) -> None:
    project = project_in(tmp_path)
    promoted = {n.name.split(".")[1]: n.code_version for n in project.graph.nodes.values()}
    project.model("mart.a", CHANGES[change])
    files = {n.name.split(".")[1]: n.code_version for n in project.graph.nodes.values()}
    transform = Transform(tmp_path, [project], plan="never")
    transform.prepare()
    story = transform.run(**OPTIONS)
    assert story.success
    assert project.database.content("mart.b") == [(1,)]
    assert versions(story) == promoted
    (said,) = warnings(story)
    assert "w/mart/a" in said
    assert "w/mart/same" not in said
    assert "run the job p_plan" in said
    stale = set() if promoted == files else {"a"}
    assert stale_code(transform) == stale
    untouched = transform.run(["mart.same"], **OPTIONS)
    assert warnings(untouched) == []
    # The remedy: with the plan, what is built is what the files have.
    assert transform.job("p_plan", {"apply": True}, **OPTIONS).success
    story = transform.run(**OPTIONS)
    assert warnings(story) == []
    assert versions(story) == files
    assert stale_code(transform) == set()
    transform.close()


def stale_code(transform: Transform) -> set[str]:
    """The assets of which Dagster says that their code has changed since they were built."""
    graph = transform.repository().asset_graph
    context = LoadingContextForTest(transform.instance)
    resolver = CachingStaleStatusResolver(transform.instance, graph, context)
    return {
        key.path[-1]
        for key in graph.executable_asset_keys
        for cause in resolver.get_stale_causes(key)
        if cause.category.value == "CODE"
    }


PREFIXED = """
from pathlib import Path
from dagster_transform import TransformTranslator, build_transform_definitions

ROOT = Path(__file__).parent

class Prefixed(TransformTranslator):
    def get_code_version(self, node):
        return f"v-{node.code_version}"

defs = build_transform_definitions(ROOT, translator=Prefixed(ROOT))
"""


def test_a_translators_code_version_is_that_of_what_was_built(tmp_path: Path) -> None:
    project = project_in(tmp_path)
    promoted = project.graph.nodes[project.id("mart.a")].code_version  # type: ignore[index]
    project.model("mart.a", CHANGES["code"])
    transform = Transform(tmp_path, [project], module=PREFIXED, plan="never")
    transform.prepare()
    story = transform.run(["mart.a"], **OPTIONS)
    assert versions(story) == {"a": f"v-{promoted}"}
    transform.close()
