"""Job groups as pictures, as a chart and as a table."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from rich.console import Console

from dagster_transform.cli.job_groups.layout import arrows_of, colours_of, columns_of
from dagster_transform.cli.job_groups.mermaid import mermaid
from dagster_transform.cli.job_groups.svg import picture
from dagster_transform.cli.job_groups.tables import table_of
from dagster_transform.cli.job_groups.words import duration
from dagster_transform.graph.counts import counted
from tests.support.job_group_graphs import group

GROUPS = (
    group("staging", "@hourly", "a", "b", seconds=90.0),
    group("seeds", "@daily", "s"),
    group("marts", "@daily", "c", depends_on=("staging",), seconds=4000.0, reason="a < b & c"),
    group("end", "@daily", "d", depends_on=("marts", "staging"), seconds=0.4),
)


def test_columns_go_with_what_depends_on_what() -> None:
    assert [[each.name for each in column] for column in columns_of(GROUPS)] == [
        ["staging", "seeds"],
        ["marts"],
        ["end"],
    ]
    assert columns_of([]) == []


def test_a_group_is_beside_what_it_depends_on() -> None:
    above = [group("a", "@daily"), group("b", "@daily")]
    below = [
        group("of_b", "@daily", depends_on=("b",)),
        group("of_a", "@daily", depends_on=("a",)),
    ]
    assert [each.name for each in columns_of([*above, *below])[1]] == ["of_a", "of_b"]


def test_what_other_arrows_lead_to_has_none_of_its_own() -> None:
    assert arrows_of(GROUPS) == {
        "staging": [],
        "seeds": [],
        "marts": ["staging"],
        "end": ["marts"],
    }


def test_each_cadence_has_a_colour_the_most_frequent_the_first() -> None:
    colours = colours_of(GROUPS)
    assert list(colours) == ["hourly", "daily 00:00"]
    assert len(set(colours.values())) == 2
    assert len(colours_of([group(f"g{n}", f"{n} * * * *") for n in range(20)])) == 20


def test_a_chart_has_all_boxes_and_arrows() -> None:
    assert mermaid(GROUPS).splitlines() == [
        "flowchart LR",
        '  group_staging["<b>staging</b><br/>hourly<br/>2 nodes, 2 min"]:::cadence0',
        '  group_seeds["<b>seeds</b><br/>daily 00:00<br/>1 node, 0 s"]:::cadence1',
        '  group_marts["<b>marts</b><br/>daily 00:00<br/>1 node, 1 h 7 min"]:::cadence1',
        '  group_end["<b>end</b><br/>daily 00:00<br/>1 node, 0 s"]:::cadence1',
        "  group_staging --> group_marts",
        "  group_marts --> group_end",
        "  classDef cadence0 fill:#cfe8f7,stroke:#0072b2,color:#222222",
        "  classDef cadence1 fill:#fbe3c0,stroke:#b86e00,color:#222222",
    ]


def test_a_picture_is_well_formed_and_says_all() -> None:
    root = ET.fromstring(picture(GROUPS))
    said = " ".join(root.itertext())
    for word in ("staging", "marts", "end", "hourly", "1 h 7 min", "marts: a < b & c"):
        assert word in said, word
    arrows = [
        each for each in root.iter("{http://www.w3.org/2000/svg}path") if "C" in each.attrib["d"]
    ]
    assert len(arrows) == 2
    assert ET.fromstring(picture(())) is not None


def test_a_table_has_a_row_for_each_group() -> None:
    console = Console(width=100)
    with console.capture() as capture:
        console.print(table_of(GROUPS))
    lines = capture.get().splitlines()
    assert lines[0].split() == ["group", "cron", "nodes", "expected", "depends", "on", "reason"]
    assert lines[3].split() == [
        "marts",
        "daily",
        "00:00",
        "1",
        "1",
        "h",
        "7",
        "min",
        "staging",
        *"a<b&c",
    ]


def test_numbers_in_words() -> None:
    for seconds, words in {
        0: "0 s",
        59.4: "59 s",
        59.6: "1 min",
        90: "2 min",
        3569: "59 min",
        3599: "1 h",
        3600: "1 h",
        7500: "2 h 5 min",
        90_000: "25 h",
    }.items():
        assert duration(seconds) == words
    assert counted(1, "node") == "1 node"
    assert counted(1200, "node") == "1,200 nodes"
