"""Evaluations of a dbt project's artifacts sensor: what invocations outside of Dagster have done,
as their artifacts in a watched folder say it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from dagster_transform.claims import Store
from dagster_transform.config import DbtProject
from dagster_transform.dagster._compat import last_evaluations
from dagster_transform.dagster._compat_schedules import (
    ONLY_LOOKED_AT,
    evaluated_now,
    instigators,
    location_of_sensor,
)
from dagster_transform.dagster._compat_synced import seconds_of
from dagster_transform.dagster.execution.claims_store import open_claims
from dagster_transform.dagster.execution.transform import Transform
from dagster_transform.dagster.translation.metadata import OUTCOME, REASON
from dagster_transform.dagster.watching.sensors import stamp_of
from dagster_transform.dagster.watching.synced import (
    ProjectNodes,
    in_words,
    moment,
    tell_builds,
)
from dagster_transform.dagster.watching.watch_claims import WatchClaim
from dagster_transform.dbt.files.run_results import (
    Invocation,
    Judged,
    newest_run_results,
    read_invocation,
    same_relation,
)
from dagster_transform.errors import words_of
from dagster_transform.graph import CheckId, InputId, Node, NodeId, Source
from dagster_transform.graph.counts import counted
from dagster_transform.planning.outside_work import ToTell, to_tell

_VERSION = 1
_JUDGED_AT = "dagster_transform/judged_at"


def evaluate_artifacts(
    context: dg.SensorEvaluationContext,
    name: str,
    project: DbtProject,
    folder: Path,
    transform: Transform,
) -> dg.SensorResult:
    """Look, and tell.

    Args:
        context: Dagster's.
        name: The project's name.
        project: Its configuration.
        folder: Where artifacts are put.
        transform: What the code location has loaded.

    Raises:
        ClaimsError: The claims store can't be used.
    """
    sensor = f"{name}_artifacts_sensor"
    location, every = location_of_sensor(context), instigators(context.instance)
    if location is None or not evaluated_now(context.instance, every, sensor, location):
        # Somebody looks at what it would do: that changes nothing.
        return dg.SensorResult(skip_reason=ONLY_LOOKED_AT)
    store = open_claims(context.instance, transform.config)
    artifacts = Artifacts(name, project, folder, transform)
    cursor, lines = artifacts.look(context.instance, store, location, context.cursor)
    for line in lines[1:]:
        context.log.info(line)
    return dg.SensorResult(skip_reason=lines[0], cursor=cursor)


@dataclass(frozen=True, slots=True)
class Artifacts:
    """A watched folder.

    Attributes:
        name: The project's name.
        project: Its configuration.
        folder: Where artifacts are put; it need not exist.
        transform: What the code location has loaded.
    """

    name: str
    project: DbtProject
    folder: Path
    transform: Transform

    def look(
        self, instance: dg.DagsterInstance, store: Store, location: str, cursor: str | None
    ) -> tuple[str | None, list[str]]:
        """Tell what there is to tell.

        Returns:
            What the sensor keeps, a version and a hash; and what there is to say.
        """
        paths = newest_run_results(self.folder)
        seen = _cursor(paths)
        if not paths:
            return seen, [f"There is no run_results.json in {self.folder}."]
        if seen == cursor:
            return cursor, ["Nothing has changed since it looked last."]
        claim = WatchClaim.take(store, f"{self.name}_artifacts_sensor", location)
        if isinstance(claim, str):
            return cursor, [f"It waits for {claim}."]
        try:
            all_told, said = self._tell(instance, store, location, paths)
        finally:
            claim.release()
        nothing = ["What the artifacts say is known."]
        return (seen if all_told else cursor), said or nothing

    def _tell(
        self, instance: dg.DagsterInstance, store: Store, location: str, paths: Iterable[Path]
    ) -> tuple[bool, list[str]]:
        built: dict[NodeId, tuple[float, Invocation]] = {}
        judged: dict[CheckId, tuple[Judged, Invocation]] = {}
        said: list[str] = []
        whole = True
        nodes = ProjectNodes.of(self.transform, self.name)
        checks = {
            check.reference: check
            for check in self.transform.graph.checks.values()
            if check.project == self.name
        }
        graph = self.transform.graph
        there: dict[InputId, Node | Source] = {
            **dict(graph.nodes.items()),
            **dict(graph.sources.items()),
        }
        for path in paths:
            try:
                invocation = read_invocation(path)
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                whole = False  # it may be being written
                said.append(f"{path} can't be read: {words_of(error)}")
                continue
            if invocation is None:
                continue
            if (why := self._elsewhere(invocation, nodes)) is not None:
                said.append(f"{path} is left out: {why}.")
                continue
            strange = [id for id in invocation.built_at if id not in nodes.by_reference]
            if strange:
                are = counted(len(strange), "node is", "nodes are")
                said.append(f"{path}: {are} not in the graph ({strange[0]}).")
            for id, at in invocation.built_at.items():
                node = nodes.by_reference.get(id)
                if node is not None and at > built.get(node, (0.0, invocation))[0]:
                    built[node] = (at, invocation)
            for id, result in invocation.judged.items():
                check = checks.get(id)
                if check is None or not _is_here(there.get(check.target), invocation):
                    continue
                if check.id not in judged or result.at > judged[check.id][0].at:
                    judged[check.id] = (result, invocation)
        busy = nodes.busy(instance, store, location, None)
        told = tell_builds(
            instance,
            nodes,
            {node: at for node, (at, _) in built.items()},
            busy,
            metadata=lambda node: _metadata(built[node][1]),
            by="dbt",
        )
        results = self._tell_results(instance, judged, busy)
        said = [
            *in_words(told, "materialisation", "materialisations"),
            *in_words(results, "result of a check", "results of checks"),
            *said,
        ]
        return whole and told.all and results.all, said

    def _elsewhere(self, invocation: Invocation, nodes: ProjectNodes) -> str | None:
        """Why what an invocation has built is not what Dagster shows; None: it is."""
        asked = self.project.target
        if asked is not None and invocation.target not in (None, asked):
            return f"its target is {invocation.target}, and not {asked}"
        graph = self.transform.graph
        for id, name in invocation.relations.items():
            node_id = nodes.by_reference.get(id)
            if node_id is not None:
                here = str(graph.nodes[node_id].relation)
                if not same_relation(name, here):
                    return f"it is about {name}, and not about {here}"
        return None

    def _tell_results(
        self,
        instance: dg.DagsterInstance,
        judged: Mapping[CheckId, tuple[Judged, Invocation]],
        busy: Iterable[NodeId],
    ) -> ToTell[CheckId]:
        keys, graph = self.transform.keys.checks, self.transform.graph
        of_key = {keys[check]: check for check in judged}
        last = last_evaluations(instance, list(of_key))
        known = {
            of_key[key]: max(at, seconds_of(found.metadata.get(_JUDGED_AT)))
            for key, (found, at, _) in last.items()
        }
        held = set(busy)
        found = to_tell(
            {check: result.at for check, (result, _) in judged.items()},
            known,
            {check for check in judged if graph.checks[check].target in held},
        )
        for check in found.now:
            result, invocation = judged[check]
            metadata: dict[str, Any] = {
                OUTCOME: "synced",
                REASON: "judged outside this Dagster by dbt",
                _JUDGED_AT: moment(result.at),
                **_metadata(invocation),
            }
            if result.failed_rows is not None:
                metadata["dagster_transform/failed_rows"] = result.failed_rows
            is_error = result.error or (result.passed and graph.checks[check].blocking)
            instance.report_runless_asset_event(
                dg.AssetCheckEvaluation(
                    asset_key=keys[check].asset_key,
                    check_name=keys[check].name,
                    passed=result.passed,
                    severity=dg.AssetCheckSeverity.ERROR
                    if is_error
                    else dg.AssetCheckSeverity.WARN,
                    metadata=metadata,
                )
            )
        return found


def _is_here(judged: Node | Source | None, invocation: Invocation) -> bool:
    """Whether an invocation says where the target of a test is, and it is here: the test has the
    same name in all targets of dbt's."""
    name = None if judged is None else invocation.relations.get(judged.reference)
    return judged is not None and name is not None and same_relation(name, str(judged.relation))


def _metadata(invocation: Invocation) -> dict[str, Any]:
    return {
        "dagster_transform/command": f"dbt {invocation.command}",
        "dagster_transform/invocation_id": invocation.id,
    }


def _cursor(paths: Iterable[Path]) -> str:
    """A version, and a hash of which files there are."""
    stamps = [(str(path), stamp) for path in paths if (stamp := stamp_of(path))]
    return f"{_VERSION}:{hashlib.sha256(repr(stamps).encode()).hexdigest()[:16]}"
