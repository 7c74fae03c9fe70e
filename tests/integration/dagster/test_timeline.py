"""The end of a run says what its time went into, in one event."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dagster import DagsterEventType as Kind

from tests.support.grouped import grouped
from tests.support.sqlmesh_projects import utc
from tests.support.stories import Story

MODELS = {
    "mart.events": "kind FULL\n---\nSELECT word FROM src.words",
    "mart.days": "kind FULL\n---\nSELECT CAST(word AS INT) AS n FROM mart.events",
    "mart.again": "kind FULL\n---\nSELECT n FROM mart.days",
}


def timelines(story: Story) -> list[tuple[str, dict[str, Any]]]:
    return [
        (
            event.message,
            {
                key.removeprefix("dagster_transform/"): value.value
                for key, value in event.event_specific_data.metadata.items()
            },
        )
        for event in story.of(Kind.ENGINE_EVENT)
        if (event.message or "").startswith("Timeline: ")
    ]


def test_a_run_ends_with_its_timeline_whether_it_fails_or_not(tmp_path: Path) -> None:
    transform = grouped(tmp_path, models=MODELS, file="job_groups: {}")
    project = transform.projects[0]
    project.database.execute("CREATE SCHEMA src", "CREATE TABLE src.words AS SELECT '7' AS word")
    project.plan_natively(utc("2026-11-02 20:10"))
    transform.prepare()
    ((message, said),) = timelines(transform.run(execution_time="2026-11-03T01:10:00+00:00"))
    assert message.startswith("Timeline: 3 builds in ")
    assert said["peak_concurrency"] == 1
    assert said["longest_chain_seconds"] > 0
    chain = said["timeline"].split("**The longest chain**")[1]
    names = [line.split("`")[1] for line in chain.splitlines() if line[:3] in ("1. ", "2. ", "3. ")]
    assert names == ["w/mart/events", "w/mart/days", "w/mart/again"]
    assert "![timeline](data:image/svg+xml;base64," in said["timeline"]
    # One that fails has it too; one of a single node says it all in its log.
    project.database.execute("UPDATE src.words SET word = 'seven'")
    failed = transform.run(execution_time="2026-11-04T01:10:00+00:00")
    assert not failed.success
    ((message, said),) = timelines(failed)
    assert message.startswith("Timeline: 2 builds in ")
    assert "| `w/mart/days` | failed |" in said["timeline"]
    assert timelines(transform.run(["mart.events"])) == []
    # Who waits in vain has waited all the same, and for whom it says.
    project.database.execute("UPDATE src.words SET word = '7'")
    transform.job("transform_pause", {"nodes": ["mart.days"], "reason": "bad", "by": "ann"})
    two = ["mart.events", "mart.days"]
    waiting = transform.run(two, execution_time="2026-11-05T01:10:00+00:00", claim_wait=1)
    ((_, said),) = timelines(waiting)
    (row,) = [line for line in said["timeline"].splitlines() if "ann has paused since" in line]
    assert "(bad) | 1 unit |" in row
    assert said["waited_seconds"] >= 1
    transform.close()
