"""docs/transform-yaml.md: every example loads, and every setting has one. The command's help names
all settings of a project."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from dagster_transform.cli import main
from dagster_transform.config import DbtProject, SqlmeshProject, TransformConfig, load_config

PAGE = Path(__file__).parents[3] / "docs" / "transform-yaml.md"
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
MODELS = {"sqlmesh": SqlmeshProject, "dbt": DbtProject}


def projects() -> list[dict[str, Any]]:
    found = [yaml.safe_load(example)["projects"] for example in EXAMPLES]
    return [project for of_example in found for project in of_example.values()]


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_load(example: str, folder: Path) -> None:
    for name in ("sqlmesh_project", "dbt_project"):
        (folder / name).mkdir()
    Path("transform.yaml").write_text(example, encoding="utf-8")
    load_config()


@pytest.mark.parametrize("framework", MODELS)
def test_every_setting_of_a_project_has_an_example(framework: str) -> None:
    shown = {key for project in projects() if project["framework"] == framework for key in project}
    anywhere = {key for project in projects() for key in project}
    model = MODELS[framework]
    assert set(model.model_fields) <= anywhere
    assert {name for name in model.model_fields if name in model.__annotations__} <= shown


def test_every_other_setting_has_an_example() -> None:
    shown = {key for example in EXAMPLES for key in yaml.safe_load(example)}
    assert set(TransformConfig.model_fields) == shown


def test_the_help_names_every_setting_of_a_project() -> None:
    said = CliRunner().invoke(main, ["--help"]).output
    names = {name for model in MODELS.values() for name in model.model_fields}
    assert not {name for name in names if not re.search(rf"\b{name}\b", said)}
