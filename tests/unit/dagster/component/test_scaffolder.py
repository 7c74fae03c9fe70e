"""What `dg scaffold defs` writes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from dagster.components import ScaffoldRequest

from dagster_transform.config import load_config
from dagster_transform.dagster.component.errors import ScaffoldError
from dagster_transform.dagster.component.scaffolder import (
    TransformScaffolder,
    TransformScaffoldParams,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    for name, file in (("my-shop", "dbt_project.yml"), ("marts", "config.py")):
        (root / name).mkdir(parents=True)
        (root / name / file).write_text("", encoding="utf-8")
    (root / "dg.toml").write_text("", encoding="utf-8")
    return root


def scaffold(
    root: Path,
    form: Literal["yaml", "python"] = "yaml",
    project_root: Path | None = None,
    **said: str,
) -> Path:
    target = root / "src" / "defs" / "transform"
    target.mkdir(parents=True)
    request = ScaffoldRequest(
        type_name="dagster_transform.TransformComponent",
        target_path=target,
        scaffold_format=form,
        project_root=project_root or root,
        params=TransformScaffoldParams(**said),
    )
    TransformScaffolder().scaffold(request)
    return target


def test_projects_that_are_named_load(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    target = scaffold(root, dbt_path="my-shop", sqlmesh_path="marts", environment="dev", target="t")
    text = (target / "defs.yaml").read_text(encoding="utf-8")
    assert text.startswith("type: dagster_transform.TransformComponent\n")
    assert "'{{ context.project_root }}/my-shop'" in text
    config = load_config(target)
    assert config.project("my_shop").paths == (root / "my-shop",)
    assert config.project("marts").environment == "dev"  # type: ignore[union-attr]


def test_in_python(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    target = scaffold(root, "python", dbt_path="my-shop")
    assert "TransformComponent(config=load_config(" in (target / "component.py").read_text()
    assert "../../../my-shop" in (target / "transform.yaml").read_text()
    assert load_config(target).project("my_shop").paths == (root / "my-shop",)


def test_a_project_elsewhere_is_written_whole(root: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "9 elsewhere"
    elsewhere.mkdir()
    (elsewhere / "dbt_project.yml").write_text("", encoding="utf-8")
    config = load_config(scaffold(root, dbt_path=str(elsewhere)))
    assert config.project("_9_elsewhere").paths == (elsewhere,)


def test_without_projects_there_are_none(root: Path) -> None:
    assert load_config(scaffold(root)).projects == {}


def test_a_folder_that_is_no_project(root: Path) -> None:
    with pytest.raises(ScaffoldError, match=r"src is no sqlmesh project: it has no config\.yaml"):
        scaffold(root, sqlmesh_path="src")
