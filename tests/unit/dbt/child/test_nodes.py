"""The nodes that the dbt process has to answer."""

from __future__ import annotations

import threading

import pytest

from dagster_transform.dbt.child.nodes import NodeInProgress, NodesInProgress, Permissions
from dagster_transform.dbt.protocol import Connected, ProtocolError, Start
from dagster_transform.dbt.unique_ids import UniqueId
from tests.support.waiting import until

A, B = UniqueId("model.p.a"), UniqueId("model.p.b")


def test_a_node_is_found_by_its_id_and_its_token_until_it_is_removed() -> None:
    nodes = NodesInProgress()
    first, second = nodes.add(Start(1, A, refresh=True)), nodes.add(Start(2, B))
    assert (first.refresh, second.refresh) == (True, False)
    assert nodes.find(A) is nodes.by_token(1) is first
    assert nodes.all() == [first, second]
    nodes.remove(first)
    assert nodes.find(A) is nodes.by_token(1) is None
    assert nodes.add(Start(3, A)).token == 3, "it is tried again"


def test_a_node_that_is_in_progress_is_not_started() -> None:
    nodes = NodesInProgress()
    nodes.add(Start(1, A))
    with pytest.raises(ProtocolError, match=r"model\.p\.a is started, and not done yet"):
        nodes.add(Start(2, A))


def test_a_node_ends_once_and_not_while_it_is_cancelled() -> None:
    node = NodeInProgress(1, A)
    ended: list[bool] = []
    with node.cancelling:
        thread = threading.Thread(target=lambda: ended.append(node.end()))
        thread.start()
        thread.join(0.05)
        assert not ended
    thread.join(5)
    assert ended == [True]
    assert not node.end()


@pytest.mark.parametrize("allowed", [True, False])
def test_a_node_that_has_a_connection_waits_for_the_answer_to_its_own_question(
    allowed: bool,
) -> None:
    asked: list[Connected] = []
    permissions = Permissions()
    node = NodeInProgress(7, A)
    answers: dict[str, bool] = {}

    def ask(name: str) -> threading.Thread:
        before = len(asked)
        thread = threading.Thread(
            target=lambda: answers.update({name: permissions.ask(node, asked.append)})
        )
        thread.start()
        until(lambda: len(asked) > before, "it to ask", 5)
        return thread

    threads = [ask(name) for name in ("first", "second")]  # two batches of one model
    assert asked == [Connected(7, 0), Connected(7, 1)]
    permissions.answer(1, allowed=allowed)
    threads[1].join(5)
    assert answers == {"second": allowed}
    node.cancelled = True
    threads[0].join(5)
    assert answers == {"first": False, "second": allowed}
