"""Evaluations of a SQLMesh project's environment sensor: what is done outside of Dagster is told,
and a new plan is followed by a new graph file and a reload of the code location."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

import dagster as dg

from dagster_transform.claims import Store
from dagster_transform.config import SqlmeshProject
from dagster_transform.config.alerts import WEBSERVER_VARIABLE
from dagster_transform.dagster._compat_schedules import (
    ONLY_LOOKED_AT,
    evaluated_now,
    instigators,
    location_of_sensor,
)
from dagster_transform.dagster.execution.claims_store import open_claims
from dagster_transform.dagster.execution.transform import Transform
from dagster_transform.dagster.watching.drift_told import told_of_drift
from dagster_transform.dagster.watching.preparing import Preparing
from dagster_transform.dagster.watching.reloading import reload_location
from dagster_transform.dagster.watching.sensors import stamp_of
from dagster_transform.dagster.watching.state_looks import (
    Place,
    Recorded,
    StateInUseError,
    StateLooks,
)
from dagster_transform.dagster.watching.synced import (
    ProjectNodes,
    in_words,
    moment,
    tell_builds,
)
from dagster_transform.dagster.watching.watch_claims import WatchClaim
from dagster_transform.graph import GraphFileError, NodeId, read_graph_file
from dagster_transform.planning.outside_work import Step, step_of

_VERSION = 1
_WAITED = 10.0
"""Seconds that an evaluation waits for a graph file; longer ones are found by the next ones."""
_ANSWERED = 5.0
"""Seconds that it waits for the webserver."""
_AGAIN = 600.0
"""Seconds after which what has failed for a plan is tried again."""
_ASKED = 3
"""So often a reload is carried out for one graph file: a code server that has not loaded it then is
one that reloads nothing."""


class EnvironmentWatch:
    """One sensor's evaluations over the life of a code server's process.

    What counts is stored: in Dagster's storage, the graph file and the sensor's cursor. What is
    kept here only saves work.

    Args:
        name: The project's name.
        project: Its configuration.
        transform: What the code location has loaded.
        loaded: Which version of the graph file that was (`stamp_of`).
    """

    # More than twelve attributes: half of them are what it was made with, half what the next
    # evaluation goes on from.
    def __init__(
        self, name: str, project: SqlmeshProject, transform: Transform, loaded: str
    ) -> None:
        self._name = name
        self._sensor = f"{name}_environment_sensor"
        self._project = project
        self._config = transform.config
        self._transform = transform
        self._loaded = loaded
        self._nodes = ProjectNodes.of(transform, name)
        self._looks = StateLooks(transform.config, name, project.environment)
        self._preparing: tuple[Preparing, WatchClaim] | None = None
        self._failed: dict[str, float] = {}  # when, by plan
        self._asked: dict[str, int] = {}  # how often, by version of the graph file
        self._told = ""  # the version of which people know what to do
        self._drift: list[str] | None = None  # what a new graph file says, not told of yet
        self._lock = threading.Lock()

    def evaluate(self, context: dg.SensorEvaluationContext) -> dg.SensorResult:
        """Look, and tell.

        Raises:
            StateNotReadError: The state can't be read.
            ClaimsError: The claims store can't be used.
        """
        location = location_of_sensor(context)
        every = instigators(context.instance)
        if location is None or not evaluated_now(context.instance, every, self._sensor, location):
            # Somebody looks at what it would do: that changes nothing.
            return dg.SensorResult(skip_reason=ONLY_LOOKED_AT)
        with self._lock:
            cursor, lines = self.look(context.instance, location, context.cursor)
            drift, self._drift = self._drift, None
        for line in lines[1:]:
            context.log.info(line)
        if drift is not None and self._config.alerts.channels:
            # Here, because who has no channels need not import what sends messages.
            from dagster_transform.dagster.sensors.alerts import tell_of_drift

            tell_of_drift(
                self._config,
                open_claims(context.instance, self._config),
                self._sensor,
                location,
                project=self._name,
                lines=drift,
                log=context.log,
            )
        return dg.SensorResult(skip_reason=lines[0], cursor=cursor)

    def look(
        self, instance: dg.DagsterInstance, location: str, cursor: str | None
    ) -> tuple[str | None, list[str]]:
        """Look, and tell; see `evaluate`.

        Args:
            instance: Dagster's.
            location: The code location.
            cursor: What the sensor has kept.

        Returns:
            What it keeps, a version and a hash; and what there is to say, the most important first.
        """
        store = open_claims(instance, self._config)
        said = self._end_preparing()
        if self._preparing is None:
            cursor, more = self._look(instance, store, location, cursor)
            said += more
        if self._preparing is not None:
            said.insert(0, f"The graph file of project {self._name} is being written anew.")
        # The last of all: the process that answers it replaces this one.
        reload = self._reload(location)
        return cursor, [*reload, *said] or ["Nothing has changed since it looked last."]

    def _look(
        self, instance: dg.DagsterInstance, store: Store, location: str, cursor: str | None
    ) -> tuple[str | None, list[str]]:
        place = self._looks.place()
        glance = self._looks.at_a_glance()
        seen = self._cursor(glance)
        if glance is not None and seen == cursor:
            return cursor, []
        claim = WatchClaim.take(
            store, self._sensor, location, environment=place.environment, files=place.files
        )
        if isinstance(claim, str):
            return cursor, [f"It waits for {claim}."]
        try:
            recorded = self._looks.read()
            step = step_of(
                recorded.plan_id, finalized=recorded.finalized, prepared=self._prepared_plan()
            )
            if step is Step.WAIT:
                return cursor, [self._why_waiting(recorded)]
            told, said = self._tell(instance, store, location, place, recorded)
            if step is Step.PREPARE:
                said = [*self._prepare(str(recorded.plan_id), claim), *said]
            seen = seen if glance is not None else self._cursor(repr(recorded))
            return (seen if told and step is Step.NOTHING else cursor), said
        except StateInUseError as error:
            return cursor, [str(error)]
        finally:
            if self._preparing is None:
                claim.release()

    def _why_waiting(self, recorded: Recorded) -> str:
        which = f"Environment {self._project.environment} of project {self._name}"
        if recorded.plan_id is None:
            return f"{which} was never planned."
        return f"{which}: a plan is being applied, or has failed half-way."

    def _cursor(self, seen: str | None) -> str:
        """A version, and a hash of what was seen with which definitions."""
        text = f"{self._loaded} {seen}"
        return f"{_VERSION}:{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    # -- what was built ---------------------------------------------------------------------------

    def _tell(
        self,
        instance: dg.DagsterInstance,
        store: Store,
        location: str,
        place: Place,
        recorded: Recorded,
    ) -> tuple[bool, list[str]]:
        """Whether all is told that there is, and what to say of it."""
        ids = self._nodes.by_reference
        built = {ids[name]: at for name, at in recorded.built_at.items() if name in ids}
        there = {ids[name]: span for name, span in recorded.intervals.items() if name in ids}

        def metadata(node: NodeId) -> Mapping[str, Any]:
            start, end = there[node]
            return {
                "dagster_transform/data_from": moment(start),
                "dagster_transform/data_until": moment(end),
                "dagster_transform/plan_id": str(recorded.plan_id),
            }

        busy = self._nodes.busy(instance, store, location, place.environment)
        found = tell_builds(instance, self._nodes, built, busy, metadata=metadata, by="SQLMesh")
        return found.all, in_words(found, "materialisation", "materialisations")

    # -- a new plan -------------------------------------------------------------------------------

    def _prepared_plan(self) -> str | None:
        try:
            return read_graph_file(self._config.graph_path(self._name), self._name).plan_id
        except GraphFileError:
            return None

    def _prepare(self, plan_id: str, claim: WatchClaim) -> list[str]:
        """Begin to write the graph file anew, and say how that goes."""
        about = f"Environment {self._project.environment} of project {self._name} has a new plan"
        command = f"`{self._config.prepare_command(self._name)}`"
        if not self._project.watch.prepare:
            return [f"{about}: run {command} where you deploy from, and reload the code location."]
        failed = self._failed.get(plan_id)
        if failed is not None and time.monotonic() - failed < _AGAIN:
            why = "its graph file could not be written here for that plan"
            return [f"{about}, and {why}: run {command} where you deploy from."]
        self._preparing = (Preparing.begin(self._config, self._name, plan_id), claim)
        return [f"{about}.", *self._end_preparing(_WAITED)]

    def _end_preparing(self, wait: float = 0.0) -> list[str]:
        """Find out what has become of the graph file that is being written."""
        if self._preparing is None:
            return []
        preparing, claim = self._preparing
        if not preparing.wait(wait):
            claim.prolong(3 * self._project.watch.interval + 60.0)
            return []
        self._preparing = None
        claim.release()
        if problem := preparing.problem():
            self._failed[preparing.plan_id] = time.monotonic()
            return [f"The graph file of project {self._name} could not be written: {problem}"]
        if self._prepared_plan() != preparing.plan_id:
            # Else it would be written again and again where it can't be asked for the plan.
            self._failed[preparing.plan_id] = time.monotonic()
        now = datetime.now(timezone.utc)
        self._drift = told_of_drift(self._config, self._name, self._transform.translator, now)
        return [f"The graph file of project {self._name} was written anew.", *self._drift]

    def _reload(self, location: str) -> list[str]:
        """Have the code location reloaded, where its graph file is not what it has loaded. What
        people have to do for that is said once for each graph file, then in short."""
        there = stamp_of(self._config.graph_path(self._name))
        if there in (self._loaded, "") or self._preparing is not None:
            return []
        new = f"There is a new graph file of project {self._name}"
        by_hand = f"reload code location {location} in the UI (Deployment)"
        webserver = self._config.webserver_url
        known, asked = self._told == there, self._asked.get(there, 0)
        if webserver is None:
            self._told = there
            if known:
                return [f"It waits for a reload of code location {location}, as told before."]
            by_itself = f"set `webserver` in transform.yaml or {WEBSERVER_VARIABLE}"
            what = "to the address of Dagster's UI, and it is reloaded by itself from then on"
            return [f"{new}: {by_hand}; or {by_itself} {what}."]
        if asked >= _ASKED:
            self._told = there
            if known:
                return ["It waits for a restart of this code server, as told before."]
            why = "`dagster api grpc` reloads nothing; `dagster code-server start` does"
            return [f"{new}, and reloads do not reach this code server: restart it. {why}."]
        found = reload_location(webserver, location, wait=_ANSWERED)
        if not found.done:
            return [f"{new}. {found.said}. Else {by_hand}."]
        self._asked[there] = asked + 1
        return [found.said]
