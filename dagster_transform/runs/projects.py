"""From what is asked of a run, and transform.yaml, to the project run of each project."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial

from dagster_transform import dbt, sqlmesh
from dagster_transform.claims import RunId
from dagster_transform.config import DbtProject, SqlmeshProject, TransformConfig
from dagster_transform.errors import TransformError
from dagster_transform.graph import CheckId, Graph, NodeId, names_by_reference
from dagster_transform.runs.claiming.claims import RunClaims
from dagster_transform.runs.lifetime import RunLifetime
from dagster_transform.runs.options import RunOptions, RunScope
from dagster_transform.runs.ports import RunLog
from dagster_transform.runs.unreadable import Unreadable, UnreadableProject
from dagster_transform.walk import ClaimGuard, ProjectRun, SharedResources


class NotEndedError(TransformError):
    """What comes at the end of a project's part of a run was not carried out."""


@dataclass(frozen=True, slots=True)
class ProjectRuns:
    """Makes the project runs of one op of a run.

    Attributes:
        run_id: The run.
        graph: The combined graph.
        config: Where the projects are.
        options: What this run asks for.
        scope: What the run does in its other ops.
        guard: The claims of this op.
        lifetime: Of the run.
        log: The op's.
        new_claims: Makes claims for what is done after the ops have released theirs.
        spare: A dbt process that was started early; None: there is none.
        unreadable: What can't be read, by project.
    """

    run_id: RunId
    graph: Graph
    config: TransformConfig
    options: RunOptions
    scope: RunScope
    guard: ClaimGuard
    lifetime: RunLifetime
    log: RunLog
    new_claims: Callable[[], RunClaims]
    spare: dbt.SpareProcess | None = None
    unreadable: Mapping[str, Unreadable] = field(default_factory=dict)

    def of(self, nodes: Collection[NodeId], checks: Collection[CheckId]) -> dict[str, ProjectRun]:
        """The project run of each project that has some of these nodes and checks.

        dbt's come first: their processes load their projects while the others are looked at.
        """
        names = {self.graph.nodes[n].project for n in nodes}
        names |= {self.graph.checks[c].project for c in checks}
        projects = {name: self.config.project(name) for name in sorted(names)}
        found: dict[str, ProjectRun] = {}
        for name, project in projects.items():
            if isinstance(project, DbtProject):
                found[name] = self._readable(name, partial(self._dbt, name, project))
        if not found and self.spare is not None:
            self.spare.dismiss()
        for name, project in projects.items():
            if isinstance(project, SqlmeshProject):
                found[name] = self._readable(name, partial(self._sqlmesh, name, project))
        return found

    def that_plan(self, nodes: Collection[NodeId]) -> frozenset[str]:
        """Projects that have some of these nodes and may make a plan for them."""
        found: set[str] = set()
        for name in {self.graph.nodes[n].project for n in nodes} - self.unreadable.keys():
            project = self.config.project(name)
            if isinstance(project, SqlmeshProject):
                found |= {name} if self._sqlmesh_settings(name, project).may_plan else set()
        return frozenset(found)

    def _readable(self, name: str, make: Callable[[], ProjectRun]) -> ProjectRun:
        """A project run; where the project can't be read (its framework is not installed, say), one
        that fails all of it and leaves the other projects alone."""
        if name in self.unreadable:
            return UnreadableProject(self.unreadable[name].error)
        try:
            return make()
        except TransformError as error:
            return UnreadableProject(error)

    def _sqlmesh_settings(self, name: str, project: SqlmeshProject) -> sqlmesh.SqlmeshSettings:
        options = self.options
        return sqlmesh.SqlmeshSettings(
            environment=project.environment,
            paths=[str(path) for path in project.paths],
            now=options.moment,
            plan_mode=options.plan_mode or project.plan,
            skip_tests=options.skip_tests,
            # Checks alone are run whenever somebody asks for them.
            ignore_cron=options.ignore_cron or not self.scope.nodes,
            marker=self.config.artifacts_root / f"{name}.planned.json",
            restate=options.restate,
            upstreams=options.upstreams,
            in_run=self._references(name),
            planned=self._references_of(self.scope.before, name),
            last=name not in self.scope.later,
            one_batch_at_a_time=bool(self.config.connections),
            guard=self.guard,
            called=names_by_reference(self.graph, name),
            audit_between=None if self.scope.nodes else options.checks.between,
            sample_rows=options.checks.sample_rows,
        )

    def _sqlmesh(self, name: str, project: SqlmeshProject) -> ProjectRun:
        settings = self._sqlmesh_settings(name, project)

        def end(hooks: sqlmesh.HooksOfRun) -> None:
            at_end = replace(settings, hooks=hooks, last=True)

            def finish(*, completed: bool) -> None:
                if completed:
                    sqlmesh.finish_run(name, project, self.graph, at_end)

            shared = partial(sqlmesh.project_shared_resources, name, project, at_end, alone=False)
            self._end("after_all", name, shared, finish)

        hooks = self.lifetime.join(name, sqlmesh.HooksOfRun, end)
        return sqlmesh.make_project_run(
            name, project, self.graph, replace(settings, hooks=hooks), self._log
        )

    def _dbt(self, name: str, project: DbtProject) -> ProjectRun:
        asked = self.options.dbt
        artifacts = self.config.artifacts_path(name)
        parsed = self.config.prepared_root(name) / name / "partial_parse.msgpack"
        build = asked.build
        if build.state is None and (build.defer or build.favor_state):
            build = replace(build, state=project.state)
        settings = dbt.DbtSettings(
            project=project,
            folder=dbt.RunFolder(artifacts / "runs", self.run_id, asked.kept_runs),
            parsed=parsed if os.access(parsed, os.R_OK) else None,
            options=build,
            limits=asked.limits,
            measures=asked.measures,
            sample_rows=self.options.checks.sample_rows,
            in_run=self._references(name),
            last=name not in self.scope.later,
            guard=self.guard,
            spare=self.spare,
        )

        def end(invocation: dbt.InvocationOfRun) -> None:
            at_end = replace(settings, invocation=invocation, last=True)
            project_run = dbt.make_project_run(name, self.graph, at_end, self._log)
            self._end("on-run-end", name, project_run.shared_resources, project_run.close)

        invocation = self.lifetime.join(name, dbt.InvocationOfRun, end)
        return dbt.make_project_run(
            name, self.graph, replace(settings, invocation=invocation), self._log
        )

    def _end(
        self,
        hooks: str,
        project: str,
        shared_resources: Callable[[], SharedResources],
        end: Callable[..., None],
    ) -> None:
        """End a project's part of the run in place of an op that never came.

        The claims of the ops are released by then, so it has its own: nobody plans the environment
        or has the DuckDB files meanwhile.

        Args:
            hooks: What is carried out.
            project: The project.
            shared_resources: What it shares with other runs.
            end: Given whether to carry it out (`completed`), or only to release everything.

        Raises:
            NotEndedError: Others have kept for too long what it needs, or it failed.
        """
        failed = "was not carried out"
        try:
            with closing(self.new_claims()) as claims:
                claims.take_shared({project: shared_resources()})
                failed = "has not come to its end"
                end(completed=True)
        except TransformError as error:
            end(completed=False)
            raise NotEndedError(
                f"Project {project}: its {hooks} {failed}. {error.cause}", remedy=error.remedy
            ) from None

    def _references(self, project: str) -> frozenset[str]:
        """References of the nodes and checks of a project that the whole run selects."""
        checks = [self.graph.checks[c] for c in self.scope.checks]
        return self._references_of(self.scope.nodes, project) | {
            check.reference for check in checks if check.project == project
        }

    def _references_of(self, ids: Collection[NodeId], project: str) -> frozenset[str]:
        nodes = [self.graph.nodes[n] for n in ids]
        return frozenset(node.reference for node in nodes if node.project == project)

    def _log(self, level: str, text: str) -> None:
        log = self.log
        {"error": log.error, "warn": log.warning}.get(level, log.info)(text)
