"""The explanation of a plan for people."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dagster_transform.sqlmesh.plans.explanation import PlanExplanation
from dagster_transform.sqlmesh.plans.markdown import as_markdown
from tests.support.explanations import SHOWN, change, with_change


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
