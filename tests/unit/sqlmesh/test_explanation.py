"""The explanation of a plan as a value: its digest, its text, and what differs from another one."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from dagster_transform.sqlmesh.plans.explanation import (
    Backfill,
    Change,
    PlanExplanation,
    PlanRequest,
    Restated,
    as_markdown,
    differences,
    from_json,
    moment_of,
)

MOMENT = datetime(2024, 3, 5, 10, 30, tzinfo=timezone.utc)
DAY = 86_400_000
FIRST = int(datetime(2024, 3, 1, tzinfo=timezone.utc).timestamp() * 1000)


def change(name: str, how: str = "direct", category: str = "breaking", **more: Any) -> Change:
    given = {"kind": "FULL", "identifier": f"{name} 1", **more}
    return Change(f'"w"."mart"."{name}"', f"mart.{name}", how=how, category=category, **given)


def days(name: str, first: int, last: int, **more: Any) -> Backfill:
    """Days of March 2024."""
    interval = (FIRST + (first - 1) * DAY, FIRST + last * DAY)
    kind = "INCREMENTAL_BY_TIME_RANGE"
    return Backfill(f'"w"."mart"."{name}"', f"mart.{name}", kind, (interval,), **more)


SHOWN = PlanExplanation(
    project="p",
    environment="prod",
    execution_time=int(MOMENT.timestamp() * 1000),
    previous_plan="0123456789abcdef",
    target="target 1",
    changes=(
        change("added", "added"),
        change(
            "both", category="non-breaking", forward_only=True, diff="---\n+++\n@@ -1 +1 @@\n+x"
        ),
        change("reads", "indirect", "indirect breaking"),
        change("gone", "removed", ""),
    ),
    backfill=(
        days("added", 1, 4),
        days("base", 4, 4, due=True),
        Backfill('"w"."mart"."reads"', "mart.reads", "VIEW", ((FIRST, FIRST + 4 * DAY),)),
    ),
    restated=(Restated('"w"."mart"."both"', "mart.both", (FIRST + 3 * DAY, FIRST + 4 * DAY)),),
    others=("Python requirements",),
    request=PlanRequest(allow_destructive_models=("mart.both",)),
)


def with_change(number: int, **changed: Any) -> PlanExplanation:
    changes = list(SHOWN.changes)
    changes[number] = replace(changes[number], **changed)
    return replace(SHOWN, changes=tuple(changes), target="target 2")


# -- digest -------------------------------------------------------------------------------------


def test_a_digest_has_the_moment_of_its_plan() -> None:
    assert SHOWN.digest.startswith("20240305T103000Z-")
    assert moment_of(SHOWN.digest) == MOMENT
    assert moment_of(f" {SHOWN.digest}\n") == MOMENT


@pytest.mark.parametrize(
    "text", ["", "0123456789ab", "20240305T103000Z", "20240305T103000Z-0123", "x" + SHOWN.digest]
)
def test_what_is_no_digest_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="is no digest of a plan"):
        moment_of(text)


@pytest.mark.parametrize(
    "other",
    [
        replace(SHOWN, project="q"),
        replace(SHOWN, environment="dev"),
        replace(SHOWN, execution_time=SHOWN.execution_time + 1000),
        replace(SHOWN, previous_plan="fedcba9876543210"),
        replace(SHOWN, finalized=False),
        replace(SHOWN, origin="prod"),
        replace(SHOWN, origin_plan="fedcba9876543210"),
        replace(SHOWN, target="target 2"),
        replace(SHOWN, needed=False),
        replace(SHOWN, others=()),
        replace(SHOWN, restated=()),
        replace(SHOWN, request=PlanRequest()),
        replace(SHOWN, request=PlanRequest(run=True)),
        replace(SHOWN, backfill=SHOWN.backfill[1:]),
        replace(SHOWN, backfill=(days("added", 1, 3), *SHOWN.backfill[1:])),
        replace(SHOWN, changes=SHOWN.changes[1:]),
        with_change(1, identifier="both 2"),
        with_change(1, category="breaking"),
        with_change(1, forward_only=False),
    ],
)
def test_whatever_is_part_of_the_plan_is_part_of_its_digest(other: PlanExplanation) -> None:
    assert other.digest != SHOWN.digest


def test_how_a_change_is_shown_is_not_part_of_the_digest() -> None:
    changes = tuple(replace(c, diff="other lines") for c in SHOWN.changes)
    assert replace(SHOWN, changes=changes).digest == SHOWN.digest


def test_a_digest_is_the_same_in_every_process() -> None:
    """It is written down in one run and compared in another."""
    assert replace(SHOWN, changes=(), target="").digest == "20240305T103000Z-4ee312531a9d"


# -- JSON ---------------------------------------------------------------------------------------


def test_an_explanation_survives_json() -> None:
    written = json.dumps(SHOWN.to_json())
    found = from_json(json.loads(written))
    assert found == SHOWN
    assert found.digest == SHOWN.digest


@pytest.mark.parametrize("spoil", ["missing", "unknown", "shape", "tampered"])
def test_what_is_no_explanation_is_not_taken_for_one(spoil: str) -> None:
    data = SHOWN.to_json()
    if spoil == "missing":
        del data["target"]
    elif spoil == "unknown":
        data["changes"][0]["colour"] = "blue"
    elif spoil == "shape":
        data["backfill"] = 3
    else:
        data["changes"][0]["category"] = "metadata"
    with pytest.raises(ValueError, match="explanation of a plan"):
        from_json(data)


# -- differences --------------------------------------------------------------------------------


def test_a_plan_does_not_differ_from_itself() -> None:
    assert differences(SHOWN, SHOWN) == []


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (
            with_change(1, identifier="both 2"),
            "mart.both: has changed since (non-breaking, forward-only)",
        ),
        (
            with_change(1, identifier="both 2", category="breaking", forward_only=False),
            "mart.both: has changed since, and is breaking now (was non-breaking, forward-only)",
        ),
        (
            with_change(1, category="breaking", forward_only=False),
            "mart.both: is breaking now (was non-breaking, forward-only)",
        ),
        (
            with_change(2, identifier="reads 2"),
            "mart.reads: reads what has changed since (indirect breaking)",
        ),
        (
            replace(SHOWN, changes=(*SHOWN.changes, change("new"))),
            "mart.new: is breaking now (was not in the plan)",
        ),
        (
            replace(SHOWN, changes=(*SHOWN.changes, change("new", "removed", ""))),
            "mart.new: is removed now (was not in the plan)",
        ),
        (
            replace(SHOWN, changes=SHOWN.changes[1:]),
            "mart.added: is not in the plan any more (was added)",
        ),
        (
            replace(SHOWN, previous_plan="fedcba9876543210"),
            "environment prod has plan fedcba98 now, had plan 01234567",
        ),
        (
            replace(SHOWN, finalized=False),
            "environment prod has plan 01234567 (not finished) now, had plan 01234567",
        ),
        (replace(SHOWN, origin="prod", origin_plan="x"), "environment prod has another plan now"),
        (
            replace(SHOWN, backfill=(*SHOWN.backfill, days("more", 2, 3))),
            "mart.more: builds 2024-03-02 to 2024-03-03, too",
        ),
        (
            replace(SHOWN, backfill=(days("added", 1, 6),)),
            "mart.added: builds 2024-03-05 to 2024-03-06, too",
        ),
        (
            replace(
                SHOWN, restated=(replace(SHOWN.restated[0], interval=(FIRST, FIRST + 4 * DAY)),)
            ),
            "mart.both: builds 2024-03-01 to 2024-03-03 again, too",
        ),
        (
            replace(SHOWN, request=PlanRequest(run=True)),
            "other options: was allow_destructive_models=['mart.both'], now run=True",
        ),
        (
            replace(SHOWN, target="target 2"),
            "before_all or after_all statements, or Python requirements, have changed",
        ),
    ],
)
def test_a_difference_is_said_in_words(now: PlanExplanation, said: str) -> None:
    assert differences(SHOWN, now) == [said]


def test_less_to_build_is_no_difference() -> None:
    """A part was built since: by the plan itself, before it failed, or by a tick."""
    rest = replace(SHOWN, backfill=(days("added", 3, 4),), restated=())
    assert rest.digest != SHOWN.digest
    assert differences(SHOWN, rest) == []


def test_a_model_that_has_changed_is_named_once() -> None:
    now = with_change(0, identifier="added 2")
    now = replace(now, backfill=(days("added", 1, 5), *SHOWN.backfill[1:]))
    assert differences(SHOWN, now) == ["mart.added: has changed since (added)"]


# -- text ---------------------------------------------------------------------------------------


def test_the_text_says_everything() -> None:
    assert as_markdown(SHOWN) == TEXT.replace("DIGEST", SHOWN.digest)


TEXT = """\
## Plan of p for environment prod

As of 2024-03-05 10:30:00 UTC. The environment has plan 01234567. Digest `DIGEST`.

**Added (1)**

- `mart.added` (FULL)

**Changed (1)**

- `mart.both` (FULL): non-breaking, forward-only

**Changed because of what they read (1)**

- `mart.reads` (FULL): indirect breaking

**Removed (1)**

- `mart.gone` (FULL)

**Also changed (1)**

- Python requirements

**Previews that are built again (1)**

- `mart.both`: 2024-03-04

**Backfill (3)**

| model | builds |
|---|---|
| `mart.added` | 2024-03-01 to 2024-03-04 |
| `mart.base` | 2024-03-04 (unchanged, but due) |
| `mart.reads` | the view |

`mart.both`:
```diff
@@ -1 +1 @@
+x
```"""


def test_a_plan_with_nothing_to_do_says_so() -> None:
    text = as_markdown(replace(SHOWN, needed=False, changes=(), backfill=()))
    assert "**Nothing to do**" in text
    assert "Backfill" not in text


def test_a_decision_that_is_needed_comes_first() -> None:
    plan = with_change(1, category="")
    assert plan.undecided == (plan.changes[1],)
    text = as_markdown(replace(plan, backfill=()))
    assert "SQLMesh can't categorise these changes by itself: `mart.both`" in text
    assert "- `mart.both` (FULL): not categorised" in text
    assert "**Backfill**" not in text  # not known yet, which is not "none"


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (replace(SHOWN, previous_plan=None), "The environment is new. "),
        (replace(SHOWN, previous_plan=None, origin="prod"), "is new: compared with prod. "),
        (
            replace(SHOWN, finalized=False),
            "has plan 01234567 (not finished): compared with what it had before.",
        ),
    ],
)
def test_the_heading_says_what_the_plan_is_compared_with(plan: PlanExplanation, said: str) -> None:
    assert said in as_markdown(plan).splitlines()[2]


def test_a_plan_of_thousands_is_cut_in_the_text_and_whole_in_the_json() -> None:
    many = tuple(change(f"m{i:04}", "added", diff="") for i in range(1500))
    plan = replace(SHOWN, changes=many)
    text = as_markdown(plan)
    assert "**Added (1500)**" in text
    assert "... and 1400 more, which the JSON has." in text
    assert len(text) < 8_000
    assert len(plan.to_json()["changes"]) == 1500
    assert plan.counts["added"] == 1500


def test_a_long_diff_is_cut() -> None:
    lines = "\n".join(["---", "+++", "@@ -1 +1 @@", *(f"+{i}" for i in range(500))])
    text = as_markdown(with_change(1, diff=lines))
    assert "+58\n... 441 more lines\n```" in text


def test_only_what_was_asked_for_is_written_into_run_config() -> None:
    assert PlanRequest().given == {}
    given = PlanRequest(start="2024-03-01", run=True, allow_additive_models=("a",)).given
    assert given == {"start": "2024-03-01", "run": True, "allow_additive_models": ["a"]}
