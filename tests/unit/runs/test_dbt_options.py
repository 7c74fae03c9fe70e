"""What a run asks of its dbt projects reaches dbt's side."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from dagster_transform.config import load_config
from dagster_transform.dagster.execution.run_options import DbtOptions, TransformResource
from dagster_transform.dbt import KEPT_RUNS, BuildOptions, DbtSettings, Measures, ProcessLimits
from dagster_transform.graph import Graph
from dagster_transform.runs.claiming.claims import RunClaims
from dagster_transform.runs.lifetime import RunLifetime
from dagster_transform.runs.options import RunScope
from dagster_transform.runs.projects import ProjectRuns
from dagster_transform.walk import Unclaimed
from tests.support.claiming_runs import Lines

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
    made = ProjectRuns(
        run_id="abc",
        graph=Graph.of(()),
        config=config,
        options=TransformResource(dbt=options).run_options(config, {}),
        scope=RunScope(frozenset(), frozenset()),
        guard=Unclaimed(),
        lifetime=RunLifetime(),
        log=Lines(),
        new_claims=no_claims,
    )
    project_run: Any = made._dbt("d", config.project("d"))
    found = project_run._settings
    assert isinstance(found, DbtSettings)
    return found


def no_claims() -> RunClaims:
    raise AssertionError("nothing is claimed")


def value_of(settings: DbtSettings, name: str) -> Any:
    """What the settings have of a run option, in whichever group."""
    called = CALLED.get(name, name)
    groups = (settings.options, settings.limits, settings.measures, settings.folder)
    [group] = [group for group in groups if called in {f.name for f in fields(group)}]
    return getattr(group, called)


def test_every_option_reaches_dbt(tmp_path: Path) -> None:
    assert ASKED.keys() == DbtOptions.model_fields.keys()
    found = settings(tmp_path, DbtOptions(**ASKED))
    for name, value in ASKED.items():
        assert value_of(found, name) == (Path(value) if name == "state" else value), name


def test_what_nobody_asks_for_is_as_the_settings_have_it(tmp_path: Path) -> None:
    found = settings(tmp_path, DbtOptions())
    assert found.options == BuildOptions()
    assert found.limits == ProcessLimits()
    assert found.measures == Measures()
    assert found.folder.kept_runs == KEPT_RUNS
