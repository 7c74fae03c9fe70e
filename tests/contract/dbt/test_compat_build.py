"""The private parts of dbt that `dagster_transform.dbt.child._compat_build` touches."""

from __future__ import annotations

import importlib
import inspect
import re
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from packaging.version import Version

from dagster_transform.databases.backends import backend_id, new_name
from dagster_transform.databases.identity import server_identity
from dagster_transform.dbt.child import _compat, _compat_build, _compat_database
from dagster_transform.dbt.child.queue import RunQueue
from tests.support.dbt_folders import write


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")


def part(module: str, name: str) -> Any:
    """A private part by the dotted name in its module, or a failure that names it."""
    found: Any = importlib.import_module(module)
    for step in name.split("."):
        missing = object()
        found = getattr(found, step, missing)
        if found is missing:
            pytest.fail(f"dbt has moved {module}.{name}, which dagster_transform.dbt uses")
    return found


SINCE_1_12 = Version(version("dbt-core")) >= Version("1.12")
RUNNABLE = "dbt.task.runnable"
RUN = "dbt.task.run"
ADAPTER = "dbt.adapters.base.connections"
DUCKDB = "dbt.adapters.duckdb.connections"
POSTGRES = "dbt.adapters.postgres.connections"


@pytest.mark.parametrize(
    ("module", "name", "parameters"),
    [
        ("dbt.task.build", "BuildTask.compile_manifest", ["self"]),
        ("dbt.task.build", "BuildTask.get_graph_queue", ["self"]),
        ("dbt.task.build", "BuildTask.handle_job_queue", ["self", "pool", "callback"]),
        ("dbt.task.build", "BuildTask.handle_job_queue_node", ["self", "node", "pool", "callback"]),
        ("dbt.task.build", "BuildTask.get_runner_type", ["self", "node"]),
        ("dbt.task.build", "BuildTask.resource_types", ["self", "no_unit_tests"]),
        (
            RUNNABLE,
            "GraphRunnableTask.call_runner",
            ["self", "runner", *["parent_context"] * SINCE_1_12],
        ),
        (
            RUNNABLE,
            "GraphRunnableTask._mark_dependent_errors",
            ["self", "node_id", "result", "cause"],
        ),
        (RUNNABLE, "GraphRunnableTask._handle_result", ["self", "result"]),
        ("dbt.task.base", "BaseRunner.handle_exception", ["self", "e", "ctx"]),
        (
            RUN,
            "ModelRunner._execute_model",
            ["self", "hook_ctx", "context_config", "model", "context", "materialization_macro",
             *["manifest"] * SINCE_1_12],
        ),
        (
            RUN,
            "MicrobatchBatchRunner._build_failed_run_batch_result",
            ["self", "model", "batch", "elapsed_time"],
        ),
        ("dbt.compilation", "Compiler.initialize", ["self"]),
        (
            "dbt.artifacts.schemas.run",
            "RunResult.from_node",
            ["node", "status", "message"],
        ),
        ("dbt.artifacts.schemas.run.v5.run", "process_run_result", ["result"]),
        ("dbt.artifacts.schemas.freshness.v3.freshness", "process_freshness_result", ["result"]),
        ("dbt.contracts.graph.manifest", "Manifest.expect", ["self", "unique_id"]),
        ("dbt.adapters.factory", "get_adapter", ["config"]),
        ("dbt.adapters.base.impl", "BaseAdapter.type", []),
        ("dbt.adapters.base.impl", "BaseAdapter.get_columns_in_relation", ["self", "relation"]),
        (ADAPTER, "BaseConnectionManager.commit_if_has_connection", ["self"]),
        (ADAPTER, "BaseConnectionManager.open", ["connection"]),
        (DUCKDB, "DuckDBConnectionManager.cancel", ["self", "connection"]),
        (POSTGRES, "PostgresConnectionManager.cancel", ["self", "connection"]),
        ("dbt.adapters.duckdb.environments.local", "LocalEnvironment.close", ["self"]),
        ("dbt.utils", "args_to_dict", ["args"]),
    ],
)  # fmt: skip
def test_what_is_called_or_replaced_is_there(module: str, name: str, parameters: list[str]) -> None:
    found = list(inspect.signature(part(module, name)).parameters)
    assert found == parameters, f"dbt's {name} takes other arguments now"


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (DUCKDB, "DuckDBConnectionManager._ENV"),
        ("dbt.artifacts.schemas.freshness", "FreshnessExecutionResultArtifact.dbt_schema_version"),
        ("dbt.artifacts.schemas.run", "RunResultsArtifact.dbt_schema_version"),
        ("dbt.contracts.graph.nodes", "ModelNode.defer_relation"),
        ("dbt.task.freshness", "FreshnessRunner"),
        ("dbt.version", "__version__"),
        ("dbt_common.events.functions", "get_invocation_id"),
    ],
)
def test_what_is_read_is_there(module: str, name: str) -> None:
    part(module, name)


def test_the_queue_has_all_that_dbt_asks_of_its_own() -> None:
    """What dbt's tasks read of `job_queue`: a new name there would be missed in mid-run."""
    asked: set[str] = set()
    for module in (RUNNABLE, RUN, "dbt.task.build"):
        source = inspect.getsource(importlib.import_module(module))
        asked |= set(re.findall(r"job_queue\.(\w+)", source))
    only_fail_fast = {"wait_until_something_was_done"}
    queue = RunQueue(["a"], str.upper)
    assert {name for name in asked if not hasattr(queue, name)} == only_fail_fast
    assert "empty" in asked
    assert "mark_done" in asked


def test_a_commit_of_a_materialisation_is_seen() -> None:
    """`adapter.commit()` in a macro must end in the manager's `commit`, looked up on the object."""
    code = inspect.getsource(part(ADAPTER, "BaseConnectionManager.commit_if_has_connection"))
    assert "self.commit()" in code


def test_connections_are_opened_through_the_object() -> None:
    """A connection that is needed for the first time must end in the manager's `open`, looked up on
    the object."""
    code = inspect.getsource(part(ADAPTER, "BaseConnectionManager.set_connection_name"))
    assert code.count("LazyHandle(self.open)") == code.count("LazyHandle(")


def test_events_that_are_left_out_or_kept_exist() -> None:
    modules = ("dbt.events.types", "dbt.adapters.events.types", "dbt_common.events.types")
    known = {name for module in modules for name in dir(importlib.import_module(module))}
    assert (
        _compat_build._SAID_ELSEWHERE | _compat_build._WORTH_READING | {"GenericExceptionOnRun"}
        <= known
    )


def test_dbt_calls_an_exception_in_a_batch_as_we_cut_it_off() -> None:
    source = inspect.getsource(part(RUN, "MicrobatchBatchRunner"))
    assert f'exc=f"{_compat_build._IN_THREAD}' in source
    assert hasattr(part("dbt.events.types", "GenericExceptionOnRun")().pb_msg, "unique_id")


def test_postgres_backends_are_named_by_the_credentials() -> None:
    from dbt.adapters.postgres.connections import PostgresCredentials

    name = new_name()
    given = {"host": "h", "port": 5432, "user": "u", "password": "hunter2", "schema": "s",
             "database": "w", "application_name": "mine" * 20}  # fmt: skip
    credentials = PostgresCredentials.from_dict(given)
    build = SimpleNamespace(config=SimpleNamespace(credentials=credentials))
    server = _compat_database.name_backends(build, name)
    assert server["backends"] == backend_id(server_identity("postgres", "h", 5432, "w"), name)
    assert credentials.application_name.startswith("minemine")
    assert credentials.application_name.endswith(f" {name}")
    assert len(credentials.application_name) <= 63
    assert server["connect"] == {
        "dbname": "w", "host": "h", "port": 5432, "user": "u", "password": "hunter2"
    }  # fmt: skip
    source = inspect.getsource(part(POSTGRES, "PostgresConnectionManager"))
    assert 'kwargs["application_name"] = credentials.application_name' in source


class Recorder:
    """A host that gives a build its nodes at once, and keeps what it hears."""

    def __init__(self, *nodes: str) -> None:
        self.nodes = nodes
        self.ended: dict[str, dict[str, Any]] = {}
        self.begun: dict[str, SimpleNamespace] = {}
        self.connected: list[str] = []
        self.build: Any = None

    def take_over(self, build: Any) -> RunQueue[Any]:
        self.build = build
        self.loaded = _compat_build.loaded_fields(build)
        known = _compat_build.known_nodes(build, self.nodes)
        queue = RunQueue(known, lambda node: _compat_build.node_of(build, node))
        for node in known:
            queue.put(node)
        queue.end()
        return queue

    def begin(self, node: str) -> Any:
        self.begun[node] = SimpleNamespace(
            node=node, refresh=True, cancelled=False, made=False, error=None
        )
        return self.begun[node]

    def is_cancelled(self, node: str) -> bool:
        return False

    def may_build(self, node: Any) -> bool:
        self.connected.append(node.node)
        return not node.node.endswith(".refused")

    def note_made(self, node: Any) -> None:
        node.said = True

    def finish(self, node: Any, fields: dict[str, Any]) -> None:
        [unique_id] = [u for u, n in self.begun.items() if n is node]
        self.ended[unique_id] = fields

    def refuse(self, node: str, reason: str) -> None:
        self.ended[node] = {"status": "refused", "message": reason}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_build_does_what_it_is_handed_and_decides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node is done although what it reads has failed."""
    import dbt.task.build

    monkeypatch.setattr(dbt.task.build, "BuildTask", dbt.task.build.BuildTask)
    write(tmp_path, path=str(tmp_path / "w.duckdb"))
    for name, text in {
        "a.sql": "select 1 as n",
        "bad.sql": "select nonsense",
        "below.sql": "select 2 as n -- {{ ref('bad') }}",
        "refused.sql": "select 3 as n",
    }.items():
        (tmp_path / "models" / name).write_text(text)
    model = "model.p."
    host = Recorder(*[model + n for n in ("a", "bad", "below", "refused", "gone")])
    _compat_build.replace_build(host)
    place = ["--project-dir", str(tmp_path), "--profiles-dir", str(tmp_path)]
    found = _compat.invoke(
        ["--quiet", "--log-level-file", "none", "--no-write-json", "--no-fail-fast", "build",
         *place, "--target-path", str(tmp_path / "target"), "--log-path", str(tmp_path)],
        lambda event: None,
    )  # fmt: skip
    assert _compat_build.reason_of(found) == "", (
        "failed nodes are results, not the invocation's end"
    )
    statuses = {node.removeprefix(model): fields["status"] for node, fields in host.ended.items()}
    assert statuses == {"a": "success", "bad": "error", "below": "success", "refused": "error"}
    # Whoever builds is asked once it is connected, and executes nothing where it must not.
    assert set(host.connected) == {model + n for n in ("a", "bad", "below", "refused")}
    assert "its claim was lost" in host.ended[model + "refused"]["message"]
    assert host.ended[model + "a"]["artifact"]["unique_id"] == model + "a"
    assert host.ended[model + "a"]["relation"] == '"w"."main"."a"'
    assert "nonsense" in host.ended[model + "bad"]["message"]
    assert host.begun[model + "bad"].error is not None
    assert host.begun[model + "a"].error is None
    made = {u.removeprefix(model) for u, node in host.begun.items() if node.made and node.said}
    assert made == {"a", "below"}
    assert host.loaded["threads"] == 1
    assert host.loaded["connection"]["type"] == "duckdb"
    assert "vars" not in host.loaded["metadata"]["args"]
    query = _compat_database.query_of(host.build, model + "below")
    assert query is not None
    assert query.startswith("select 2 as n")
    [read] = _compat_database.reads_of(host.build, model + "below")
    assert (read.node, read.relation) == (model + "bad", '"w"."main"."bad"')
    assert (read.place["schema"], read.place["alias"]) == ("main", "bad")
    places = _compat_database.places(host.build)
    assert places.keys() == {model + name for name in ("a", "bad", "below", "refused")}
    assert places[model + "bad"] == read.place
    assert _compat_build.excluded_nodes(host.build, [model + "a"]) == []
    assert _compat_database.has_query(host.build, model + "a")
    with _compat_database.own_connection(host.build, "test"):
        own = _compat_database.relation_of(host.build, model + "a")
        assert _compat_database.columns_of(host.build, own) == {"n": "INTEGER"}
    _compat_database.close_database(host.build)
    assert len(host.build.node_results) == 4
    assert not host.build.graph.nodes(), "dbt's graph takes seconds to make"
