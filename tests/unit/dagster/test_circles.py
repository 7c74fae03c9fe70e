"""Gates that would close a circle."""

from __future__ import annotations

from graphlib import TopologicalSorter

from hypothesis import given
from hypothesis import strategies as st

from dagster_transform.dagster._compat_circles import Gate, circular

OPS = st.sampled_from("abcdef")
# No circle without gates: an op reads those before it.
READS = st.sets(st.tuples(OPS, OPS).filter(lambda pair: pair[0] > pair[1]))
GATES = st.sets(st.builds(Gate, OPS, st.just("i"), OPS, st.sampled_from(["c", "d"]))).map(
    lambda gates: {gate for gate in gates if gate.op != gate.check_op}
)


def graph(reads: set[tuple[str, str]], gates: set[Gate]) -> TopologicalSorter[str]:
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for op, above in [*reads, *((gate.op, gate.check_op) for gate in gates)]:
        sorter.add(op, above)
    return sorter


@given(READS, GATES)
def test_without_them_there_is_no_circle_and_each_of_them_would_close_one(
    reads: set[tuple[str, str]], gates: set[Gate]
) -> None:
    by_op = {op: [above for reader, above in reads if reader == op] for op in "abcdef"}
    left_out = set(circular(by_op, gates))
    kept = gates - left_out
    list(graph(reads, kept).static_order())
    for gate in left_out:
        try:
            list(graph(reads, {*kept, gate}).static_order())
        except ValueError:
            continue
        raise AssertionError(f"{gate} could have stayed")


def test_over_two_python_assets_and_another_gate() -> None:
    # first -> python -> second -> python2 -> third, which checks what python and python2 read
    reads = {"python": ["first"], "second": ["python"], "python2": ["second"], "third": ["python2"]}
    into = [Gate(op, "i", "third", "check") for op in ("python", "python2", "mail")]
    assert circular(reads, into) == into[:2]
    each_other = [Gate("a", "i", "b", "c"), Gate("b", "i", "a", "c")]
    assert circular({}, each_other) == each_other[1:]
