from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dagster_transform.dbt.runs.settings import DbtSettings, arguments

# -- arguments ----------------------------------------------------------------------------------


def given(**settings: Any) -> tuple[str, ...]:
    return arguments(DbtSettings(Path("/p"), Path("/r"), "run", **settings))


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
    ("setting", "value", "name", "text"),
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
    setting: str, value: Any, name: str, text: str
) -> None:
    assert name not in given()
    assert after(given(**{setting: value}), name) == text


@pytest.mark.parametrize("switch", ["full_refresh", "defer", "favor_state", "empty"])
def test_a_switch_is_given_if_and_only_if_it_is_set(switch: str) -> None:
    name = f"--{switch.replace('_', '-')}"
    assert name not in given()
    assert name in given(**{switch: True})
