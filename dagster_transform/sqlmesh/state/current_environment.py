"""The environment that a run works on, as its newest plan has it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dagster_transform.sqlmesh.state.evaluation import Evaluation
from dagster_transform.sqlmesh.state.expiry import expired_at


@dataclass(frozen=True, slots=True)
class PlannedEnvironment:
    """An environment as one plan has it.

    Attributes:
        plan_id: The plan; "" where it is still to be applied by the run itself.
        infos: The environment's own records, for the statements that surround a run: SQLMesh's
            table infos, or the snapshots of the run's own plan.
        evaluation: What evaluating its models takes.
        expired_at: When it has expired, UTC; None: it has not.
    """

    plan_id: str
    infos: tuple[Any, ...]
    evaluation: Evaluation
    expired_at: datetime | None = None

    @classmethod
    def of(cls, record: Any, evaluation: Evaluation) -> PlannedEnvironment:
        """As the state has it (SQLMesh's Environment)."""
        return cls(str(record.plan_id), tuple(record.snapshots), evaluation, expired_at(record))


class CurrentEnvironment:
    """Where everybody who builds or audits asks for the environment; from any thread.

    Whoever has asked goes on with what he was given: the value is never changed, but replaced by
    another one after a new plan.

    Args:
        value: What the run was planned with.
    """

    def __init__(self, value: PlannedEnvironment) -> None:
        self._value = value
        self._lock = threading.Lock()

    @property
    def value(self) -> PlannedEnvironment:
        """The environment as its newest plan has it, as far as the run knows."""
        with self._lock:
            return self._value

    def replace(self, value: PlannedEnvironment) -> None:
        """It has a new plan."""
        with self._lock:
            self._value = value
