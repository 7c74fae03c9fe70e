from __future__ import annotations

from dagster_transform.sqlmesh.runs.row_counts import add


def test_what_is_known_is_added_up() -> None:
    assert add(None, None) is None
    assert add(None, 3) == add(3, None) == 3
    assert add(3, 4) == 7
    assert add(0, None) == 0
