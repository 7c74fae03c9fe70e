"""Private parts that a new SQLMesh must have: importing it, and its Context."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dagster_transform.sqlmesh import _compat
from tests.support.private_parts import AUDIT, CONFIG, part, takes

# -- importing ------------------------------------------------------------------------------------

PROBE = """
import os
from dagster_transform.sqlmesh._compat import import_sqlmesh
import_sqlmesh()
import threading
from sqlmesh.core import constants, analytics
print(constants.MAX_FORK_WORKERS, type(analytics.collector._dispatcher).__name__,
      [t.name for t in threading.enumerate() if t is not threading.main_thread()])
"""


def test_import_neither_forks_nor_reports_home() -> None:
    """constants.MAX_FORK_WORKERS and the analytics' switch are read while SQLMesh is imported."""
    names = ("MAX_FORK_WORKERS", "SQLMESH__DISABLE_ANONYMIZED_ANALYTICS")
    environment = {k: v for k, v in os.environ.items() if k not in names}
    ran = subprocess.run(
        [sys.executable, "-c", PROBE], env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, f"SQLMesh has moved MAX_FORK_WORKERS or analytics: {ran.stderr}"
    assert ran.stdout.split() == ["1", "NoopEventDispatcher", "[]"], (
        "SQLMesh no longer reads MAX_FORK_WORKERS or SQLMESH__DISABLE_ANONYMIZED_ANALYTICS "
        f"at import: {ran.stdout}"
    )


def test_import_is_kept_from_the_collector() -> None:
    probe = (
        "import gc; from dagster_transform.sqlmesh._compat import import_sqlmesh; "
        "import_sqlmesh(); print(gc.get_freeze_count() > 100_000, gc.isenabled())"
    )
    ran = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["True", "True"]


@pytest.mark.long
def test_sqlglotc_is_named_where_it_stands_beside_sqlmesh(tmp_path: Path) -> None:
    """Installed for real, from the package index, into a folder that comes first."""
    wanted = [f"{name}=={version('sqlglot')}" for name in ("sqlglot", "sqlglotc")]
    uv = Path(sys.executable).with_name("uv")
    subprocess.run(
        [uv, "pip", "install", "--no-config", "--quiet", "--target", tmp_path, *wanted,
         "--python", sys.executable],
        check=True,
    )  # fmt: skip
    code = "from dagster_transform.sqlmesh._compat import import_sqlmesh; import_sqlmesh()"
    ran = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "SqlmeshMissingError: SQLMesh can't be imported beside sqlglotc" in ran.stderr
    assert "pip uninstall sqlglotc" in ran.stderr


# -- Context --------------------------------------------------------------------------------------


def test_context_load_materializations(folder: Path) -> None:
    context = _compat.import_sqlmesh().Context(paths=[str(folder)], load=False)
    takes(part(context, "_load_materializations", "Context._load_materializations"), named="it")
    _compat.load_materializations(context)
    assert not context.models, "Context(load=False) loads models now"


def test_context_nodes_to_snapshots(context: Any) -> None:
    part(context, "_nodes_to_snapshots", "Context._nodes_to_snapshots")
    snapshots = _compat.unversioned_snapshots(context, dict(context.models))
    (snapshot,) = snapshots.values()
    assert list(snapshots) == list(context.models), "Context._nodes_to_snapshots has other keys"
    assert snapshot.fingerprint.data_hash, "Context._nodes_to_snapshots gives no fingerprints"


def test_context_new_state_sync(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    database = tmp_path / "empty.duckdb"
    duckdb.connect(str(database)).close()  # where there is none, nothing is opened
    (tmp_path / "config.yaml").write_text(CONFIG % database)
    context = _compat.import_sqlmesh().Context(paths=[str(tmp_path)], load=False)
    part(context, "_new_state_sync", "Context._new_state_sync")
    if "_state_sync" not in vars(context):
        pytest.fail("SQLMesh has moved Context._state_sync")
    try:
        assert _compat.existing_state(context) is None, (
            "get_versions(validate=False).schema_version is no longer 0 where there is no state"
        )
        assert _compat.state_adapters(context), "StateSync.engine_adapter has moved"
    finally:
        _compat.close_connections(context)


def test_state_sync_adapters(planned: Any) -> None:
    assert planned.state_sync.get_environment("prod") is not None
    part(planned, "_state_sync", "Context._state_sync")
    (adapter,) = _compat.state_adapters(planned) or [None]
    if adapter is None:
        pytest.fail("SQLMesh has moved CachingStateSync.state_sync or its engine_adapter")
    assert adapter.fetchone("SELECT COUNT(*) FROM sqlmesh._environments") == (1,)
    state = _compat.existing_state(planned)
    assert state is not None
    assert state.get_environment("prod") is not None


def test_context_adapters_are_all_closed(planned: Any, folder: Path) -> None:
    """Context._engine_adapter and the cached Context.engine_adapters."""
    if "_engine_adapter" not in vars(planned):
        pytest.fail("SQLMesh has moved Context._engine_adapter")
    assert planned.engine_adapter.fetchone("SELECT 1") == (1,)
    if "engine_adapters" not in vars(planned):
        pytest.fail("SQLMesh no longer caches Context.engine_adapters in the instance")
    _compat.close_connections(planned)
    # Nothing but a second process can tell whether DuckDB's file is free.
    probe = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute('SELECT * FROM s.a')"
    ran = subprocess.run(
        [sys.executable, "-c", probe, str(folder / "w.duckdb")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, f"a closed context still holds its file: {ran.stderr}"


def test_context_concurrent_tasks(context: Any) -> None:
    assert part(context, "concurrent_tasks", "Context.concurrent_tasks") == 1


def test_statements_are_kept_as_they_were_written(tmp_path: Path) -> None:
    """Model.pre_statements_, query_, post_statements_ and expressions_ of an audit."""
    model = (
        "MODEL (name s.b, kind FULL);\nCREATE TABLE x (i INT);\n"
        "-- why\nSELECT   1 AS n, /* and this */\n  2 AS m;\nDROP TABLE x"
    )
    for path, text in {
        "config.yaml": CONFIG % (tmp_path / "w.duckdb"),
        "models/b.sql": model,
        "audits/mine.sql": AUDIT,
    }.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    context = _compat.import_sqlmesh().Context(paths=[str(tmp_path)])
    before, query, after = _compat.statements_as_written(context.models['"w"."s"."b"'])
    _compat.close_connections(context)
    assert before.startswith("CREATE TABLE x")
    assert "SELECT   1 AS n, /* and this */\n  2 AS m" in query, "SQLMesh no longer keeps them"
    assert after == "DROP TABLE x"


def test_a_plan_can_select_a_model_that_no_expression_can_name(tmp_path: Path) -> None:
    """Context._selector_cls makes the selectors of plans."""
    from sqlmesh import Context

    (tmp_path / "models").mkdir()
    (tmp_path / "config.yaml").write_text(CONFIG % (tmp_path / "w.duckdb"), encoding="utf-8")
    for file, name in (("odd", 's."a b/ü"'), ("plain", "s.plain")):
        model = f"MODEL (name {name}, kind FULL); SELECT 1 AS n"
        (tmp_path / "models" / f"{file}.sql").write_text(model, encoding="utf-8")
    context = Context(paths=[str(tmp_path)])
    (odd,) = [fqn for fqn in context.models if "ü" in fqn]
    _compat.select_by_fqn(context)
    selector = context._new_selector()
    assert selector.expand_model_selections([odd]) == {odd}
    assert selector.expand_model_selections([odd, "s.plain"]) == set(context.models)
    plan = context.plan_builder("dev", select_models=[odd], skip_tests=True).build()
    assert {snapshot.name for snapshot in plan.new_snapshots} == {odd}
