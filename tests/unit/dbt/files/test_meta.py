from __future__ import annotations

from dagster_transform.dbt.files.meta import meta_of
from tests.support.dbt_resources import resource


def test_what_meta_says_is_found_in_either_place() -> None:
    meta = {"dagster_transform": {"cron": "@daily"}}
    assert meta_of(resource(meta=meta), "dagster_transform") == {"cron": "@daily"}
    assert meta_of(resource(config={"meta": meta}), "dagster_transform")["cron"] == "@daily"
    assert meta_of(resource(), "dagster_transform") == {}


def test_which_meta_counts_where_there_are_two() -> None:
    two = resource(meta={"dagster": {"x": 1}}, config={"meta": {"dagster": {"x": 2}}})
    assert meta_of(two, "dagster") == {"x": 1}
    assert meta_of(two, "dagster", config_first=True) == {"x": 2}
