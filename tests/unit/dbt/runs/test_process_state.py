"""What is known of a dbt process; whoever waits for it is never forgotten."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from dagster_transform.dbt.protocol import Ended, FilesClosed, Loaded, Ready
from dagster_transform.dbt.runs.process_state import ProcessState

LOADED = Loaded({"type": "duckdb"}, 4, "inv", {}, {})
LONG = 5.0


def result_of(wait: Callable[[], Any], act: Callable[[], None]) -> Any:
    """What a waiting thread gets once something has happened."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(wait()), daemon=True)
    thread.start()
    thread.join(0.05)
    assert not found, "it did not wait"
    act()
    thread.join(LONG)
    assert found, "it still waits"
    return found[0]


def test_each_step_is_waited_for() -> None:
    state = ProcessState()
    assert result_of(state.wait_until_loaded, lambda: state.note(LOADED)) == LOADED
    ready = Ready(())
    assert result_of(state.wait_until_ready, lambda: state.note(ready)) == ready
    ended = Ended(True)
    state.note(ended)
    assert result_of(state.wait_until_over, lambda: state.end("")) == ended


@pytest.mark.parametrize("step", ["wait_until_loaded", "wait_until_ready", "wait_until_over"])
def test_the_end_of_the_process_ends_every_wait(step: str) -> None:
    state = ProcessState()
    assert result_of(getattr(state, step), lambda: state.end("killed")) is None
    assert state.is_over


def test_closing_is_waited_for_as_often_as_it_is_asked() -> None:
    state = ProcessState()
    assert not state.wait_until_closed(1, timeout=0.01)
    state.note(FilesClosed())
    assert state.wait_until_closed(1, timeout=0)
    assert not state.wait_until_closed(2, timeout=0.01)
    state.end("killed")
    assert state.wait_until_closed(2, timeout=0)


@pytest.mark.parametrize(
    ("said", "seen", "reason"),
    [
        ("Runtime Error", "", "Runtime Error"),
        ("", "", "dbt's invocation is over"),
        (None, "dbt's process was killed by SIGKILL", "dbt's process was killed by SIGKILL"),
        (None, "postgresql://u:hunter2@h/d", "postgresql://u:***@h/d"),
    ],
)
def test_the_reason_is_the_processs_own_or_what_was_seen(
    said: str | None, seen: str, reason: str
) -> None:
    state = ProcessState()
    if said is not None:
        state.note(Ended(False, said))
    state.end(seen)
    assert state.reason == reason
