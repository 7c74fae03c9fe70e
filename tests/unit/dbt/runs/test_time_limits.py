"""Nodes that take too long are cancelled; a process of which nothing can be cancelled is killed."""

from __future__ import annotations

import threading
from time import monotonic, sleep
from typing import Any

import pytest

from dagster_transform.dbt.protocol import Measured, Result
from dagster_transform.dbt.runs import time_limits
from dagster_transform.dbt.runs.settings import ProcessLimits
from dagster_transform.dbt.runs.started_nodes import StartedNodes
from dagster_transform.dbt.runs.time_limits import TimeLimits
from dagster_transform.dbt.unique_ids import UniqueId

A, B = UniqueId("model.p.a"), UniqueId("model.p.b")
LONG = 5.0


class Watched:
    """Limits over nodes of a process that hears no cancel."""

    def __init__(self, **limits: Any) -> None:
        self.nodes = StartedNodes()
        self.cancelled: list[tuple[int, str]] = []
        self.measured: list[Measured] = []
        self.logs: list[str] = []
        self.killed = threading.Event()
        process: Any = self
        self.limits = TimeLimits(
            ProcessLimits(**limits), process, self.nodes, self.cancel, self.log
        )

    def start(self, node: UniqueId = A) -> int:
        token = self.nodes.add(node, lambda _: None, self.measured.append)
        assert token is not None
        self.limits.watch_started()
        return token

    def cancel(self, token: int, timed_out: str = "") -> None:
        if self.nodes.cancel(token, timed_out):
            self.cancelled.append((token, timed_out))
            self.limits.watch()

    def log(self, level: str, text: str) -> None:
        self.logs.append(f"{level}: {text}")

    # -- the process ------------------------------------------------------------------------

    def wait(self, timeout: float) -> bool:
        return self.killed.wait(timeout)

    def kill(self, _: str) -> None:
        self.killed.set()


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_limits, "_POLL", 0.005)


def until_killed(watched: Watched) -> None:
    assert watched.killed.wait(LONG)


def test_a_node_that_takes_too_long_is_cancelled_with_the_limit_in_words() -> None:
    watched = Watched(node_timeout=0.05, grace=0.05)
    token = watched.start()
    until_killed(watched)
    assert watched.cancelled == [(token, "it took longer than 0.05 s")]
    assert watched.logs == ["error: dbt's process is killed: model.p.a can't be cancelled"]


def test_a_process_is_not_killed_while_another_node_is_at_work() -> None:
    watched = Watched(grace=0.0)
    first, second = watched.start(A), watched.start(B)
    watched.cancel(first)
    assert not watched.killed.wait(0.1)
    watched.nodes.answer(Result(second, "success"))
    until_killed(watched)
    assert watched.cancelled == [(first, "")]


def test_the_runs_limit_counts_from_its_beginning_and_ends_what_is_measured_too() -> None:
    watched = Watched(run_timeout=0.1, grace=0.0)
    assert watched.limits.run_timed_out() == "", "the run has not begun"
    watched.limits.begin_run()
    assert watched.limits.run_timed_out() == ""
    built, running = watched.start(A), watched.start(B)
    watched.nodes.answer(Result(built, "success", measured_follows=True))
    until_killed(watched)
    text = "the run took longer than 0.1 s"
    assert watched.limits.run_timed_out() == text
    assert watched.cancelled == [(running, text)]
    assert watched.measured == [Measured(built, problem=text)]


def test_without_limits_nothing_is_watched() -> None:
    watched = Watched()
    watched.limits.begin_run()
    watched.start()
    began = monotonic()
    while monotonic() < began + 0.05:
        assert not [t for t in threading.enumerate() if t.name == "dbt limits" and t.is_alive()]
        sleep(0.005)
