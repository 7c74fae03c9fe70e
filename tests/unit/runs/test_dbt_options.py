"""What a run asks of its dbt projects reaches dbt's side."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml
from dagster_transform.dagster.execution.sessions import Sessions

from dagster_transform.config import load_config
from dagster_transform.dagster.execution.resource import DbtOptions, TransformResource
from dagster_transform.dagster.execution.scope import Scope
from dagster_transform.dbt.runs.settings import DbtSettings
from dagster_transform.graph import Graph

# Every option, with a value that is not its default.
ASKED: dict[str, Any] = {
    "threads": 3, "full_refresh": True, "vars": {"day": "2024-03-05"}, "defer": True,
    "state": "/state", "favor_state": True, "empty": True, "sample": "3 days",
    "node_timeout": 60.0, "run_timeout": 600.0, "memory": 0.5, "memory_wait": 5.0, "grace": 2.0,
    "kept_runs": 4, "fetch_row_counts": True, "fetch_columns": True,
    "fetch_column_lineage": True,
}  # fmt: skip
CALLED = {
    "fetch_row_counts": "row_counts",
    "fetch_columns": "columns",
    "fetch_column_lineage": "column_lineage",
}


def settings(folder: Path, options: DbtOptions) -> DbtSettings:
    project = {"framework": "dbt", "path": "d", "profiles_dir": "d"}
    (folder / "d").mkdir(exist_ok=True)
    (folder / "transform.yaml").write_text(yaml.safe_dump({"projects": {"d": project}}))
    config = load_config(folder)
    context: Any = SimpleNamespace(run=SimpleNamespace(run_id="abc"))
    nothing = Scope(frozenset(), frozenset(), frozenset())
    resource = TransformResource(dbt=options)
    make: Any = Sessions
    sessions = make(context, Graph.of(()), config, resource, nothing, holds=None, builds_in=None)
    found = sessions._dbt("d", config.project("d"))._settings
    assert isinstance(found, DbtSettings)
    return found


def test_every_option_reaches_dbt(tmp_path: Path) -> None:
    assert ASKED.keys() == DbtOptions.model_fields.keys()
    found = settings(tmp_path, DbtOptions(**ASKED))
    for name, value in ASKED.items():
        got = getattr(found, CALLED.get(name, name))
        assert got == (Path(value) if name == "state" else value), name


def test_what_nobody_asks_for_is_as_the_settings_have_it(tmp_path: Path) -> None:
    found = settings(tmp_path, DbtOptions())
    defaults = {f.name: f.default for f in fields(DbtSettings)}
    for name in ASKED.keys() - {"vars"}:
        called = CALLED.get(name, name)
        assert getattr(found, called) == defaults[called], name
