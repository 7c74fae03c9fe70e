"""What a run stored in Dagster, told in the words of tests."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
from dagster import DagsterEventType as Kind

OUTCOME = "dagster_transform/outcome"
REASON = "dagster_transform/reason"
_KEY = re.compile(r"^\w+/(\w+)/(\w+)(?=:)")


@dataclass
class Story:
    """What one run stored, in the order in which it was stored."""

    run_id: str
    status: dg.DagsterRunStatus
    records: list[Any] = field(repr=False)

    @property
    def success(self) -> bool:
        return self.status is dg.DagsterRunStatus.SUCCESS

    def of(self, kind: Kind) -> list[Any]:
        return [e for _, e in self._events if e.event_type is kind]

    @property
    def _events(self) -> list[tuple[int, Any]]:
        found = [(r.storage_id, r.event_log_entry.dagster_event) for r in self.records]
        return [(number, event) for number, event in found if event is not None]

    @property
    def materialized(self) -> list[str]:
        return [e.asset_key.path[-1] for e in self.of(Kind.ASSET_MATERIALIZATION)]

    @property
    def observations(self) -> list[dg.AssetObservation]:
        return [e.event_specific_data.asset_observation for e in self.of(Kind.ASSET_OBSERVATION)]

    @property
    def observed(self) -> dict[str, list[str]]:
        """Outcomes that were observed, by the last part of the key."""
        found: dict[str, list[str]] = {}
        for observation in self.observations:
            outcome = str(observation.metadata[OUTCOME].value)
            found.setdefault(observation.asset_key.path[-1], []).append(outcome)
        return found

    def reason(self, name: str) -> str:
        """Why, as the last observation of an asset says it."""
        mine = [o for o in self.observations if o.asset_key.path[-1] == name]
        return str(mine[-1].metadata[REASON].value)

    @property
    def checks(self) -> dict[str, bool]:
        """Checks that were evaluated, as `asset:check`, and whether they passed."""
        evaluated = [e.event_specific_data for e in self.of(Kind.ASSET_CHECK_EVALUATION)]
        return {f"{e.asset_key.path[-1]}:{e.check_name}": e.passed for e in evaluated}

    def materialization(self, name: str) -> dg.AssetMaterialization:
        (found,) = [
            e.event_specific_data.materialization
            for e in self.of(Kind.ASSET_MATERIALIZATION)
            if e.asset_key.path[-1] == name
        ]
        return found  # type: ignore[no-any-return]

    @property
    def failures(self) -> list[Any]:
        """What steps failed with."""
        return [e.event_specific_data for e in self.of(Kind.STEP_FAILURE)]

    @property
    def failure(self) -> str:
        """The description of the one dg.Failure."""
        (failed,) = self.failures
        return str(failed.user_failure_data.description)

    @property
    def up_to_date(self) -> list[str]:
        """Last parts of the keys that the summary names as up to date."""
        return [
            key.split("/")[-1]
            for e in self.of(Kind.STEP_EXPECTATION_RESULT)
            for key in e.event_specific_data.expectation_result.metadata[
                "dagster_transform/up_to_date"
            ].value
        ]

    @property
    def log(self) -> list[str]:
        return [r.event_log_entry.user_message for r in self.records]

    def began(self, name: str) -> int:
        """Storage id of the line that says that a node was started."""
        return self._line(f"{name}: build started")

    def ended(self, name: str, outcome: str = "built") -> int:
        return self._line(f"{name}: {outcome}")

    def stored(self, kind: Kind, name: str) -> int:
        """Storage id of the first event of a kind about an asset."""
        return min(n for n, e in self._events if e.event_type is kind and _about(e) == name)

    def _line(self, beginning: str) -> int:
        return next(
            r.storage_id
            for r in self.records
            if r.event_log_entry.dagster_event is None
            and in_short(r.event_log_entry.user_message).startswith(beginning)
        )

    @property
    def started(self) -> list[str]:
        """Nodes that were started."""
        return [in_short(line).split(":")[0] for line in self.log if ": build started" in line]

    @property
    def pid(self) -> int | None:
        """The process of a launched run."""
        for event in self.of(Kind.ENGINE_EVENT):
            if found := re.match(r"Started process for run \(pid: (\d+)\)", event.message or ""):
                return int(found[1])
        return None

    def most_at_once(self, *names: str) -> int:
        """The largest number of these nodes that were being built at one moment."""
        now = most = 0
        for line in self.log:
            name, _, what = in_short(line).partition(": ")
            if name in names and what.startswith("build started"):
                now += 1
            elif name in names and what.startswith(("built in", "failed", "cancelled")):
                now -= 1
            most = max(most, now)
        return most

    @property
    def text(self) -> str:
        """All that is stored of the run, as text."""
        return "\n".join(repr(r) for r in self.records)


def in_short(line: str) -> str:
    """A line of the log that begins with a key, as tests call models: `mart.a`, not
    `db/mart/a`."""
    return _KEY.sub(r"\1.\2", line)


def _about(event: Any) -> str:
    return event.asset_key.path[-1] if event.asset_key else ""
