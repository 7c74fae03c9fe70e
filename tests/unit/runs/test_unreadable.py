"""What is blocked over projects that can't be loaded."""

from __future__ import annotations

from dagster_transform.errors import TransformError
from dagster_transform.graph import Check, Graph, Node, Relation, Source
from dagster_transform.planning import LeftOut, Outcome, Readiness
from dagster_transform.runs.participants import Participants
from dagster_transform.runs.unreadable import Unreadable, UnreadableProject, blocked_over


def table(name: str) -> Relation:
    return Relation("duckdb:/w", "w", "s", name)


def node(project: str, name: str, *deps: str) -> Node:
    return Node(
        f"{project}:{name}", project, "dbt", name, name, "table", table(name),
        key=(name,), deps=deps,
    )  # fmt: skip


THERE, ELSEWHERE = (Source(f"p:{n}", "p", n, n, table(n)) for n in ("there", "elsewhere"))
GRAPH = Graph.of(
    [
        node("p", "reads", "p:there"),
        node("p", "below", "p:reads"),
        node("p", "beside", "p:elsewhere"),
        node("p", "alone"),
        node("stale", "old"),
        node("p", "over_old", "stale:old"),
    ],
    [THERE, ELSEWHERE],
)
ERROR = TransformError("it is odd", remedy="mend it")


def blocked(unreadable: dict[str, Unreadable]) -> dict[str, str]:
    found = blocked_over(GRAPH, set(GRAPH.nodes), unreadable)
    return {node.removeprefix("p:"): ready.reason for node, ready in found.items()}


def test_of_a_project_that_is_left_out_what_it_builds_is_known() -> None:
    found = blocked({"q": Unreadable(ERROR, {table("there")})})
    assert found.keys() == {"reads", "below"}
    for word in ("it reads there, which project q builds", "it is odd", "mend it"):
        assert word in found["below"]
    assert blocked({"q": Unreadable(ERROR, ())}) == {}, "it builds nothing"


def test_of_one_of_which_nothing_is_known_it_may_be_anything() -> None:
    found = blocked({"q": Unreadable(ERROR)})
    assert found.keys() == {"reads", "below", "beside"}
    assert "which project q may build" in found["beside"]


def test_of_one_that_is_in_the_graph_it_is_its_nodes() -> None:
    assert blocked({"stale": Unreadable(ERROR)}).keys() == {"over_old"}
    assert blocked({}) == {}


class Log(list[str]):
    def info(self, text: str, /) -> None:
        self.append(text)

    warning = error = info


JUDGING = Graph.of([node("q", "old")], checks=[Check("q:old:unique", "q", "unique", "q:old")])
NOT_RUN = {"q:old:unique": LeftOut(Outcome.BLOCKED, "nothing of project q could be run")}


def test_a_check_of_a_project_that_cannot_be_assessed_has_not_failed() -> None:
    log = Log()
    taking_part = Participants(JUDGING, {"q": UnreadableProject(ERROR)}, log)
    readiness = taking_part.assess(["q:old"], ["q:old:unique"])
    assert readiness == {"q:old": Readiness(Outcome.FAILED, str(ERROR))}
    assert taking_part.not_run == NOT_RUN
    assert taking_part.runnable(["q:old:unique"]) == []
    assert log[-1] == "1 check not run: nothing of project q could be run"
    assert taking_part.close(completed=True) == {}, "its node says it"


def test_where_there_are_checks_only_the_project_has_failed() -> None:
    taking_part = Participants(JUDGING, {"q": UnreadableProject(ERROR)}, Log())
    taking_part.assess([], ["q:old:unique"])
    assert taking_part.not_run == NOT_RUN
    problems = taking_part.close(completed=True)
    assert problems == {"project q": LeftOut(Outcome.FAILED, str(ERROR))}
