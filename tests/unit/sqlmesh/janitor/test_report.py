"""What a sweep has done, in words."""

from __future__ import annotations

import json

from dagster_transform.sqlmesh.janitor.report import DroppedEnvironment, Sweep, as_markdown

EXPIRED = 1_709_634_600_000  # 2024-03-05 10:30 UTC
DONE = Sweep(
    "p",
    environments=(
        DroppedEnvironment("dev", EXPIRED, ("w.mart__dev.a", "w.mart__dev.b")),
        DroppedEnvironment("stuck", EXPIRED, whole=False),
    ),
    tables=("w.sqlmesh__mart.mart__a__123",),
    snapshots=3,
    interval_rows=(40, 12),
    failures=("Failed to drop the expired environment schema 'mart__stuck': it is kept",),
)

TEXT = """\
## Sweep of p

**Environment dev, expired 2024-03-05 10:30 UTC: dropped. Views (2)**

- `w.mart__dev.a`
- `w.mart__dev.b`

**Environment stuck, expired 2024-03-05 10:30 UTC: not dropped as a whole. Views (0)**

**Tables dropped (1)**

- `w.sqlmesh__mart.mart__a__123`

Model versions removed from the state: 3. Rows of intervals: 40 before, 12 after.

**Not dropped (1)**

- Failed to drop the expired environment schema 'mart__stuck': it is kept"""


def test_the_text_names_everything() -> None:
    assert as_markdown(DONE) == TEXT


def test_the_counts_say_what_is_whole() -> None:
    assert DONE.counts == {
        "environments_dropped": 1,
        "views_dropped": 2,
        "tables_dropped": 1,
        "versions_removed": 3,
        "interval_rows_before": 40,
        "interval_rows_after": 12,
        "not_dropped": 1,
    }


def test_it_is_plain_data() -> None:
    assert json.loads(json.dumps(DONE.to_json()))["environments"][0]["name"] == "dev"


def test_hundreds_of_tables_are_cut_in_the_text() -> None:
    text = as_markdown(Sweep("p", tables=tuple(f"t{i:04}" for i in range(450))))
    assert "**Tables dropped (450)**" in text
    assert text.count("- `t") == 200
    assert "- and 250 more" in text


def test_nothing_to_drop_is_said() -> None:
    assert "Nothing to drop." in as_markdown(Sweep("p"))
    assert "never planned" in as_markdown(Sweep("p", planned=False))
