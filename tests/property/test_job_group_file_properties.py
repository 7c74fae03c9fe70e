"""The job group file reads as it was written, whatever is in it."""

from __future__ import annotations

import yaml
from hypothesis import given
from hypothesis import strategies as st

from dagster_transform.config.job_group_file import is_edited
from dagster_transform.planning.job_groups.text import job_groups_text, scalar
from tests.support.job_group_graphs import graph, group, node, parsed, plan

# What YAML can't hold even in quotes: halves of surrogate pairs.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
WORDS = st.sampled_from(
    ["yes", "Null", "~", "1e3", "0x1", "2024-01-01", "a: b", "- a", "#", "'", '"']
)


@given(TEXTS | WORDS)
def test_a_text_reads_as_it_was_written(text: str) -> None:
    assert yaml.safe_load(f"key: [{scalar(text)}]") == {"key": [text]}
    assert "\n" not in scalar(text)


NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
CRONS = st.sampled_from(["@daily", "@hourly", "*/15 * * * *", "30 2 * * 1-5", "0 0 1 */3 *"])
ZONES = st.sampled_from([None, "Europe/Zurich"])
NOT_EMPTY = TEXTS.filter(bool)


@st.composite
def plans(draw):  # type: ignore[no-untyped-def]
    names = draw(st.lists(NAMES, unique=True, max_size=4))
    groups = [
        group(
            name,
            draw(CRONS),
            f"{name}_1",
            f"{name}_2",
            time_zone=draw(ZONES),
            description=draw(TEXTS),
            reason=draw(TEXTS),
            owners=tuple(draw(st.lists(NOT_EMPTY, max_size=2))),
            tags=draw(st.dictionaries(NOT_EMPTY, TEXTS, max_size=2)),
            max_concurrent_models=draw(st.none() | st.integers(1, 99)),
            checks=draw(st.none() | st.sampled_from(["after_each", "none"])),
        )
        for name in names
    ]
    return plan(*groups)


@given(plans())
def test_a_plan_reads_as_it_was_written(found) -> None:  # type: ignore[no-untyped-def]
    ids = [id.removeprefix("p:") for each in found.groups for id in each.nodes]
    text = job_groups_text(found, graph(*(node(id) for id in ids)))
    assert not is_edited(text)
    read = parsed(text).entries
    assert list(read) == [each.name for each in found.groups]
    for each in found.groups:
        entry = read[each.name]
        assert entry.description == each.description
        assert entry.owners == each.owners
        assert dict(entry.tags) == dict(each.tags)
        assert (entry.cron, entry.time_zone) == (each.cron.text, each.cron.time_zone)
        assert entry.nodes == tuple(f"db/s/{each.name}_{n}" for n in (1, 2))
        assert (entry.max_concurrent_models, entry.checks) == (
            each.max_concurrent_models,
            each.checks,
        )
