"""What happens in a walk, as values."""

from __future__ import annotations

from dataclasses import dataclass

from dagster_transform.planning import GOOD_OUTCOMES, Outcome, Unit
from dagster_transform.walk.ports import Facts, Progress, Report


@dataclass(frozen=True, slots=True)
class Started:
    """A unit has been handed to its project run; `attempt` counts from 1."""

    unit: Unit
    attempt: int


@dataclass(frozen=True, slots=True)
class Retrying:
    """A unit failed transiently and will be tried again in `delay` seconds."""

    unit: Unit
    report: Report
    delay: float


@dataclass(frozen=True, slots=True)
class Finished:
    """A unit has come to its end in this run; `report` is None if it never started."""

    unit: Unit
    outcome: Outcome
    reason: str = ""
    report: Report | None = None

    @property
    def good(self) -> bool:
        """Whether what depends on the unit may go on."""
        return self.outcome in GOOD_OUTCOMES and not (self.report and self.report.failed_checks)


@dataclass(frozen=True, slots=True)
class Learned:
    """More is known of a unit that has finished."""

    unit: Unit
    facts: Facts


@dataclass(frozen=True, slots=True)
class Progressed:
    """A running unit has come further."""

    unit: Unit
    progress: Progress


Event = Started | Retrying | Progressed | Finished | Learned
