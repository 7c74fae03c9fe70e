"""What `claims list` shows."""

from __future__ import annotations

from datetime import datetime, timezone
from textwrap import dedent

from dagster_transform.claims import WHOLE, Holder, OwnerKind, RunId, new_claim_id
from dagster_transform.cli.claims_listing import listing
from dagster_transform.planning import ResourceKey

SINCE = datetime(2026, 2, 1, 10, 31, 5, tzinfo=timezone.utc)
UNTIL = datetime(2026, 2, 1, 10, 32, 5, tzinfo=timezone.utc)
RUN = RunId("1a2b3c4d-0000-4000-8000-123456789abc")
TABLE = ResourceKey(
    "table:postgres:db.example:5432/warehouse/warehouse.sqlmesh__marts.marts__delays__1234567890"
)
NAMES = {TABLE: "warehouse/marts/delays"}


def holder(key: ResourceKey, weight: int = WHOLE, reason: str = "nightly") -> Holder:
    return Holder(key, new_claim_id(), OwnerKind.RUN, RUN, SINCE, UNTIL, reason, weight)


PAUSE = Holder(
    ResourceKey("tag:heavy"), new_claim_id(), OwnerKind.PERSON, RunId("ada"), SINCE, None,
    "the source is broken, and nobody knows yet how long that is going to take", 2,
)  # fmt: skip


def test_where_it_is_narrow_each_claim_has_lines_of_its_own() -> None:
    text = listing([holder(TABLE), PAUSE], NAMES, 80)
    assert text == dedent(f"""\
        warehouse/marts/delays
            {TABLE}
            run {RUN}: nightly
            since 2026-02-01 10:31:05, until 2026-02-01 10:32:05 (UTC)

        tag:heavy
            paused by ada, weight 2: the source is broken, and nobody knows yet how long
            that is going to take
            since 2026-02-01 10:31:05, until resumed (UTC)""")
    assert [line for line in text.splitlines() if len(line) > 80] == [f"    {TABLE}"]


def test_where_it_fits_it_is_a_table() -> None:
    lines = listing([holder(TABLE), PAUSE], NAMES, 400).splitlines()
    assert lines[0].split() == [
        "node", "what", "weight", "held", "by", "since", "(UTC)", "until", "(UTC)", "why"
    ]  # fmt: skip
    assert lines[1].startswith(f"warehouse/marts/delays  {TABLE}  1000    run {RUN}  2026-02-01")
    assert lines[2].split()[:2] == ["tag:heavy", "2"]
    assert len(lines) == 3


def test_a_table_without_nodes_has_no_column_for_them() -> None:
    short = holder(ResourceKey("file:/d/w.duckdb"))
    assert listing([short], {}, 400).startswith("what ")


def test_nothing_is_cut_or_broken_however_narrow_it_is() -> None:
    text = listing([holder(TABLE), PAUSE], NAMES, 20)
    for whole in (TABLE, str(RUN), "warehouse/marts/delays", "broken,"):
        assert any(whole in line for line in text.splitlines())
