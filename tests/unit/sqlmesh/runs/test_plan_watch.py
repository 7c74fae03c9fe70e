"""What becomes of a run's nodes when somebody else has planned meanwhile."""

from __future__ import annotations

from dagster_transform.sqlmesh.runs.plan_watch import batches_built, versions_changed
from dagster_transform.sqlmesh.state.work import Work


def test_nodes_whose_version_has_not_changed_go_on() -> None:
    mine = {"same": "1", "changed": "1", "removed": "1"}
    found = versions_changed(mine, {"same": "1", "changed": "2", "new": "1"})
    assert found == {"changed": "has another version", "removed": "is not in it any more"}


def test_batches_that_somebody_has_built_meanwhile_are_done() -> None:
    work = Work(None, [(0, 1), (1, 2), (2, 4)])
    assert batches_built(work, known=[], recorded=[(0, 1), (1, 2)]) == {0, 1}
    assert batches_built(work, known=[], recorded=[(0, 3)]) == {0, 1}  # not the whole of the third
    assert batches_built(work, known=[], recorded=[]) == set()


def test_what_was_recorded_before_is_built_all_the_same() -> None:
    """A rebuild, or a restatement whose intervals somebody has removed only here."""
    work = Work(None, [(0, 1), (1, 2)])
    assert batches_built(work, known=[(0, 2)], recorded=[(0, 2)]) == set()
    assert batches_built(work, known=[(0, 2)], recorded=[(0, 2), (2, 3)]) == {0, 1}
