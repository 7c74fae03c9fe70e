"""The job group file reads as it was written, whatever is in it."""

from __future__ import annotations

from dataclasses import replace

import yaml
from hypothesis import given
from hypothesis import strategies as st

from dagster_transform.config import ConfigError
from dagster_transform.config.job_group_file import is_edited
from dagster_transform.graph import Graph, Node, NodeId
from dagster_transform.planning.job_groups.circles import circles_of, waits_of
from dagster_transform.planning.job_groups.file import LoadedJobGroups, load_job_groups
from dagster_transform.planning.job_groups.grouping import plan_job_groups
from dagster_transform.planning.job_groups.text import job_groups_text, scalar
from dagster_transform.planning.job_groups.values import JobGroupPlan, JobGroupSettings
from tests.support.job_group_graphs import NOW, graph, group, node, parsed, plan

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
def plans(draw: st.DrawFn) -> JobGroupPlan:
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
def test_a_plan_reads_as_it_was_written(found: JobGroupPlan) -> None:
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


CADENCES = st.sampled_from(["@hourly", "@daily", "*/15 * * * *", "@weekly", None])


@st.composite
def nodes(draw: st.DrawFn, number: int = 12) -> list[Node]:
    """Nodes, each of which reads some of those before it."""
    found: list[Node] = []
    for at in range(draw(st.integers(1, number))):
        deps = draw(st.lists(st.sampled_from(range(at)), unique=True, max_size=2)) if at else []
        zone = draw(ZONES)
        found.append(node(f"n{at}", draw(CADENCES), *(f"n{dep}" for dep in deps), time_zone=zone))
    return found


def loaded(text: str, of: Graph) -> LoadedJobGroups:
    return load_job_groups(parsed(text), of, JobGroupSettings(), now=NOW)


@given(nodes(), st.integers(1, 4))
def test_what_is_generated_is_valid_and_loads_as_it_is(found: list[Node], most: int) -> None:
    of = graph(*found)
    made = plan_job_groups(of, {}, JobGroupSettings(max_job_groups=most, smallest=1))
    text = job_groups_text(made, of)
    read = loaded(text, of)
    assert read.drift == ()
    assert {g.name: set(g.nodes) for g in read.plan.groups} == {
        g.name: set(g.nodes) for g in made.groups
    }
    assert {g.name: g.cron for g in read.plan.groups} == {g.name: g.cron for g in made.groups}
    assert read.plan.crons == made.crons
    assert dict(read.plan.unscheduled) == dict(made.unscheduled)
    assert job_groups_text(made, of) == text


@given(nodes(), st.data())
def test_whatever_becomes_of_the_models_the_groups_are_valid(
    found: list[Node], data: st.DataObject
) -> None:
    """Nodes are new, or are no more. Groups make no circle, and tick whenever their nodes are due;
    whatever is not as the file says is said."""
    now = graph(*found)
    new = data.draw(st.sets(st.sampled_from([n.id for n in found])))
    old = graph(*(without(n, new) for n in found if n.id not in new))
    text = job_groups_text(plan_job_groups(old, {}, JobGroupSettings(smallest=1)), old)
    was = {id: g.name for g in loaded(text, old).plan.groups for id in g.nodes}
    try:
        read = loaded(text, now)
    except ConfigError as error:
        # Through a new node, groups may wait for each other that did not before.
        if "these groups wait for each other" not in str(error):
            raise
        return
    groups = {id: g.name for g in read.plan.groups for id in g.nodes}
    assert groups.keys() == {n.id for n in found if n.cron}
    for each in read.plan.groups:
        assert all(each.cron.covers(read.plan.crons[id]) for id in each.nodes)
    assert not list(circles_of(waits_of(now, groups), [g.name for g in read.plan.groups]))
    said = {problem.message.split(" ")[0] for problem in read.drift}
    assert said == {now.nodes[id].name for id in groups if groups[id] != was.get(id)}
    # And the other way about: the new ones are no more.
    less = loaded(job_groups_text(read.plan, now), old)
    assert {id for g in less.plan.groups for id in g.nodes} == was.keys()


def without(found: Node, ids: set[NodeId]) -> Node:
    return replace(found, deps=tuple(dep for dep in found.deps if dep not in ids))
