"""The project runs that take part in a run: one that fails takes its own project down only."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack, suppress

from dagster_transform.databases.backends import BackendId
from dagster_transform.errors import TransformError
from dagster_transform.graph import CheckId, Graph, InputId, NodeId, UnitId
from dagster_transform.graph.counts import counted
from dagster_transform.planning import (
    LeftOut,
    Outcome,
    Readiness,
    ResourceKey,
    RunPlan,
    Unit,
    UnitKind,
)
from dagster_transform.runs.moved import blocked_over_moved
from dagster_transform.runs.ports import RunLog
from dagster_transform.runs.unreadable import Unreadable, blocked_over
from dagster_transform.walk import Elsewhere, ProjectRun, SharedResources


class Participants:
    """The project runs of a run, by project.

    Args:
        graph: The graph of their projects.
        project_runs: Not opened yet.
        log: Where to say what goes wrong.
        unreadable: What can't be read of the transform, by project.
        held_back: Nodes and checks that can't be done, because of what has become of an earlier
            round of the run.

    Attributes:
        project_runs: As given.
        not_run: Checks that the run can't do after all, and why.
    """

    def __init__(
        self,
        graph: Graph,
        project_runs: Mapping[str, ProjectRun],
        log: RunLog,
        unreadable: Mapping[str, Unreadable] | None = None,
        held_back: Mapping[UnitId, Readiness] | None = None,
    ) -> None:
        self.project_runs = project_runs
        self.not_run: dict[UnitId, LeftOut] = {}
        self._problems: dict[str, LeftOut] = {}
        self._held_back = held_back or {}
        self._graph = graph
        self._log = log
        self._broken: set[str] = set()  # projects
        self._told: list[TransformError] = []
        self._unreadable = unreadable or {}

    # -- before the run is planned --------------------------------------------------------------

    def shared_resources(self) -> dict[str, SharedResources]:
        """What each project run shares with other runs."""
        found: dict[str, SharedResources] = {}
        for project, project_run in self.project_runs.items():
            with suppress(TransformError):  # `assess` will meet it too, and tell it
                found[project] = project_run.shared_resources()
        return found

    def assess(
        self, nodes: Collection[NodeId], checks: Collection[CheckId]
    ) -> dict[NodeId, Readiness]:
        """What there is to do, from every project."""
        readiness = blocked_over(self._graph, nodes, self._unreadable)
        held_back = self._held_back
        readiness.update({n: held_back[n] for n in nodes if n in held_back})
        for check in set(checks) & held_back.keys():
            why = held_back[check]
            self.not_run[check] = LeftOut(why.outcome or Outcome.BLOCKED, why.reason)
        for project, project_run in self.project_runs.items():
            mine = [
                n for n in nodes if self._graph.nodes[n].project == project and n not in readiness
            ]
            judged = [
                c
                for c in checks
                if self._graph.checks[c].project == project and c not in self.not_run
            ]
            if not mine and not judged and held_back:
                continue
            self._log.info(f"Project {project}: reading its state")
            try:
                readiness.update(project_run.assess(mine, judged))
            except TransformError as error:
                self._break(project, error, mine, judged, readiness)
            self._close_files(project_run)
        return readiness

    def hold_back_over_moved(
        self, nodes: Collection[NodeId], readiness: dict[NodeId, Readiness]
    ) -> None:
        """Take out of the run what would read something else than other projects build in it.

        Args:
            nodes: The selected nodes.
            readiness: What the project runs say of them; changed.
        """
        elsewhere: dict[InputId, Elsewhere] = {}
        for project_run in self.project_runs.values():
            elsewhere.update(project_run.elsewhere())
        for node_id, blocked in blocked_over_moved(self._graph, nodes, elsewhere).items():
            if readiness.get(node_id, Readiness()).outcome is None:
                readiness[node_id] = blocked

    def runnable(self, checks: Collection[CheckId]) -> list[CheckId]:
        """Those of the checks that can be run: their project is not broken, nobody has claimed
        what they judge."""
        return [
            c
            for c in checks
            if c not in self.not_run and self._graph.checks[c].project not in self._broken
        ]

    # -- claims ---------------------------------------------------------------------------------

    def claim_keys(self, run_plan: RunPlan) -> dict[UnitId, ResourceKey]:
        """The table of each unit that has one."""
        found = {
            unit.id: self.project_runs[unit.project].claim_key(unit)
            for unit in run_plan.units.values()
            if unit.kind is not UnitKind.PROMOTE
        }
        return {unit: key for unit, key in found.items() if key is not None}

    def promotion_keys(self, run_plan: RunPlan) -> dict[UnitId, Mapping[ResourceKey, bool]]:
        """The tables of each promotion besides those of its builds, and whether it changes them."""
        return {
            unit.id: self.project_runs[unit.project].promotion_keys(unit)
            for unit in run_plan.units.values()
            if unit.kind is UnitKind.PROMOTE
        }

    def leave_out(
        self, claimed: Mapping[UnitId, LeftOut], readiness: dict[NodeId, Readiness]
    ) -> None:
        """Take out of the run what other runs have claimed: nodes in `readiness`, checks here."""
        for unit, why in claimed.items():
            if self._graph.is_node(unit):
                readiness[unit] = Readiness(why.outcome, why.reason)
            else:
                self.not_run[unit] = why

    def end_backends(self, backends: Collection[BackendId]) -> set[BackendId]:
        """End backends of other runs on database servers; those that are not there any more."""
        ended: set[BackendId] = set()
        for project_run in self.project_runs.values():
            try:
                ended |= set(project_run.end_backends(set(backends) - ended))
            except TransformError as error:
                self._log.warning(str(error))
        return ended

    def refresh(self, unit: Unit) -> None:
        """A build had to wait for another run's claim: its project run looks at it again."""
        self.project_runs[unit.project].refresh([unit])

    # -- the walk -------------------------------------------------------------------------------

    def open(
        self,
        make_plan: Callable[[], RunPlan],
        readiness: dict[NodeId, Readiness],
        nodes: Collection[NodeId],
    ) -> RunPlan:
        """Make the plan and open the project runs that it names; without those that can't be.

        Args:
            make_plan: Makes the plan of what `readiness` says by then.
            readiness: What the project runs say of the nodes; changed where one can't be opened.
            nodes: The selected nodes.
        """
        opened: set[str] = set()
        while True:
            run_plan = make_plan()
            projects = dict.fromkeys(unit.project for unit in run_plan.units.values())
            project = next((p for p in projects if p not in opened), None)
            if project is None:
                return run_plan
            opened.add(project)
            units = [unit for unit in run_plan.units.values() if unit.project == project]
            try:
                self.project_runs[project].open(units)
            except TransformError as error:
                every = sorted({*nodes, *readiness})
                mine = [n for n in every if self._graph.nodes[n].project == project]
                judged = [c.id for unit in units if (c := self._graph.check(unit.id)) is not None]
                self._break(project, error, mine, judged, readiness)
            self._close_files(self.project_runs[project])

    def close(self, *, completed: bool) -> dict[str, LeftOut]:
        """Close all project runs.

        Args:
            completed: Whether the walk came to its end.

        Returns:
            What went wrong, in that and before, and has no node that says so, by what people call
            it.
        """
        problems = dict(self._problems)
        with ExitStack() as last:  # each is closed, whatever another one raises
            for project, project_run in reversed(list(self.project_runs.items())):
                last.callback(self._close, project, project_run, problems, completed=completed)
        return problems

    def _close(
        self,
        project: str,
        project_run: ProjectRun,
        problems: dict[str, LeftOut],
        *,
        completed: bool,
    ) -> None:
        # What runs at its end, hooks say, may need a file that another one has open.
        for other in self.project_runs.values():
            if completed and other is not project_run:
                self._close_files(other)
        try:
            project_run.close(completed=completed and project not in self._broken)
        except TransformError as error:
            self._log.error(str(error))
            problems[f"{project}: end of the run"] = LeftOut(Outcome.FAILED, str(error))

    def _break(
        self,
        project: str,
        error: TransformError,
        nodes: Sequence[NodeId],
        checks: Sequence[CheckId],
        readiness: dict[NodeId, Readiness],
    ) -> None:
        """Take a project out of the run. Its nodes have failed; its checks have not: nothing was
        judged. Where it has no nodes in the run, the project itself has failed."""
        if error not in self._told:
            self._log.error(str(error))
        self._told.append(error)  # several projects may have one
        self._broken.add(project)
        readiness.update({n: Readiness(Outcome.FAILED, str(error)) for n in nodes})
        if not nodes:
            self._problems[f"project {project}"] = LeftOut(Outcome.FAILED, str(error))
        why = LeftOut(Outcome.BLOCKED, f"nothing of project {project} could be run")
        for check in checks:
            self.not_run[check] = why
        if checks:
            self._log.warning(f"{counted(len(checks), 'check')} not run: {why.reason}")

    def _close_files(self, project_run: ProjectRun) -> None:
        """Project runs that may need one file leave it to each other while they get ready."""
        if len(self.project_runs) > 1:
            with suppress(TransformError):
                project_run.close_files()
