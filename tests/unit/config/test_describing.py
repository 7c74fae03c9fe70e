"""The schema of transform.yaml: each key with the text of its model and an example of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from dagster_transform.config import TransformConfig, load_config
from dagster_transform.config.describing import texts_of
from dagster_transform.config.examples import EXAMPLE, examples_of
from dagster_transform.config.fields import Model

SCHEMA = TransformConfig.model_json_schema()


def models(of: type[Model] = Model) -> Iterator[type[Model]]:
    for model in of.__subclasses__():
        if model.__module__.startswith("dagster_transform.config."):
            yield model
            yield from models(model)


KEYS = [
    (model, name)
    for model in models()
    for name in model.model_fields
    if model.__module__ != "dagster_transform.config.job_group_file"
]


@pytest.mark.parametrize(("model", "name"), KEYS, ids=lambda each: getattr(each, "__name__", each))
def test_every_key_has_a_text_and_an_example(model: type[Model], name: str) -> None:
    discriminators = {"framework", "type"}
    if name not in discriminators:
        assert texts_of(model).get(name), f"the docstring of {model.__name__} says nothing of it"
    assert name in examples_of(model), "config/examples.py has it nowhere"


def test_they_are_in_the_schema() -> None:
    path = SCHEMA["$defs"]["SqlmeshProject"]["properties"]["path"]
    assert path["description"].startswith("Its folder or folders (SQLMesh runs several as one)")
    assert path["examples"] == ["sqlmesh_project"]
    select = SCHEMA["$defs"]["DbtProject"]["properties"]["select"]
    assert "selection syntax" in select["description"], "a key of the base"
    assert select["examples"] == [["marts.*"]]
    assert SCHEMA["properties"]["alerts"]["description"] == "Who is told what became of runs."


def test_the_example_loads_and_fits_the_schema(folder: Path) -> None:
    for name in ("sqlmesh_project", "dbt_project", "profiles"):
        (folder / name).mkdir(exist_ok=True)
    Path("transform.yaml").write_text(EXAMPLE, encoding="utf-8")
    load_config()
    assert list(errors(yaml.safe_load(EXAMPLE))) == []


@pytest.mark.parametrize(
    "project",
    [
        {"framework": "dbt", "path": "d", "checks": "apart", "watch": "artifacts", "vars": None},
        {"framework": "dbt", "path": "d", "key_prefix": "a/b", "select": "tag:x", "exclude": None},
        {"framework": "sqlmesh", "path": ["a", "b"], "source_keys": {"a.b": ["c", "d"]}},
        {"framework": "sqlmesh", "path": "a", "gateway": "", "checks": None},
    ],
)
def test_short_ways_to_write_things_fit_the_schema(project: dict[str, Any]) -> None:
    text = {"projects": {"a": project}, "job_groups": {"merge_cadences": True}}
    TransformConfig.model_validate(text)
    assert list(errors(text)) == []


@pytest.mark.parametrize(
    "text",
    [
        {"projects": {"a": {"framework": "dbt", "path": "d", "enviroment": "x"}}},
        {"projects": {"a": {"framework": "spark", "path": "d"}}},
        {"projects": {}, "max_concurrent_models": 0},
        {"projects": {}, "job_groups": {"jobs": "some"}},
    ],
)
def test_what_is_wrong_does_not_fit_it(text: dict[str, Any]) -> None:
    assert list(errors(text))


def errors(text: Any) -> Iterator[str]:
    return (error.message for error in Draft202012Validator(SCHEMA).iter_errors(text))
