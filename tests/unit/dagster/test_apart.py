"""What a materialisation says of checks that run apart from it, and in which jobs these are."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import dagster as dg

from dagster_transform.dagster._compat_check_jobs import told_of_jobs
from dagster_transform.dagster.execution.apart import (
    CHECKS_APART,
    CHECKS_OVERDUE,
    FAILED_IN_RUN,
    Evaluations,
    said_of_checks_apart,
)

AT = datetime(2024, 3, 5, 6, tzinfo=timezone.utc).timestamp()


def key(name: str) -> dg.AssetCheckKey:
    return dg.AssetCheckKey(dg.AssetKey("a"), name)


def results(*found: tuple[str, bool, dg.AssetCheckSeverity, float]) -> Evaluations:
    return {
        key(name): (
            dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey("a"), check_name=name, passed=passed, metadata={},
                severity=severity,
            ),
            AT + seconds,
            f"run_of_{name}",
        )
        for name, passed, severity, seconds in found
    }  # fmt: skip


ERROR, WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN


def test_failures_come_first_with_their_times_and_the_last_ones_run() -> None:
    found = results(
        ("few", False, ERROR, 0), ("a_one", True, WARN, 0), ("old", False, ERROR, -86400),
        ("warned", False, WARN, 60),
    )  # fmt: skip
    said = said_of_checks_apart([*found, key("new")], found)
    assert said[CHECKS_APART].value == (
        "before this: failed few (2024-03-05 06:00 UTC), old (2024-03-04 06:00 UTC); "
        "warned warned (2024-03-05 06:01 UTC); passed a_one (2024-03-05 06:00 UTC); never run new"
    )
    assert said[FAILED_IN_RUN] == dg.MetadataValue.dagster_run("run_of_few")


def test_what_has_no_result_since_its_last_tick_is_overdue() -> None:
    found = results(("few", False, ERROR, 0), ("old", True, ERROR, -86400))
    tick = datetime(2024, 3, 5, 7, tzinfo=timezone(timedelta(hours=1)))
    overdue = {key("new"): tick, key("old"): tick}
    said = said_of_checks_apart([*found, key("new")], found, overdue)
    assert said[CHECKS_OVERDUE].value == "no result since 2024-03-05 06:00 UTC: new, old"
    assert CHECKS_OVERDUE not in said_of_checks_apart([key("few")], found, overdue)
    assert CHECKS_OVERDUE not in said_of_checks_apart([key("new")], found)


def test_warnings_name_no_run_and_many_checks_are_a_number() -> None:
    found = results(*((f"c{n}", n > 0, WARN, 0) for n in range(8)))
    said = said_of_checks_apart(found, found)
    assert said.keys() == {CHECKS_APART}
    assert str(said[CHECKS_APART].value).endswith("c5 (2024-03-05 06:00 UTC) and 2 more")


def test_the_own_job_of_a_check_comes_first_and_the_base_job_is_not_named() -> None:
    jobs = ["__ASSET_JOB", "hourly", "web_checks"]
    assert told_of_jobs(jobs, "web_checks") == ["web_checks", "hourly"]
    assert told_of_jobs(jobs, "other_checks") == jobs
    assert told_of_jobs(jobs, None) == jobs
