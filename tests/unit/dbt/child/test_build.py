"""The dbt process's side of the protocol, without dbt: every start is answered once."""

from __future__ import annotations

import io
import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from dagster_transform.dbt.child.build import Child
from dagster_transform.dbt.child.nodes import NodeInProgress
from dagster_transform.dbt.protocol import (
    Begin,
    Cancel,
    CloseFiles,
    End,
    FilesClosed,
    News,
    Open,
    ProtocolError,
    Result,
    Start,
)

BEGIN = Begin(("build",), "/p", "s", 1.0)
SHORT = 0.05


class Heard:
    """A child, and what it has said."""

    def __init__(self) -> None:
        self.news: list[News] = []
        self.child = Child(BEGIN, io.BytesIO(), self.news.append)

    def obey(self, *orders: Any) -> list[News]:
        for order in orders:
            self.child._obey(order)
        return self.news

    def begun(self, token: int, node: str, **fields: Any) -> NodeInProgress:
        """A node in progress, with these fields."""
        found = self.child._nodes.add(Start(token, node))
        for name, value in fields.items():
            setattr(found, name, value)
        return found


def test_a_start_before_the_invocation_is_open_is_answered() -> None:
    [result] = Heard().obey(Start(3, "model.p.a"))
    assert isinstance(result, Result)
    assert (result.token, result.status) == (3, "error")
    assert result.message == "dbt's invocation is over"


def test_a_second_start_of_a_node_in_progress_is_a_fault_of_the_run() -> None:
    heard = Heard()
    heard.begun(1, "model.p.a")
    with pytest.raises(ProtocolError, match=r"model\.p\.a is started, and not done yet"):
        heard.obey(Start(2, "model.p.a"))


def test_a_cancel_of_nothing_does_nothing() -> None:
    assert Heard().obey(Cancel(9)) == []


def test_closing_files_before_there_is_a_database_is_answered() -> None:
    assert Heard().obey(CloseFiles()) == [FilesClosed()]


def test_open_and_end_let_the_invocation_go_on() -> None:
    for order in (Open(("a",)), End()):
        heard = Heard()
        assert not heard.child._may_go_on.is_set()
        heard.obey(order)
        assert heard.child._may_go_on.is_set()


def test_begin_comes_once() -> None:
    with pytest.raises(ProtocolError, match="Begin comes first, and once"):
        Heard().obey(BEGIN)


def test_a_node_is_answered_once() -> None:
    heard = Heard()
    node = heard.begun(1, "a", cancelled=True, made=True, error=ConnectionError())
    heard.child.finish(node, {"status": "success", "message": "first"})
    heard.child.finish(node, {"status": "error", "message": "second"})
    assert heard.news == [Result(1, "success", "first", cancelled=True, made=True)]
    assert heard.child._nodes.all() == []


def test_a_thread_does_not_leave_its_node_while_that_is_being_cancelled() -> None:
    """It would go on to another node, whose connection has the place of the first."""
    heard = Heard()
    node = heard.begun(1, "a")
    ended = threading.Event()

    def finish() -> None:
        heard.child.finish(node, {"status": "success"})
        ended.set()

    with node.cancelling:
        threading.Thread(target=finish, daemon=True).start()
        assert not ended.wait(SHORT)
        assert heard.news == []
    assert ended.wait(5)


def test_a_batch_that_failed_is_what_a_model_of_batches_says() -> None:
    heard = Heard()
    node = heard.begun(1, "a", batch_error="division by zero")
    heard.child.finish(node, {"status": "error", "message": "ERROR", "batches": (0, 3)})
    [result] = heard.news
    assert isinstance(result, Result)
    assert result.message == "division by zero"


def test_what_dbt_never_came_to_says_why_it_ends() -> None:
    heard = Heard()
    heard.child._termination.reason = "dbt's process was told to end (SIGTERM)"
    node = heard.begun(1, "a")
    heard.child.finish(node, {"status": "error", "message": "cut"})
    [result] = heard.news
    assert isinstance(result, Result)
    assert result.message == "dbt's process was told to end (SIGTERM): cut"


class Manifest:
    """What is asked of dbt's manifest before something is asked of the database."""

    def expect(self, node: str) -> SimpleNamespace:
        return SimpleNamespace(resource_type="model", relation_name=node, config=SimpleNamespace())


def test_who_closes_the_database_when_a_node_is_built_waits_for_its_rows_and_columns() -> None:
    """The counting would open it again, where another process has it by then."""
    open_questions: list[bool] = []

    def hear(news: News) -> None:
        if isinstance(news, Result):
            open_questions.append(not child._measurements.drain(0))

    child = Child(replace(BEGIN, measures=("columns",)), io.BytesIO(), hear)
    child._build = SimpleNamespace(manifest=Manifest())
    child.finish(child._nodes.add(Start(1, "a")), {"status": "success"})
    assert open_questions == [True]
    assert child._measurements.drain(5), "there is no database: it was soon told"


def test_nobody_waits_for_rows_and_columns_that_a_closing_invocation_never_began_to_read() -> None:
    news: list[News] = []
    child = Child(replace(BEGIN, measures=("columns",)), io.BytesIO(), news.append)
    begin = child._measurements.of(SimpleNamespace(manifest=Manifest()), 1, "a")
    assert begin is not None
    child._measurements.close()
    begin()
    assert child._measurements.drain(0)
    assert child._measurements.of(SimpleNamespace(manifest=Manifest()), 2, "b") is None
    assert news == []
