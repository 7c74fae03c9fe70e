"""What the commands print of a component's assets is what Dagster shows of them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.dg_projects import DgProject
from tests.support.two_frameworks import write_two_frameworks

pytestmark = pytest.mark.slow

ATTRIBUTES = """
projects:
  staging:
    framework: dbt
    path: "{{ context.project_root }}/dbt_project"
    profiles_dir: ../../../../dbt_project
  marts:
    framework: sqlmesh
    path: ../../../../sqlmesh_project
    plan: auto
translation:
  key: "lake/{{ node.table }}"
  group_name: "{{ node.framework }}_{{ node.schema }}"
  owners: ["team:{{ node.project }}"]
"""
OWN = """
import dagster as dg
from dagster_transform import Node, TransformComponent


class Ours(TransformComponent):
    def get_asset_spec(self, node: Node) -> dg.AssetSpec:
        return super().get_asset_spec(node).replace_attributes(key=["ours", node.relation.name])
"""
SPECS = """
import json, logging
logging.disable()
from shop.definitions import defs
found = defs().resolve_all_asset_specs()
print(json.dumps({s.key.to_user_string(): [s.group_name, list(s.owners)] for s in found}))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> DgProject:
    folders = (tmp_path_factory.mktemp(name) for name in ("project", "home"))
    found = DgProject.of_two_frameworks(*folders, ATTRIBUTES)
    done = command(found, "prepare")
    assert done.returncode == 0, done.stderr
    return found


@pytest.fixture(autouse=True)
def attributes(project: DgProject) -> None:
    project.component(ATTRIBUTES)


def command(project: DgProject, *words: str) -> subprocess.CompletedProcess[str]:
    """As people call it: `shop` is not installed, and `dg` does not need that either."""
    where = ("--config", str(project.yaml))
    return project.command("dagster-transform", *words, *where, environment={"PYTHONPATH": ""})


def listed(project: DgProject, *words: str) -> list[dict[str, Any]]:
    done = command(project, "list", "--json", *words)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_keys_groups_and_owners_are_those_of_dagster(project: DgProject) -> None:
    done = project.command("python", "-c", SPECS)
    assert done.returncode == 0, done.stderr
    in_dagster = {key: tuple(map(str, said)) for key, said in json.loads(done.stdout).items()}
    found = {each["name"]: (str(each["group"]), str(each["owners"])) for each in listed(project)}
    assert found.items() <= in_dagster.items()
    assert found["lake/delays"] == ("sqlmesh_marts", "['team:marts']")
    assert found["lake/stg_flights"] == ("dbt_staging", "['team:staging']")


def test_they_are_names_for_every_command(project: DgProject) -> None:
    assert [each["name"] for each in listed(project, "--select", "lake/delays")] == ["lake/delays"]
    done = command(project, "lineage", "lake/worst")
    assert "lake/worst.delay" in done.stdout, done.stderr
    done = command(project, "job-groups", "generate", "--from", "files", "--yes")
    assert done.returncode == 0, done.stderr
    groups = project.yaml.with_name("job_groups.yaml")
    try:
        assert "lake/stg_flights" in groups.read_text(encoding="utf-8")
    finally:
        groups.unlink()
    done = command(project, "claims", "pause", "lake/stg_flights", "--reason", "why not")
    assert done.returncode == 0, done.stderr
    said = command(project, "claims", "list").stdout
    assert "lake/stg_flights" in said
    done = command(project, "claims", "resume", "lake/stg_flights")
    assert done.returncode == 0, done.stderr


def test_a_class_of_ones_own_is_asked(project: DgProject) -> None:
    project.write({"src/shop/components.py": OWN})
    text = project.yaml.read_text(encoding="utf-8").partition("  translation:")[0]
    kind = "dagster_transform.TransformComponent"
    project.yaml.write_text(text.replace(kind, "shop.components.Ours"), encoding="utf-8")
    assert {each["name"] for each in listed(project)} >= {"ours/delays", "ours/stg_flights"}


def test_a_component_that_can_not_be_loaded(project: DgProject) -> None:
    """No name is shown that Dagster does not have; graph files are written all the same."""
    text = project.yaml.read_text(encoding="utf-8")
    kind = "dagster_transform.TransformComponent"
    project.yaml.write_text(text.replace(kind, "shop.nowhere.Ours"), encoding="utf-8")
    done = command(project, "list")
    assert done.returncode == 1
    assert "shop.nowhere" in done.stderr
    assert "dg check defs" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    done = command(project, "prepare")
    assert done.returncode == 0, done.stderr
    assert "Warning: whether Dagster can show them was not looked at" in done.stderr


def test_without_a_project_of_dg(project: DgProject, tmp_path: Path) -> None:
    write_two_frameworks(tmp_path)
    (tmp_path / "transform.yaml").unlink()
    attributes = ATTRIBUTES.replace("{{ context.project_root }}/", "").replace("../../../../", "")
    lone = DgProject(project.folder, project.home)
    text = lone.yaml.read_text(encoding="utf-8")
    try:
        lone.component(attributes)
        (tmp_path / "defs.yaml").write_text(lone.yaml.read_text(encoding="utf-8"), encoding="utf-8")
    finally:
        lone.yaml.write_text(text, encoding="utf-8")
    for word, code in (("prepare", 0), ("list", 1)):
        done = project.command("dagster-transform", word, "--config", str(tmp_path))
        assert done.returncode == code, done.stderr
        assert "there is no project of dg above this file" in done.stderr
