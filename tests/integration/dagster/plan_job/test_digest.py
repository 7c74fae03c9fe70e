"""The plan job applies by digest what it has explained, and refuses anything else."""

from __future__ import annotations

from typing import Any

import pytest
from dagster import DagsterEventType as Kind

from tests.support.plan_jobs import (
    AN_HOUR_LATER,
    FIRST,
    JOB,
    NEXT_DAY,
    apply,
    at,
    digest,
    edit,
    everything,
    explain,
    metadata,
    text,
)
from tests.support.sqlmesh_projects import utc
from tests.support.stories import Story
from tests.support.transforms import Transform

# -- the digest -----------------------------------------------------------------------------------


def test_an_unchanged_plan_applies_by_digest(planned: Transform) -> None:
    edit(planned)
    database = planned.projects[0].database
    before = everything(database)
    shown = explain(planned)
    assert everything(database) == before  # explaining changes nothing
    assert shown.materialized == []
    assert shown.observed == {}

    # No execution time: this run is years later, and the plan is the same one.
    applied = apply(planned, digest(shown))
    assert applied.success
    assert text(applied) == text(shown)
    # It was live, checked, promoted and told.
    assert applied.observed == {name: ["backfilled"] for name in "abc"}
    assert sorted(applied.materialized) == ["a", "b", "c", "words"]  # that one a shell has planned
    assert applied.checks == {"a:not_null": True, "b:number_of_rows": True}
    promoted = applied.ended("p:promotion of prod", "promoted")
    for name in "abc":
        assert applied.stored(Kind.ASSET_OBSERVATION, name) < promoted
        assert applied.stored(Kind.ASSET_MATERIALIZATION, name) > promoted
    assert database.content("mart.c") == [(16,)]  # 15 rows to the end of 2024-03-05, and 1
    assert planned.projects[0].environment().plan_id.startswith(_plan_of(explain(planned)))
    check = planned.check_key("mart.a:not_null")
    stored = planned.instance.event_log_storage.get_latest_asset_check_execution_by_key([check])
    assert stored[check].status.value == "SUCCEEDED"


def _plan_of(story: Story) -> str:
    return str(metadata(story)["plan_json"]["previous_plan"])


def test_one_edited_model_refuses_and_says_what_changed(planned: Transform) -> None:
    edit(planned)
    shown = explain(planned)
    edit(planned, "SELECT COUNT(*) AS n, 1 AS m FROM mart.a")
    before = everything(planned.projects[0].database)
    refused = apply(planned, digest(shown))
    assert not refused.success
    mart = f"{planned.projects[0].database.catalog}/mart"
    assert refused.failure.splitlines() == [
        f"Project p: nothing was applied. The plan is not what was shown as {digest(shown)}:",
        f"- {mart}/b: has changed since, and is non-breaking now (was breaking)",
        f"- {mart}/c: has changed since, and is indirect non-breaking now (was indirect breaking)",
        f"Look at the new plan in this run's log. Apply it with digest {digest(refused)}.",
    ]
    assert everything(planned.projects[0].database) == before
    assert refused.materialized == []
    # The new plan is there to be looked at, and to be applied.
    assert "`mart.b` (FULL): non-breaking" in text(refused)
    assert apply(planned, digest(refused)).success
    assert planned.projects[0].database.content("mart.b") == [(15, 1)]


def test_another_edited_model_is_named_and_the_first_one_is_not(planned: Transform) -> None:
    edit(planned)
    shown = explain(planned)
    planned.projects[0].model("mart.words", "kind FULL\n---\nSELECT 3 AS n")
    refused = apply(planned, digest(shown))
    assert not refused.success
    assert "/mart/words: is breaking now (was not in the plan)\n" in refused.failure
    assert "mart/b" not in refused.failure


def test_a_plan_applied_in_between_refuses(planned: Transform) -> None:
    project = planned.projects[0]
    edit(planned)
    shown = explain(planned)
    project.model("mart.words", "kind FULL\n---\nSELECT 3 AS n")
    project.plan_natively(utc(NEXT_DAY), select_models=["mart.words"])
    refused = apply(planned, digest(shown))
    assert not refused.success
    assert "- environment prod has plan " in refused.failure


def test_ticks_in_between_leave_the_plan_what_it_was(planned: Transform) -> None:
    """What is due of other models is no part of the plan; what is due of what its models read is,
    and when it has been built by then, only the rest is left to do."""
    edit(planned)
    shown = explain(planned)
    assert "| `mart.a` | 2024-03-05 (unchanged, but due) |" in text(shown)
    assert "mart.words" not in text(shown)
    planned.projects[0].run_natively(utc(AN_HOUR_LATER))
    applied = apply(planned, digest(shown))
    assert applied.success
    assert "A part of what was shown has been built since: the rest is applied." in applied.log
    assert sorted(applied.materialized) == ["a", "b", "c", "words"]  # "a" and "words" are synced
    assert planned.projects[0].database.content("mart.c") == [(16,)]


def test_a_digest_that_nobody_has_shown_refuses_and_says_so(planned: Transform) -> None:
    edit(planned)
    refused = apply(planned, "20240306T103000Z-0123456789ab")
    assert not refused.success
    assert "can't be told: this Dagster instance does not have the run that showed it" in (
        refused.failure
    )
    assert digest(refused) in refused.failure


def test_a_digest_needs_no_memory_when_the_plan_is_the_same(planned: Transform) -> None:
    """The run that explained may have been deleted, or have had another Dagster."""
    edit(planned)
    shown = explain(planned)
    planned.instance.delete_run(shown.run_id)
    assert apply(planned, digest(shown)).success


def test_a_digest_whose_plan_was_applied_has_nothing_to_do(planned: Transform) -> None:
    edit(planned)
    shown = explain(planned)
    assert apply(planned, digest(shown)).success
    again = apply(planned, digest(shown))
    assert again.success
    assert f"Plan {digest(shown)} has been applied already: nothing to do." in again.log
    assert again.started == []


def test_files_that_are_what_they_were_refuse_a_digest(planned: Transform) -> None:
    """Nothing to do, but not because the plan was applied."""
    edit(planned)
    shown = explain(planned)
    edit(planned, "SELECT COUNT(*) AS n FROM mart.a")
    refused = apply(planned, digest(shown))
    assert not refused.success
    assert "/mart/b: is not in the plan any more (was breaking)" in refused.failure


@pytest.mark.parametrize(
    ("config", "options", "said"),
    [
        ({"digest": "20240306T103000Z-0123456789ab"}, {}, "apply is false"),
        ({"apply": True, "digest": "latest"}, {}, "'latest' is no digest of a plan"),
        ({"apply": True, "digest": "20240306T103000Z-0123456789ab"}, at(FIRST), "exclude each"),
        ({}, {"execution_time": "yesterday"}, "is not an ISO 8601 time"),
    ],
)
def test_config_that_makes_no_sense_is_told(
    planned: Transform, config: dict[str, Any], options: dict[str, Any], said: str
) -> None:
    story = planned.job(JOB, config, **options)
    assert not story.success
    assert said in story.failure
