"""The schema of the component's attributes: that of transform.yaml, with templates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from dagster_transform import TransformComponent
from dagster_transform.config import TransformConfig
from dagster_transform.config.examples import EXAMPLE
from dagster_transform.dagster._compat_components import DefsStateConfigArgs

SCHEMA = TransformComponent.get_model_cls().model_json_schema()
# What 1.11 calls so.
KEPT = "type" if "type" in DefsStateConfigArgs.model_fields else "management_type"
PROJECTS = "projects: {a: {framework: dbt, path: d}}\n"


def errors(text: str) -> Iterator[Any]:
    return Draft202012Validator(SCHEMA).iter_errors(yaml.safe_load(text))


def test_it_has_the_keys_of_transform_yaml_and_its_own_all_described() -> None:
    own = {"name", "executor", "translation", "defs_state"}
    assert set(SCHEMA["properties"]) == {*TransformConfig.model_fields, *own}
    without = [name for name, key in SCHEMA["properties"].items() if not key.get("description")]
    assert without == []
    assert SCHEMA["required"] == ["projects"]
    Draft202012Validator.check_schema(SCHEMA)


def test_the_example_fits() -> None:
    assert [error.message for error in errors(EXAMPLE)] == []


@pytest.mark.parametrize(
    "text",
    [
        "max_concurrent_models: ${N}",
        "max_concurrent_models: '{{ env.N }}'",
        "job_groups: {jobs: '${JOBS:-each}', max_job_groups: '{{ env.N }}'}",
        "executor: false",
        "translation: {key: '{{ node.schema }}/{{ node.table }}', tags: {a: b}}",
        "name: other",
        f"defs_state: {{refresh_if_dev: false, {KEPT}: LOCAL_FILESYSTEM}}",
    ],
)
def test_what_fits(text: str) -> None:
    assert [error.message for error in errors(PROJECTS + text)] == []


@pytest.mark.parametrize(
    ("text", "path", "says"),
    [
        (PROJECTS + "max_concurrent_models: many", ["max_concurrent_models"], "many"),
        (PROJECTS + "alrets: {}", [], "alrets"),
        ("alerts: {}", [], "'projects' is a required property"),
        (
            "projects: {a: {framework: dbt, path: d, enviroment: x}}",
            ["projects", "a"],
            "'enviroment' was unexpected",
        ),
        ("projects: {a: {framework: sqlmesh}}", ["projects", "a"], "'path' is a required"),
        ("projects: {a: {framework: spark, path: d}}", ["projects", "a", "framework"], "spark"),
    ],
)
def test_what_does_not_fit_is_named_where_it_is(text: str, path: list[str], says: str) -> None:
    (error,) = errors(text)
    assert list(error.absolute_path) == path
    assert says in error.message
