"""The sessions of a run: from its options and transform.yaml to each framework's settings."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

import dagster as dg

from dagster_transform import dbt, sqlmesh
from dagster_transform.config import DbtProject, SqlmeshProject, TransformConfig
from dagster_transform.dagster.execution.claims_store import claims_of
from dagster_transform.dagster.execution.resource import RunOptionError, TransformResource
from dagster_transform.dagster.execution.scope import Scope
from dagster_transform.errors import TransformError
from dagster_transform.graph import Graph
from dagster_transform.walk import SharedResources, ProjectRun


class NotEndedError(TransformError):
    """What comes at the end of a project's part of a run was not carried out."""


@dataclass(frozen=True, slots=True)
class Sessions:
    """Makes the sessions of one op of a run.

    Attributes:
        context: Dagster's context of the op.
        graph: The combined graph.
        config: Where the projects are.
        options: What this run asks for.
        scope: What the run does in its other ops.
        holds: Whether the run still has its claim on a node, by id.
        builds_in: Told in which sessions on a database server a node, by its id, is built.
    """

    context: dg.AssetExecutionContext
    graph: Graph
    config: TransformConfig
    options: TransformResource
    scope: Scope
    holds: Callable[[str], bool]
    builds_in: Callable[[str, frozenset[str]], None]

    def of(self, selected: Collection[str]) -> dict[str, Session]:
        """The session of each project that has some of these nodes and checks.

        dbt's come first: their processes load their projects while the others are looked at.

        Raises:
            RunOptionError: An option can't be used.
        """
        graph = self.graph
        names = {(graph.nodes.get(thing) or graph.checks[thing]).project for thing in selected}
        projects = {name: self.config.project(name) for name in sorted(names)}
        found: dict[str, Session] = {}
        for name, project in projects.items():
            if isinstance(project, DbtProject):
                found[name] = self._dbt(name, project)
        if not found:
            dbt.expect_no_run()
        for name, project in projects.items():
            if isinstance(project, SqlmeshProject):
                found[name] = self._sqlmesh(name, project)
        return found

    def _sqlmesh(self, name: str, project: SqlmeshProject) -> Session:
        options = self.options
        settings = sqlmesh.SqlmeshSettings(
            environment=project.environment,
            paths=[str(path) for path in project.paths],
            now=moment_of_run(options.execution_time),
            plan=options.plan.value if options.plan else project.plan,
            ignore_cron=options.ignores_cron(self.context.run.tags),
            marker=self.config.graph_path(name).with_name(f"{name}.planned.json"),
            restate=options.restatement(),
            upstreams=options.upstreams.value,
            in_run=self._selected(name),
            turn=options.turn(name, sqlmesh.HooksOfRun, last=name not in self.scope.later),
            batches_apart=bool(self.config.connections),
            holds=self.holds,
            builds_in=self.builds_in,
        )

        def finish(*, completed: bool) -> None:
            if completed:
                sqlmesh.finish_run(name, project, self.graph, settings)

        needs = partial(sqlmesh.project_shared_resources, name, project, settings, alone=False)
        options.at_end(name, lambda: self._end("after_all", name, needs, finish))
        return sqlmesh.make_project_run(name, project, self.graph, settings)

    def _dbt(self, name: str, project: DbtProject) -> Session:
        options, asked = self.options, self.options.dbt
        artifacts = self.config.artifacts_path(name)
        parsed = artifacts / "partial_parse.msgpack"
        settings = dbt.DbtSettings(
            folder=project.path,
            runs=artifacts / "runs",
            run=self.context.run.run_id,
            target=project.target,
            profiles_dir=project.profiles_dir,
            parsed=parsed if parsed.is_file() else None,
            threads=asked.threads,
            full_refresh=asked.full_refresh,
            vars=asked.vars,
            state=Path(asked.state).resolve() if asked.state else None,
            defer=asked.defer,
            favor_state=asked.favor_state,
            empty=asked.empty,
            sample=asked.sample,
            node_timeout=asked.node_timeout,
            run_timeout=asked.run_timeout,
            memory=asked.memory,
            memory_wait=asked.memory_wait,
            grace=asked.grace,
            kept_runs=asked.kept_runs,
            row_counts=asked.fetch_row_counts,
            columns=asked.fetch_columns,
            column_lineage=asked.fetch_column_lineage,
            in_run=self._selected(name),
            turn=options.turn(name, dbt.InvocationOfRun, last=name not in self.scope.later),
            holds=self.holds,
            builds_in=self.builds_in,
        )
        session = dbt.make_project_run(name, self.graph, settings, self._log)
        options.at_end(name, lambda: self._end("on-run-end", name, session.shared_resources, session.close))
        return session

    def _end(
        self, hooks: str, project: str, needs: Callable[[], SharedResources], end: Callable[..., None]
    ) -> None:
        """End a project's part of the run in place of an op that never came.

        The claims of the ops are released by then, so it has its own: nobody plans the environment
        or has the DuckDB files meanwhile.

        Args:
            hooks: What is carried out.
            project: The project.
            needs: What it shares with other runs.
            end: Given whether to carry it out (`completed`), or only to let everything go.

        Raises:
            NotEndedError: Others have kept for too long what it needs, or it failed.
        """
        failed = "was not carried out"
        try:
            with closing(
                claims_of(self.context, Graph.of([]), self.config, self.options)
            ) as claims:
                claims.take_ground({project: needs()})
                failed = "has not come to its end"
                end(completed=True)
        except TransformError as error:
            end(completed=False)
            raise NotEndedError(
                f"Project {project}: its {hooks} {failed}. {error.cause}", remedy=error.remedy
            ) from None

    def _selected(self, project: str) -> frozenset[str]:
        """References of the nodes and checks of a project that the whole run selects."""
        nodes = [self.graph.nodes[n] for n in self.scope.nodes]
        checks = [self.graph.checks[c] for c in self.scope.checks]
        return frozenset(
            {node.reference for node in nodes if node.project == project}
            | {check.reference for check in checks if check.project == project}
        )

    def _log(self, level: str, text: str) -> None:
        log = self.context.log
        {"error": log.error, "warn": log.warning}.get(level, log.info)(text)


def moment_of_run(text: str | None) -> datetime:
    """The run's moment, aware: what was asked for, else now.

    Raises:
        RunOptionError: It is no time with an offset.
    """
    if text is None:
        return datetime.now(timezone.utc)
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise RunOptionError(
            f"execution_time '{text}' is not an ISO 8601 time with an offset.",
            remedy="Write it like 2026-01-31T06:00:00+00:00.",
        )
    return moment
