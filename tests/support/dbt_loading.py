"""dbt projects that are prepared, and how that fails."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dagster_transform.dbt.errors import (
    DbtError,
)
from tests.support.dbt_projects import DbtProject
from tests.support.sqlmesh_projects import Database

MODEL = {"models/a.sql": "select 1 as n"}
LOCAL_PACKAGE = {
    "packages.yml": "packages: [{local: vendored/helper}]",
    "vendored/helper/dbt_project.yml": "{name: helper, version: '1.0', config-version: 2}",
    "vendored/helper/macros/one.sql": "{% macro one() %}1{% endmacro %}",
}


def project(
    tmp_path: Path, database: Database, files: Mapping[str, str] | None = None, **settings: Any
) -> DbtProject:
    return DbtProject(tmp_path / "d", database, {**MODEL, **(files or {})}, **settings)


def failure(made: DbtProject, kind: type[DbtError]) -> str:
    """What reading a project fails with; nothing is kept of it."""
    with pytest.raises(kind) as raised:
        made.read()
    assert type(raised.value) is kind
    assert "Traceback" not in str(raised.value)
    assert not made.artifacts.exists() or not any(made.artifacts.iterdir())
    return str(raised.value)
