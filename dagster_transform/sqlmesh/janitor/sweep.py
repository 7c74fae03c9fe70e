"""The janitor's sweep: drops environments that have expired and tables that none uses any more.

It also compacts the state's rows of intervals. The order and the rules are SQLMesh's
(`sqlmesh janitor`). What can't be dropped is named and stays in the state, so that the next sweep
tries again; it keeps nothing else from being dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlglot import exp
from sqlmesh.core.dialect import schema_
from sqlmesh.core.janitor import cleanup_expired_views
from sqlmesh.core.state_sync.common import ExpiredBatchRange, iter_expired_snapshot_batches

from dagster_transform.config import SqlmeshProject
from dagster_transform.errors import redact, words_of
from dagster_transform.sqlmesh import _compat
from dagster_transform.sqlmesh.janitor.report import DroppedEnvironment, Sweep
from dagster_transform.sqlmesh.project import opened


def sweep(
    name: str, project: SqlmeshProject, paths: Sequence[str], *, now: datetime, ignore_ttl: bool
) -> Sweep:
    """Drop what has expired, and compact the state's intervals.

    Args:
        name: The project's name in transform.yaml.
        project: Its configuration.
        paths: Its folders, resolved.
        now: What has expired by then is dropped; aware.
        ignore_ttl: Drop also tables that no environment uses and whose time is not over yet.

    Returns:
        What was dropped, and what could not be.

    Raises:
        SqlmeshError: The project or its database can't be used.
    """
    with opened(name, project, paths, "can't be swept") as context:
        state = _compat.existing_state(context)
        if state is None:
            return Sweep(name, planned=False)
        state.get_versions()  # of another version of SQLMesh: it raises
        _compat.load_materializations(context)
        return _Janitor(name, context, state, int(now.timestamp() * 1000)).sweep(ignore_ttl)


@dataclass
class _Janitor:
    name: str
    context: Any
    state: Any
    now: int
    failures: list[str] = field(default_factory=list)

    def sweep(self, ignore_ttl: bool) -> Sweep:
        before = _compat.interval_rows(self.state)
        # Environments first: what they have used is unused from then on.
        environments = list(self._environments())
        tables, snapshots = self._snapshots(ignore_ttl)
        self.state.compact_intervals()
        return Sweep(
            self.name,
            environments=tuple(environments),
            tables=tuple(tables),
            snapshots=snapshots,
            interval_rows=(before, _compat.interval_rows(self.state)),
            failures=tuple(redact(text) for text in self.failures),
            tolerated=bool(self.context.config.janitor.warn_on_delete_failure),
        )

    def _environments(self) -> Iterable[DroppedEnvironment]:
        for summary in self.state.get_expired_environments(current_ts=self.now):
            environment = self.state.get_environment(summary.name)
            default, adapters, failure = _compat.cleanup_adapters(self.context, environment)
            if failure:
                self.failures.append(failure)
                continue
            views = _views(environment, default, adapters)
            before = _present(views)
            failures = cleanup_expired_views(default, adapters, [environment])
            dropped = sorted(before - _present(views))
            if failures:
                self.failures += failures
            else:
                self.state.delete_expired_environments(current_ts=self.now, name=summary.name)
            yield DroppedEnvironment(
                summary.name, summary.expiration_ts, views=tuple(dropped), whole=not failures
            )

    def _snapshots(self, ignore_ttl: bool) -> tuple[list[str], int]:
        """Names of the tables that were dropped, and how many records of the state."""
        tables: list[str] = []
        records = 0
        batches = iter_expired_snapshot_batches(
            self.state,
            current_ts=self.now,
            ignore_ttl=ignore_ttl,
            batch_size=self.context.config.janitor.expired_snapshots_batch_size,
        )
        for batch in batches:
            targets = list(self._tables(batch.cleanup_tasks))
            before = _present(targets)
            complete = self._drop(batch.cleanup_tasks)
            tables += sorted(before - _present(targets))
            if complete:
                # From where this batch begins: an earlier one whose tables are still there keeps
                # its records.
                found = ExpiredBatchRange(start=batch.batch_range.start, end=batch.batch_range.end)
                self.state.delete_expired_snapshots(
                    batch_range=found, ignore_ttl=ignore_ttl, current_ts=self.now
                )
                records += len(batch.expired_snapshot_ids)
        return tables, records

    def _drop(self, tasks: Sequence[Any]) -> bool:
        evaluator = self.context.snapshot_evaluator
        try:
            evaluator.cleanup(tasks)
        except Exception:  # noqa: BLE001 - a driver's, or SQLMesh's of many
            # It leaves out what the failed ones read, without a word: so, one by one.
            failures = len(self.failures)
            for task in tasks:
                try:
                    evaluator.cleanup([task])
                except Exception as error:  # noqa: BLE001
                    table = task.snapshot.table_name(is_deployable=not task.dev_table_only)
                    self.failures.append(
                        f"Failed to drop the expired table {table} of {words_of(error)}"
                    )
            return failures == len(self.failures)
        return True

    def _tables(self, tasks: Iterable[Any]) -> Iterable[tuple[Any, exp.Table]]:
        evaluator = self.context.snapshot_evaluator
        for task in tasks:
            info = task.snapshot
            if not info.is_model or info.is_symbolic:
                continue
            deployable = (False,) if task.dev_table_only else (False, True)
            tables = [info.table_name(is_deployable=d) for d in deployable]
            if info.model_gateway and info.model_gateway not in evaluator.adapters:
                self.failures.append(
                    f"Nobody can drop {', '.join(tables)}: the project has no gateway "
                    f"'{info.model_gateway}' any more"
                )
                continue
            adapter = evaluator.get_adapter(info.model_gateway)
            for table in tables:
                yield adapter, exp.to_table(table, dialect=adapter.dialect)


def _views(environment: Any, default: Any, adapters: Any) -> list[tuple[Any, exp.Table]]:
    """The views of an environment, with the adapter that reaches them."""
    found = []
    for info in environment.snapshots:
        if info.is_model and not info.is_symbolic:
            own = environment.gateway_managed and info.model_gateway
            adapter = adapters.get(info.model_gateway, default) if own else default
            view = info.qualified_view_name.table_for_environment(
                environment.naming_info, dialect=adapter.dialect
            )
            found.append((adapter, view))
    return found


def _present(targets: Iterable[tuple[Any, exp.Table]]) -> set[str]:
    """Those of the tables and views that are there, by name."""
    schemas: dict[tuple[str, str], tuple[Any, dict[str, str]]] = {}
    for adapter, table in targets:
        _, names = schemas.setdefault((table.catalog, table.db), (adapter, {}))
        names[table.name] = ".".join(part.name for part in table.parts)
    found: set[str] = set()
    for (catalog, db), (adapter, names) in schemas.items():
        objects = adapter.get_data_objects(schema_(db, catalog or None), set(names))
        found |= {names[o.name] for o in objects if o.name in names}
    return found
