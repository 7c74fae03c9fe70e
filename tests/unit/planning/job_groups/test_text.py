"""Job groups as the text of their file."""

from __future__ import annotations

from dagster_transform.config.job_group_file import is_edited
from dagster_transform.planning.job_groups.text import job_groups_text, shortened
from tests.support.job_group_graphs import graph, group, node, parsed, plan

GRAPH = graph(
    node("a"),
    node("b", "@daily", "a", tags=("night",)),
    node("c", "@daily", "b", tags=("night",)),
    node("hour", "@hourly", "c"),
    node("by_hand", None),
    node("also", None),
)
DAILY = group(
    "daily",
    "@daily",
    "a",
    "b",
    "c",
    reason="All that is due daily, and " + "is read by what is due more often, " * 3 + "is here.",
)
HOURLY = group(
    "hourly",
    "@hourly",
    "hour",
    time_zone="Europe/Zurich",
    description="What people look at: now",
    owners=("team:core",),
    tags={"b": "2", "a": "yes"},
    max_concurrent_models=3,
    checks="none",
)
UNSCHEDULED = {"p:by_hand": "it has no cron", "p:also": "it has no cron"}


def body(text: str) -> list[str]:
    lines = text.splitlines()
    return lines[lines.index("job_groups:") :]


def test_each_group_has_its_reason_above_it_and_its_nodes_by_name() -> None:
    found = job_groups_text(plan(DAILY, HOURLY, unscheduled=UNSCHEDULED), GRAPH)
    assert body(found) == [
        "job_groups:",
        "",
        (
            "  # All that is due daily, and is read by what is due more often, is read by what is "
            "due more often,"
        ),
        "  # is read by what is due more often, is here.",
        "  daily:",
        '    cron: "0 0 * * *"',
        "    time_zone: UTC",
        "    nodes:",
        "      - db/s/a",
        "      - db/s/b",
        "      - db/s/c",
        "",
        "  hourly:",
        '    description: "What people look at: now"',
        '    cron: "0 * * * *"',
        "    time_zone: Europe/Zurich",
        "    max_concurrent_models: 3",
        "    checks: none",
        '    owners: ["team:core"]',
        "    tags:",
        '      a: "yes"',
        '      b: "2"',
        "    nodes:",
        "      - db/s/hour",
        "",
        "# In no group:",
        "# it has no cron:",
        "#   db/s/also",
        "#   db/s/by_hand",
    ]
    assert not is_edited(found)
    assert found == job_groups_text(plan(DAILY, HOURLY, unscheduled=UNSCHEDULED), GRAPH)


def test_it_reads_as_it_was_written() -> None:
    entries = parsed(job_groups_text(plan(DAILY, HOURLY), GRAPH)).entries
    assert list(entries) == ["daily", "hourly"]
    assert entries["daily"].nodes == ("db/s/a", "db/s/b", "db/s/c")
    hourly = entries["hourly"]
    assert hourly.description == HOURLY.description
    assert hourly.owners == HOURLY.owners
    assert hourly.tags == HOURLY.tags
    assert (hourly.max_concurrent_models, hourly.checks) == (3, "none")
    assert (hourly.cron, hourly.time_zone) == ("0 * * * *", "Europe/Zurich")


def test_a_selection_stays_where_it_selects_nothing_of_another_group() -> None:
    found = body(job_groups_text(plan(DAILY, HOURLY), GRAPH, {"daily": "tag:night gone"}))
    assert found[found.index("  daily:") : found.index("  hourly:")] == [
        "  daily:",
        '    cron: "0 0 * * *"',
        "    time_zone: UTC",
        '    select: "tag:night gone"',
        "    nodes:",
        "      - db/s/a",
        "",
    ]
    found = body(job_groups_text(plan(DAILY, HOURLY), GRAPH, {"daily": "*", "hourly": "b+"}))
    assert not [line for line in found if "select" in line]
    alone = plan(group("night", "@daily", "b", "c"))
    found = body(job_groups_text(alone, GRAPH, {"night": "tag:night"}))
    assert found[-1] == '    select: "tag:night"'


def test_groups_that_were_there_come_in_their_order() -> None:
    found = job_groups_text(plan(DAILY, HOURLY, group("z", "@daily")), GRAPH, {}, ["z", "hourly"])
    assert list(parsed(found).entries) == ["z", "hourly", "daily"]
    assert parsed(found).entries["z"].nodes == ()


def test_no_groups() -> None:
    assert parsed(job_groups_text(plan(), GRAPH)).entries == {}


def test_what_is_left_of_many_names_is_counted() -> None:
    assert shortened(["a", "b", "c"], 2) == ["a", "b", "and 1 more"]
    assert shortened(["a", "b"], 2) == ["a", "b"]
