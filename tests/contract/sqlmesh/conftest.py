"""A small SQLMesh project, loaded and planned, whose private parts the tests look at.

Each test names its part when it fails. Whether the parts do what we use them for is shown by the
integration tests; here is what would break silently, or with an error that says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dagster_transform.sqlmesh import _compat
from tests.support.private_parts import AUDIT, CONFIG, MODEL, NOW


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compat")
    for path, text in {
        "config.yaml": CONFIG % (folder / "w.duckdb"),
        "models/a.sql": MODEL,
        "audits/mine.sql": AUDIT,
    }.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text)
    return folder


@pytest.fixture
def context(folder: Path) -> Iterator[Any]:
    context = _compat.import_sqlmesh().Context(paths=[str(folder)])
    yield context
    _compat.close_connections(context)


@pytest.fixture
def planned(context: Any) -> Any:
    """The context of a project whose environment prod is there."""
    context.plan(
        auto_apply=True, no_prompts=True, skip_tests=True, no_diff=True, execution_time=NOW
    )
    return context
