"""Whatever becomes of the process, each node that was started is answered exactly once."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from dagster_transform.dbt.protocol import Measured, Result
from dagster_transform.dbt.runs.started_nodes import Answer, StartedNodes
from dagster_transform.dbt.unique_ids import UniqueId

A, B = UniqueId("model.p.a"), UniqueId("model.p.b")


class Heard:
    """Nodes that were started, and what was answered."""

    def __init__(self) -> None:
        self.nodes = StartedNodes()
        self.answers: list[Answer] = []
        self.measured: list[Measured] = []

    def start(self, node: UniqueId = A, timed_out: str = "") -> int:
        token = self.nodes.add(node, self.answers.append, self.measured.append, timed_out=timed_out)
        return token or 0


@pytest.fixture
def heard() -> Heard:
    return Heard()


def test_a_result_is_the_answer_of_its_token(heard: Heard) -> None:
    first, second = heard.start(A), heard.start(B)
    result = Result(second, "success", made=True)
    heard.nodes.answer(result)
    assert heard.answers == [Answer(result, made=True)]
    assert heard.nodes.by_token().keys() == {first}
    heard.nodes.answer(result)
    assert len(heard.answers) == 1


def test_a_cancel_is_said_to_the_process_once_and_is_in_the_answer(heard: Heard) -> None:
    token = heard.start()
    assert heard.nodes.first_cancel is None
    assert heard.nodes.cancel(token)
    cancelled_at = heard.nodes.first_cancel
    assert cancelled_at is not None
    assert not heard.nodes.cancel(token)
    assert not heard.nodes.cancel(token + 1), "it was never started"
    assert heard.nodes.first_cancel == cancelled_at
    result = Result(token, "error")
    heard.nodes.answer(result)
    assert heard.answers == [Answer(result, cancelled=True)]
    assert not heard.nodes.cancel(token), "it is answered"


def test_a_time_limit_cancels_but_the_run_has_not_asked_for_it(heard: Heard) -> None:
    token = heard.start()
    assert heard.nodes.cancel(token, "it took longer than 1 s")
    assert not heard.nodes.cancel(token, "the run took longer than 2 s")
    heard.nodes.answer(result := Result(token, "error"))
    assert heard.answers == [Answer(result, timed_out="it took longer than 1 s")]


def test_a_process_that_has_ended_answers_all_that_was_and_all_that_will_be_started(
    heard: Heard,
) -> None:
    made, cancelled = heard.start(A), heard.start(B)
    heard.nodes.note_made(made)
    heard.nodes.cancel(cancelled)
    heard.nodes.lose("killed")
    assert heard.answers == [
        Answer(None, "killed", made=True),
        Answer(None, "killed", cancelled=True),
    ]
    assert heard.nodes.by_token() == {}
    assert heard.start(A, timed_out="too long") == 0
    assert heard.answers[2:] == [Answer(None, "killed")]


def test_what_starts_after_the_runs_limit_is_answered_at_once(heard: Heard) -> None:
    assert heard.start(A, timed_out="the run took longer than 2 s") == 0
    assert heard.answers == [Answer(None, timed_out="the run took longer than 2 s")]


def test_what_is_measured_comes_once_after_a_result_that_says_so(heard: Heard) -> None:
    first, second, third = heard.start(A), heard.start(B), heard.start(A)
    heard.nodes.answer(Result(first, "success", measured_follows=True))
    heard.nodes.answer(Result(second, "success"))
    heard.nodes.answer(Result(third, "success", measured_follows=True))
    for token in (first, first, second):
        heard.nodes.answer_measured(Measured(token, rows=3))
    assert heard.measured == [Measured(first, rows=3)]
    heard.nodes.give_up_measured("the run took longer than 2 s")
    heard.nodes.lose("killed")
    assert heard.measured[1:] == [Measured(third, problem="the run took longer than 2 s")]


def test_a_node_that_ends_while_its_process_dies_is_answered_once() -> None:
    for _ in range(200):
        heard = Heard()
        tokens = [heard.start() for _ in range(5)]
        barrier = threading.Barrier(2)

        def end(heard: Heard = heard, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            heard.nodes.lose("killed")

        thread = threading.Thread(target=end)
        thread.start()
        barrier.wait()
        for token in tokens:
            heard.nodes.answer(Result(token, "success"))
        tokens.append(heard.start())
        thread.join()
        assert len(heard.answers) == 6
        by_token = Counter(a.result.token for a in heard.answers if a.result is not None)
        assert set(by_token.values()) <= {1}


def test_a_node_may_build_while_it_is_the_runs_and_neither_cancelled_nor_answered() -> None:
    nodes = StartedNodes()
    held = [True]
    token = nodes.add(A, lambda _: None, lambda _: None, held=lambda: held[0])
    assert token is not None
    assert nodes.may_build(token)
    held[0] = False
    assert not nodes.may_build(token)
    held[0] = True
    nodes.cancel(token)
    assert not nodes.may_build(token)
    assert not nodes.may_build(token + 1)
