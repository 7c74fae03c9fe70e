"""A dbt process has its grace to end by itself; then it is killed."""

from __future__ import annotations

from typing import Any

import pytest

from dagster_transform.dbt.protocol import Interrupt
from dagster_transform.dbt.runs.termination import terminate


class Process:
    """A process that ends so many seconds after it was interrupted, on a clock of its own."""

    def __init__(self, ends_after: float, *, over: bool = False) -> None:
        self.ends_after = ends_after
        self.over = over
        self.heard: list[Any] = []
        self.waited = 0.0

    def send(self, order: Any) -> None:
        self.heard.append(order)

    def wait(self, timeout: float) -> bool:
        self.waited += min(timeout, self.ends_after)
        self.over = self.over or timeout >= self.ends_after
        return self.over

    def kill(self, _: str) -> None:
        self.heard.append("kill")
        self.ends_after = 0.0


def ended(process: Any, grace: float, waited: float = 0.0) -> Process:
    terminate(process, grace, waited=waited)
    assert process.over
    assert isinstance(process, Process)
    return process


def test_a_process_that_ends_by_itself_is_not_killed() -> None:
    assert ended(Process(20.0), 25.0).heard == [Interrupt()]


@pytest.mark.parametrize(
    ("grace", "waited", "patience"),
    [(25.0, 0.0, 25.0), (25.0, 10.0, 15.0), (25.0, 24.0, 2.0), (25.0, 60.0, 2.0), (0.0, 0.0, 2.0)],
)
def test_it_is_killed_after_what_remains_of_its_grace(
    grace: float, waited: float, patience: float
) -> None:
    process = ended(Process(1e6), grace, waited)
    assert process.heard == [Interrupt(), "kill"]
    assert process.waited == patience


def test_a_process_that_has_ended_is_not_asked_to() -> None:
    assert ended(Process(0.0, over=True), 25.0).heard == []
