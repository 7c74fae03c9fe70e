from __future__ import annotations

from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from dagster_transform.config import DbtProject
from dagster_transform.dbt.runs.build_arguments import build_arguments
from dagster_transform.dbt.runs.settings import BuildOptions
from tests.support.dbt_settings import dbt_settings

PROJECT = DbtProject(framework="dbt", path=Path("/p"))


def given(**settings: Any) -> tuple[str, ...]:
    return build_arguments(dbt_settings(PROJECT, Path("/r"), "run", **settings))


def after(found: tuple[str, ...], name: str) -> str:
    return found[found.index(name) + 1]


def test_the_run_decides_and_writes() -> None:
    found = given()
    assert {"--no-fail-fast", "--cache-selected-only", "--no-write-json"} <= set(found)
    assert "--single-threaded" not in found
    assert not {"--select", "--exclude", "--selector"} & set(found)
    assert after(found, "--project-dir") == "/p"
    assert after(found, "--target-path") == "/r/run/target"
    assert after(found, "--log-path") == "/r/run"


@pytest.mark.parametrize(
    ("option", "value", "name", "text"),
    [
        ("target", "prod", "--target", "prod"),
        ("profiles_dir", Path("/d"), "--profiles-dir", "/d"),
        ("threads", 3, "--threads", "3"),
        ("state", Path("/s"), "--state", "/s"),
        ("sample", "3 days", "--sample", "3 days"),
        ("parsed", Path("/m"), "--partial-parse-file-path", "/m"),
        ("vars", {"day": "2024-03-05", "n": 1}, "--vars", '{"day": "2024-03-05", "n": 1}'),
    ],
)
def test_an_option_is_given_if_and_only_if_it_is_set(
    option: str, value: Any, name: str, text: str
) -> None:
    assert name not in given()
    assert after(given(**{option: value}), name) == text


@pytest.mark.parametrize("switch", ["full_refresh", "defer", "favor_state", "empty"])
def test_a_switch_is_given_if_and_only_if_it_is_set(switch: str) -> None:
    name = f"--{switch.replace('_', '-')}"
    assert name not in given()
    assert name in given(**{switch: True})


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_option_is_one_of_dbt_build() -> None:
    """Their names are made of the fields': one that dbt does not have would end every run."""
    from dbt.cli.main import build

    known = {name for parameter in build.params for name in parameter.opts}
    options = {f"--{option.name.replace('_', '-')}" for option in fields(BuildOptions)}
    older = Version(version("dbt-core")) < Version("1.10")
    assert options - known == ({"--sample"} if older else set())
