"""Retries of units that failed transiently, and how long each waits: the back-off."""

from __future__ import annotations

from dataclasses import dataclass

from dagster_transform.planning import Limits, Outcome
from dagster_transform.walk.ports import Report


@dataclass(slots=True)
class Attempts:
    """The attempts of one unit.

    Attributes:
        count: How often it was started.
        failure: How its last attempt failed that will be tried again; None: none did.
    """

    count: int = 0
    failure: Report | None = None


def retry_delay(report: Report, attempts: Attempts, limits: Limits) -> float | None:
    """Seconds until a unit is tried again: doubled for each attempt; None: it is not.

    Args:
        report: How its attempt has ended.
        attempts: Its attempts, this one included.
        limits: How often it is tried again, and how long the first wait is.
    """
    if report.outcome not in (Outcome.FAILED, Outcome.CHECKED) or not report.transient:
        return None
    if attempts.count > limits.retries:
        return None
    return limits.retry_delay * float(2 ** (attempts.count - 1))
