"""Private parts of dbt that a build which gets its nodes from the run touches, each with a contract
test (tests/contract/test_dbt_compat_build.py).

Only the dbt process of a run calls what is here; dbt is imported inside the functions.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Collection
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from dagster_transform.dbt.child._compat import Invocation, connection_of
from dagster_transform.dbt.child._compat_database import (
    adapter_of,
    is_relation,
    refresh_relation,
)
from dagster_transform.dbt.child.queue import RunQueue
from dagster_transform.dbt.unique_ids import UniqueId
from dagster_transform.errors import words_of


class BuildNode(Protocol):
    """A node that dbt does right now.

    Attributes:
        node: Its unique id.
        refresh: Whether others may have made or dropped its relation since dbt looked.
        cancelled: Whether it is to end.
        made: Whether the database has committed its relation.
        error: The exception that ended it, if one did.
    """

    node: UniqueId
    refresh: bool
    cancelled: bool
    made: bool
    error: BaseException | None


NodeT = TypeVar("NodeT", bound=BuildNode)


class BuildHost(Protocol[NodeT]):
    """Who gives a build its nodes, and hears what becomes of them."""

    def take_over(self, build: Any) -> RunQueue[Any]:
        """The queue of a build whose project is loaded; waits until the run opens it."""

    def begin(self, node: UniqueId) -> NodeT:
        """A thread of dbt's begins a node."""

    def is_cancelled(self, node: UniqueId) -> bool:
        """Whether no more is to be done for a node that dbt does right now."""

    def may_build(self, node: NodeT) -> bool:
        """Whether a node that has just got a connection is still the run's to build."""

    def note_made(self, node: NodeT) -> None:
        """The database has committed its relation."""

    def finish(self, node: NodeT, fields: dict[str, Any]) -> None:
        """It has ended; `fields` are those of a `Result`."""

    def refuse(self, node: UniqueId, reason: str) -> None:
        """Hear that dbt can't begin a node."""


def replace_build(host: BuildHost[Any]) -> None:
    """Make `dbt build` in this process a build whose nodes come from `host`."""
    module = _module("dbt.task.build")
    # `dbt build` looks the class up when it runs. Of its methods, `_Walked` has its own.
    module.BuildTask = type("WalkedBuild", (_Walked, module.BuildTask), {"host": host})


_Base: Any = object  # dbt's class is there only once dbt is imported


class _Walked(_Base):  # type: ignore[misc]
    """What is different in dbt's BuildTask: all that decides on nodes is taken out.

    No graph is made (with tests at 1,000 models that takes dbt ten seconds), unit tests are nodes
    like others, freshness is one too, nothing is skipped because something else failed, and
    whatever a node raises becomes its result.
    """

    host: BuildHost[Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._here = threading.local()  # the node of a thread, and its results by name
        self._ended: set[str] = set()

    def compile_manifest(self) -> None:
        self.compiler.initialize()
        self.graph = _module("dbt.graph").Graph(_module("networkx").DiGraph())

    def get_graph_queue(self) -> Any:
        connections = adapter_of(self).connections
        commit = connections.commit

        def commit_and_note(*args: Any, **kwargs: Any) -> Any:
            done = commit(*args, **kwargs)
            node, result = (getattr(self._here, name, None) for name in ("node", "result"))
            if node is not None and result is not None and result("main") is not None:
                node.made = True
                self.host.note_made(node)
            return done

        open_connection = connections.open

        def open_and_ask(connection: Any) -> Any:
            opened = open_connection(connection)
            node = getattr(self._here, "builds", None)
            if node is not None and not self.host.may_build(node):
                connections.close(opened)
                raise _module("dbt_common.exceptions").DbtRuntimeError("its claim was lost")
            return opened

        connections.commit = commit_and_note
        connections.open = open_and_ask
        return self.host.take_over(self)

    def handle_job_queue(self, pool: Any, callback: Any) -> None:
        node = self.job_queue.get()
        try:
            self.handle_job_queue_node(node, pool, callback)
        except Exception as error:  # noqa: BLE001 - else the whole invocation would end
            self.job_queue.mark_done(node.unique_id)
            self.host.refuse(node.unique_id, str(error) or type(error).__name__)

    def get_runner_type(self, node: Any) -> Any:
        if str(node.resource_type) == "source":
            return _module("dbt.task.freshness").FreshnessRunner
        return super().get_runner_type(node)

    def call_runner(self, runner: Any, *context: Any) -> Any:
        # dbt-core 1.12 gives it the context of its tracing too; earlier ones have none.
        if hasattr(runner, "batch_idx"):
            return self._call_batch(runner, context)
        node = self.host.begin(runner.node.unique_id)
        self._here.node, self._here.result = node, None
        self._here.builds = node if is_relation(self, node.node) else None
        try:
            self._watch(runner, node)
            if node.cancelled:
                result = _failed(runner, "cancelled")
            else:
                if node.refresh:
                    refresh_relation(self, runner.node)
                result = super().call_runner(runner, *context)
        except BaseException as error:  # noqa: BLE001 - a Python model may call sys.exit
            node.error = error
            result = _failed(runner, f"{type(error).__name__}: {error}")
        finally:
            self._here.node = self._here.builds = None
        self.host.finish(node, _fields_of(result))
        return result

    def _call_batch(self, runner: Any, context: tuple[Any, ...]) -> Any:
        """A batch of a microbatch model: on the model's thread, or on another one of the pool."""
        with suppress(BaseException):  # as above; dbt has logged what went wrong
            if not self.host.is_cancelled(runner.node.unique_id):
                self._here.builds = self.host.begin(runner.node.unique_id)
                return super().call_runner(runner, *context)
        return runner._build_failed_run_batch_result(runner.node, runner.batches[runner.batch_idx])

    def _watch(self, runner: Any, node: BuildNode) -> None:
        """Keep the exception, of which dbt keeps the text only, and see what the node executes."""
        handle_exception = runner.handle_exception

        def keep(error: Exception, context: Any) -> Any:
            node.error = error
            return handle_exception(error, context)

        runner.handle_exception = keep
        if not hasattr(runner, "_execute_model"):
            return  # a test
        execute_model = runner._execute_model

        def see(
            hook_ctx: Any, context_config: Any, model: Any, context: Any, *rest: Any
        ) -> Any:  # the materialization follows, and in dbt-core 1.12 the manifest
            self._here.result = context["load_result"]
            return execute_model(hook_ctx, context_config, model, context, *rest)

        runner._execute_model = see

    def _mark_dependent_errors(self, *_: Any) -> None:
        pass

    def _handle_result(self, result: Any) -> None:
        node = result.node
        if str(node.resource_type) == "source":
            return  # neither the on-run-end hooks nor run_results.json know such results
        if node.unique_id in self._ended:  # it was tried again: the last time counts
            self.node_results[:] = [
                r for r in self.node_results if r.node.unique_id != node.unique_id
            ]
        self._ended.add(node.unique_id)
        super()._handle_result(result)


def _failed(runner: Any, message: str) -> Any:
    error = _module("dbt.artifacts.schemas.results").RunStatus.Error
    return _module("dbt.artifacts.schemas.run").RunResult.from_node(runner.node, error, message)


def _fields_of(result: Any) -> dict[str, Any]:
    """A result of dbt's as the fields of a `Result`."""
    node, response = result.node, result.adapter_response or {}
    kind, status = str(node.resource_type), str(result.status)
    fields: dict[str, Any] = {
        "message": str(result.message or ""),
        "seconds": result.execution_time,
    }
    if kind == "source":
        return fields | _freshness(result, status)
    if kind in ("test", "unit_test"):
        fields["failures"] = result.failures if kind == "test" else None
        if kind == "test" or status != "pass":
            fields["query"] = getattr(node, "compiled_code", None)
    else:
        rows = response.get("rows_affected")
        fields["rows"] = rows if isinstance(rows, int) and rows >= 0 else None
    if result.batch_results is not None:
        done = len(result.batch_results.successful)
        fields["batches"] = (done, done + len(result.batch_results.failed))
    query_id = response.get("query_id") or response.get("job_id")
    process_run_result = _module("dbt.artifacts.schemas.run.v5.run").process_run_result
    return fields | {
        "status": status,
        "relation": getattr(node, "relation_name", None),
        "query_id": None if query_id is None else str(query_id),
        "artifact": process_run_result(result).to_dict(omit_none=False),
    }


def _freshness(result: Any, status: str) -> dict[str, Any]:
    """What is different where a source's freshness was asked for: "error" there means stale."""
    if not hasattr(result, "max_loaded_at"):  # it could not be found out
        error = {"error": result.message, "status": "runtime error"}
        artifact = {"unique_id": result.node.unique_id, **error}
        return {"status": "runtime error", "artifact": artifact}
    age = f"{result.age:.0f} s before {result.snapshotted_at:%Y-%m-%d %H:%M:%S}"
    message = f"its newest row is of {result.max_loaded_at:%Y-%m-%d %H:%M:%S}, {age}"
    if result.max_loaded_at.year == 1:  # what dbt puts where there is none
        message = "it has no rows, or none that says when it was loaded"
    module = _module("dbt.artifacts.schemas.freshness.v3.freshness")
    return {
        "status": {"error": "fail"}.get(status, status),
        "message": message,
        "artifact": module.process_freshness_result(result).to_dict(omit_none=False),
    }


def loaded_fields(build: Any) -> dict[str, Any]:
    """What a build whose project is loaded says of it, as fields of `Loaded`."""
    runs = _module("dbt.artifacts.schemas.run").RunResultsArtifact
    freshness = _module("dbt.artifacts.schemas.freshness").FreshnessExecutionResultArtifact
    arguments = _module("dbt.utils").args_to_dict(build.args)
    arguments.pop("vars", None)  # they may hold secrets
    return {
        "connection": connection_of(build.config),
        "threads": build.config.threads,
        "invocation": str(_module("dbt_common.events.functions").get_invocation_id()),
        "metadata": {
            "dbt_version": str(_module("dbt.version").__version__),
            "run_results": str(runs.dbt_schema_version),
            "sources": str(freshness.dbt_schema_version),
            "args": arguments,
        },
    }


_IN_THREAD = "Exception on worker thread. "
_SAID_ELSEWHERE = frozenset(
    {
        "CatchableExceptionOnRun", "GenericExceptionOnRun", "LogBatchResult", "LogFreshnessResult",
        "LogModelResult", "LogSeedResult", "LogSnapshotResult", "LogTestResult",
        "MainEncounteredError", "MainStackTrace", "RunResultError", "RunResultErrorNoMessage",
        "RunResultFailure", "RunResultWarning", "RunResultWarningMessage",
    }
)  # fmt: skip
_WORTH_READING = frozenset({"JinjaLogInfo", "LogHookEndLine", "PrintEvent"})


def worth_reading(event: Any) -> tuple[str, str] | None:
    """An event's level and text, where a person wants it: warnings, errors that are not a node's,
    what macros log, and hooks."""
    level, name = str(event.info.level), str(event.info.name)
    if name in _SAID_ELSEWHERE or (level not in ("warn", "error") and name not in _WORTH_READING):
        return None
    return level if level in ("warn", "error") else "info", str(event.info.msg).strip()


def failed_batch(event: Any) -> tuple[UniqueId, str, BaseException | None] | None:
    """A node's unique id and what went wrong in one of its batches: its result does not say it.

    dbt keeps the text only, but it says so while it handles the exception.
    """
    if str(event.info.name) != "GenericExceptionOnRun":
        return None
    text = str(event.data.exc).removeprefix(_IN_THREAD)
    return UniqueId(event.data.unique_id), text, sys.exc_info()[1]


def ended_batch(event: Any) -> tuple[UniqueId, int, str] | None:
    """Of a batch that has ended: its node's unique id, of how many batches it is one, and which."""
    if str(event.info.name) != "LogBatchResult":
        return None
    # "batch 2024-03-01 of microbatch model main.days"
    batch = str(event.data.description).removeprefix("batch ").partition(" of ")[0]
    return UniqueId(event.data.node_info.unique_id), int(event.data.total_batches), batch


def reason_of(invocation: Invocation) -> str:
    """Why an invocation ended as it did, in dbt's words; "" if all it has to say are results."""
    error = invocation.exception
    if error is None or type(error).__name__ == "ResultExit":
        return ""
    return words_of(error)


def known_nodes(build: Any, nodes: Collection[UniqueId]) -> list[UniqueId]:
    """Those of the unique ids that the project has, in their order."""
    manifest = build.manifest
    kinds = (manifest.nodes, manifest.unit_tests, manifest.sources)
    return [node for node in nodes if any(node in kind for kind in kinds)]


def excluded_nodes(build: Any, nodes: Collection[UniqueId]) -> list[UniqueId]:
    """Those of the nodes whose type dbt's flags or the environment leave out, in their order.
    Freshness is not one of `dbt build`'s types."""
    wanted = {"source", *map(str, build.resource_types())}
    return [node for node in nodes if str(node_of(build, node).resource_type) not in wanted]


def node_of(build: Any, node: UniqueId) -> Any:
    """The node of a unique id."""
    return build.manifest.expect(node)


def failed_hooks(build: Any) -> list[str]:
    """What dbt says of the on-run-start and on-run-end hooks that failed."""
    return [
        str(result.message)
        for result in build.node_results
        if str(result.node.resource_type) == "operation" and str(result.status) == "error"
    ]


def _module(name: str) -> Any:
    """A module of dbt's, imported where it is needed; what dbt declares of it is not followed."""
    return importlib.import_module(name)
