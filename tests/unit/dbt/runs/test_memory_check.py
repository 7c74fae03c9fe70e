from __future__ import annotations

import pytest

from dagster_transform.dbt.runs.memory_check import OutOfMemoryError, memory_in_use, wait_for_memory

# -- memory -------------------------------------------------------------------------------------


class Machine:
    """A machine whose use of memory is told in advance, and whose time passes by resting."""

    def __init__(self, *used: float) -> None:
        self.used = list(used)
        self.time = 0.0

    def wait(self, limit: float, patience: float) -> float:
        wait_for_memory(
            "p", limit, patience, in_use=self.in_use, now=lambda: self.time, rest=self.rest
        )
        return self.time

    def in_use(self) -> float:
        return self.used.pop(0) if len(self.used) > 1 else self.used[0]

    def rest(self, seconds: float) -> None:
        assert seconds > 0
        self.time += seconds


def test_with_memory_left_nothing_is_waited_for() -> None:
    assert Machine(0.5).wait(0.9, 60) == 0
    assert Machine(0.9).wait(0.9, 60) == 0


def test_memory_that_is_freed_is_waited_for() -> None:
    assert 0 < Machine(0.95, 0.95, 0.95, 0.5).wait(0.9, 60) < 5


def test_memory_that_is_not_freed_is_an_error_after_the_wait() -> None:
    machine = Machine(0.95)
    with pytest.raises(OutOfMemoryError) as told:
        machine.wait(0.9, 60)
    assert 60 <= machine.time < 62
    assert str(told.value).startswith(
        "Project p: 95% of the machine's memory was in use for 60 s, and dbt is started with at"
        " most 90%."
    )


def test_a_limit_of_all_memory_is_none() -> None:
    assert Machine(1.0).wait(1.0, 60) == 0


def test_the_machine_tells_a_share() -> None:
    assert 0 < memory_in_use() < 1
