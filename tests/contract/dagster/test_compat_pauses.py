"""What the jobs of pauses need of Dagster."""

from __future__ import annotations

import dagster as dg
import pytest

from dagster_transform.dagster._compat_pauses import USER_TAG, selected_assets


def test_the_tag_of_a_runs_user() -> None:
    assert USER_TAG == "user"


def test_a_selection_is_resolved_over_a_code_location() -> None:
    @dg.asset(group_name="g")
    def a() -> None: ...

    @dg.asset(deps=[a])
    def b() -> None: ...

    repository = dg.Definitions(assets=[a, b]).get_repository_def()
    assert selected_assets(repository, "group:g") == {dg.AssetKey("a")}
    assert selected_assets(repository, 'key:"a"+') == {dg.AssetKey("a"), dg.AssetKey("b")}
    assert selected_assets(repository, "key:nowhere") == set()
    with pytest.raises(dg.DagsterError, match="Invalid selection"):
        selected_assets(repository, "((")
