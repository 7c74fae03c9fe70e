"""`job-groups simulate`: what happens at the ticks to come."""

from __future__ import annotations

from datetime import timedelta
from xml.etree import ElementTree as ET

from dagster_transform.cli.job_groups.timeline import timeline
from dagster_transform.planning.job_groups.simulation import simulate
from tests.support.job_group_graphs import NOW, graph, group, node, plan

GRAPH = graph(node("raw", "@hourly"), node("day", "@daily", "raw"), node("rare", "0 0 1 1 *"))
GROUPS = (
    group("hourly", "@hourly", "raw"),
    group("daily", "@daily", "day", depends_on=("hourly",)),
    group("rarely", "@daily", "rare"),
)
CRONS = {"p:rare": group("x", "0 0 1 1 *").cron}


def test_a_picture_has_a_bar_for_each_run_and_wait() -> None:
    found = simulate(plan(*GROUPS, crons=CRONS), GRAPH, {}, NOW, NOW + timedelta(hours=24))
    root = ET.fromstring(timeline(found, GROUPS, ["24 hours", "of <all>"]))
    titles = [each.text or "" for each in root.iter("{http://www.w3.org/2000/svg}title")]
    assert sum(title.startswith("hourly, ") for title in titles) == 24
    assert "daily, Mon 00:00: 1 node, until Mon 00:02" in titles
    assert "daily, Mon 00:00: 1 node waits for hourly of Mon 00:00 until Mon 00:01" in titles
    assert "rarely, Mon 00:00: nothing is due" in titles
    said = " ".join(root.itertext())
    for words in ("of <all>", "Mon 02 Mar", "18:00", "nothing is due", "hourly"):
        assert words in said, words


def test_nothing_to_draw() -> None:
    found = simulate(plan(), GRAPH, {}, NOW, NOW + timedelta(hours=1))
    assert ET.fromstring(timeline(found, (), [])) is not None
