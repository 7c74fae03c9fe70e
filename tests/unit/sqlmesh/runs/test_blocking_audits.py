from __future__ import annotations

from datetime import datetime, timezone

from dagster_transform.graph import check_id, node_id
from dagster_transform.sqlmesh.runs.blocking_audits import hold_back, merge
from dagster_transform.walk import CheckResult

NODE = node_id("p", "n")
DAY = 86_400_000
FIRST = int(datetime(2024, 3, 1, tzinfo=timezone.utc).timestamp() * 1000)
DAYS = [(FIRST + i * DAY, FIRST + (i + 1) * DAY) for i in range(3)]


def result(
    name: str, failed: int = 0, seconds: float = 0.5, *, blocking: bool = True
) -> CheckResult:
    details = {"query": f"{name} {failed}", "interval": "a day", "seconds": seconds}
    return CheckResult(check_id(NODE, name), not failed, failed, blocking, details)


def test_an_interval_of_which_a_blocking_audit_fails_is_not_recorded() -> None:
    assert hold_back([result("a"), result("b", failed=1)])
    assert not hold_back([result("a"), result("b", failed=1, blocking=False)])
    assert not hold_back([])


def test_each_check_has_one_result_over_all_batches() -> None:
    found = merge([result("a"), result("b", 2), result("a", 3), result("b", 4)], DAYS)
    assert [(r.check, r.passed, r.failed_rows) for r in found] == [
        (check_id(NODE, "a"), False, 3),
        (check_id(NODE, "b"), False, 6),
    ]
    for one in found:
        assert one.details["interval"] == "2024-03-01 to 2024-03-03"
        assert one.details["seconds"] == 1.0
    assert [r.details["query"] for r in found] == ["a 3", "b 2"]  # of the first that failed


def test_what_passes_everywhere_passes() -> None:
    (one,) = merge([result("a"), result("a")], DAYS[:1])
    assert one.passed
    assert one.failed_rows == 0
    assert merge([], []) == []
