"""Which failures of checks are failures of the run."""

from __future__ import annotations

import pytest

from dagster_transform.runs.check_failures import FailOn, fails
from dagster_transform.walk import CheckResult

PASSED = CheckResult("c", passed=True)
BLOCKING = CheckResult("c", passed=False)
WARNING = CheckResult("c", passed=False, blocking=False)
OLD = CheckResult("c", passed=False, blocking=False, error=True)


@pytest.mark.parametrize(
    ("result", "fail_on", "beside_builds", "alone"),
    [
        (PASSED, FailOn.WARN, False, False),
        (BLOCKING, FailOn.ERROR, True, True),
        (BLOCKING, FailOn.NEVER, False, False),
        (WARNING, FailOn.ERROR, False, False),
        (WARNING, FailOn.WARN, True, True),
        (OLD, FailOn.ERROR, False, True),  # no `dbt build` fails for it
        (OLD, FailOn.WARN, True, True),
    ],
)
def test_fails(result: CheckResult, fail_on: FailOn, beside_builds: bool, alone: bool) -> None:
    assert fails(result, fail_on, builds=True) is beside_builds
    assert fails(result, fail_on, builds=False) is alone
