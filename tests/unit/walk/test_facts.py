"""What project runs find out of a unit after its end: only the end of the walk waits for it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dagster_transform.planning import Outcome, Unit
from dagster_transform.walk import Facts, Finished, Learned, Report
from tests.support.fake_project_run import NEVER, Rehearsal, Script, build


@dataclass(frozen=True)
class Counted(Script):
    """A unit whose rows are known only some time after its end; `NEVER`: not at all."""

    facts_after: float = 5.0

    def report(self, unit: Unit, attempt: int) -> Report:
        report = super().report(unit, attempt)
        return replace(report, facts_follow=report.outcome is Outcome.BUILT)


def rehearse(*units: Unit, scripts: dict[str, Script], **limits: object) -> Rehearsal:
    """A rehearsal whose project runs send the facts of counted units."""
    walk = Rehearsal(*units, scripts=scripts, **limits)
    for project_run in walk.project_runs.values():

        def start(unit: Unit, done: object, project_run: object = project_run) -> None:
            type(project_run).start(project_run, unit, done)  # type: ignore[attr-defined]
            script = scripts.get(unit.id)
            if isinstance(script, Counted) and script.facts_after < NEVER:
                later = script.seconds + script.facts_after
                walk.inbox.later(later, lambda: walk.inbox.put(Facts(unit.id, 10)))  # type: ignore[arg-type]

        project_run.start = start  # type: ignore[method-assign]
    return walk


def told(walk: Rehearsal) -> list[tuple[float, str, str]]:
    return [(t, type(e).__name__, e.unit.id) for t, e in walk.told if not hasattr(e, "attempt")]


def test_descendants_and_the_next_unit_do_not_wait_for_facts() -> None:
    units = [build("a:x"), build("a:y", "a:x"), build("a:z")]
    walk = rehearse(*units, scripts={"a:x": Counted()}, max_concurrent_models=1).run()
    assert walk.times["a:y"] == (1, 2)
    assert walk.times["a:z"] == (2, 3)
    assert told(walk)[-1] == (6, "Learned", "a:x")


def test_the_walk_ends_when_the_last_facts_have_come() -> None:
    walk = rehearse(build("a:x"), scripts={"a:x": Counted(1, facts_after=30)}).run()
    assert told(walk) == [(1, "Finished", "a:x"), (31, "Learned", "a:x")]
    [learned] = [e for _, e in walk.told if isinstance(e, Learned)]
    assert learned.facts.table_rows == 10


def test_facts_that_nobody_announced_are_not_told() -> None:
    walk = rehearse(build("a:x"), build("a:y", "a:x"), scripts={})
    walk.inbox.later(1.5, lambda: walk.inbox.put(Facts("a:x", 10)))  # type: ignore[arg-type]
    assert [e for _, e in walk.run().told if isinstance(e, Learned)] == []


def test_a_unit_that_is_tried_again_has_facts_once() -> None:
    script = Counted(transient_failures=1, facts_after=100)
    walk = rehearse(build("a:x"), scripts={"a:x": script}, retries=1, retry_delay=0)
    walk.run()
    assert [type(e) for _, e in walk.told if isinstance(e, (Finished, Learned))] == [
        Finished,
        Learned,
    ]


def test_a_cancelled_run_does_not_wait_for_facts() -> None:
    units = [build("a:x"), build("a:y")]
    walk = rehearse(*units, scripts={"a:x": Counted(facts_after=NEVER)}).run_until(2).cancel()
    ends = {e.unit.id: e.outcome for _, e in walk.told if isinstance(e, Finished)}
    assert ends == {"a:x": Outcome.BUILT, "a:y": Outcome.BUILT}
