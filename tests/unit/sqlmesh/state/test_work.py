from __future__ import annotations

from dagster_transform.sqlmesh.state.work import Work

BATCHES = [(0, 1), (1, 2), (2, 3)]


def test_work_is_done_when_every_batch_is_recorded() -> None:
    work = Work(None, BATCHES)
    assert not work.is_done
    work.recorded |= {2, 0}
    assert work.done == [(0, 1), (2, 3)]
    assert not work.is_done
    work.recorded.add(1)
    assert work.is_done
    assert not Work(None, []).is_done  # only its table is to be made


def test_what_others_have_built_is_not_built_again() -> None:
    work = Work(None, BATCHES, recorded={0})
    work.keep_only([(1, 2), (2, 3)])
    assert work.batches == [(1, 2), (2, 3)]
    assert work.recorded == set()  # numbers are those of the new batches


def test_a_node_of_which_others_have_built_everything_is_done() -> None:
    work = Work(None, BATCHES)
    work.keep_only([])
    assert work.is_done
    assert work.done == BATCHES
