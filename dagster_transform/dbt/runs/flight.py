"""A node between its start and its answer, as the run sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dagster_transform.dbt.protocol import Facts, Result


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of what was started.

    Attributes:
        result: What dbt says, or None if its process was gone before it could say anything.
        lost: Why there is no result; or "".
        made: Whether the database has committed its relation.
        cancelled: Whether the run has asked to cancel it.
        late: The time limit that has ended it, in words; or "".
    """

    result: Result | None
    lost: str = ""
    made: bool = False
    cancelled: bool = False
    late: str = ""


@dataclass(slots=True)
class Flight:
    """What was started, and not answered yet."""

    node: str
    answer: Callable[[Answer], None]
    learn: Callable[[Facts], None]
    began: float
    cancelled_at: float | None = None
    cancelled: bool = False
    late: str = ""
    made: bool = False
