"""What of the work that was done outside of Dagster is told, and what a new plan asks for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dagster_transform.planning.outside_work import Step, step_of, to_tell

TIMES = st.dictionaries(st.sampled_from("abcdef"), st.floats(1, 100))


def test_what_dagster_does_not_know_is_told_the_oldest_first() -> None:
    done = {"new": 3.0, "newer": 5.0, "never": 1.0, "known": 4.0, "equal": 2.0}
    found = to_tell(done, {"new": 2.0, "newer": 4.9, "known": 4.1, "equal": 2.0}, ())
    assert found.now == ("never", "new", "newer")
    assert found.all


def test_what_a_run_has_is_left_and_so_is_what_is_too_much() -> None:
    done = {"a": 1.0, "b": 2.0, "c": 3.0}
    found = to_tell(done, {"c": 3.0}, {"a", "c"}, most=1)
    assert (found.now, found.busy, found.more, found.all) == (("b",), ("a",), 0, False)
    found = to_tell(done, {}, (), most=2)
    assert (found.now, found.more, found.all) == (("a", "b"), 1, False)


@given(done=TIMES, known=TIMES, busy=st.sets(st.sampled_from("abcdef")))
def test_looking_again_tells_nothing_twice_and_forgets_nothing(
    done: dict[str, float], known: dict[str, float], busy: set[str]
) -> None:
    """Each look knows what the one before has told; busy runs end in between."""
    told: list[str] = []
    at = dict(known)
    for held in (busy, busy, set(), set(), set()):
        found = to_tell(done, at, held, most=2)
        told += found.now
        at.update((each, done[each]) for each in found.now)
    unknown = {each for each in done if known.get(each, 0.0) < done[each]}
    assert len(told) == len(set(told))
    assert set(told) == unknown


def test_a_new_plan_is_prepared_once_it_has_come_to_its_end() -> None:
    assert step_of(None, finalized=False, prepared=None) is Step.WAIT
    assert step_of("b", finalized=False, prepared="a") is Step.WAIT
    assert step_of("b", finalized=True, prepared="a") is Step.PREPARE
    assert step_of("b", finalized=True, prepared=None) is Step.PREPARE
    assert step_of("b", finalized=True, prepared="b") is Step.NOTHING
