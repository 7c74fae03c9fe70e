"""Job groups as the text of their file. Equal plans make equal texts. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from textwrap import wrap
from typing import Any

import yaml

from dagster_transform.config.job_group_file import ROOT, sealed
from dagster_transform.graph import Graph, NodeId
from dagster_transform.planning.job_groups.values import JobGroup, JobGroupName, JobGroupPlan

_WIDTH = 100
_SHOWN = 20
"""How many nodes without a group are named."""
_HEADER = """\
# Job groups: each has a schedule in Dagster, and each of its nodes is built when its own cron is
# due.
#
# `dagster-transform job-groups generate` has written this file for you to edit. What you change
# stays when it is generated again, as long as it can be; but your comments do not.
#
#   dagster-transform job-groups check      is it valid, and does it have all nodes?
#   dagster-transform job-groups diff       what would `generate` change?
#   dagster-transform job-groups show       what depends on what?
#   dagster-transform job-groups simulate   what happens in the next two days?
#
# A group may have `select: tag:finance` in the place of nodes, or beside them."""
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_WORDS = frozenset(["y", "n", "yes", "no", "true", "false", "on", "off", "null"])
"""What YAML takes for something else than text."""


def job_groups_text(
    plan: JobGroupPlan,
    graph: Graph,
    selections: Mapping[JobGroupName, str] | None = None,
    order: Collection[str] = (),
) -> str:
    """The text of a job group file.

    Args:
        plan: The job groups.
        graph: Where their nodes are; each is called by its name.
        selections: What people have written as `select`, by group. It stays where it selects no
            node that is not in the group.
        order: Names of groups that come first, in this order; others come in the plan's.
    """
    place = {name: at for at, name in enumerate(order)}
    kept = dict(_kept(plan, graph, selections or {}))
    lines = [*_HEADER.split("\n"), f"{ROOT}:" if plan.groups else f"{ROOT}: {{}}"]
    for group in sorted(plan.groups, key=lambda group: place.get(group.name, len(place))):
        select, ids = kept.get(group.name, (None, group.nodes))
        lines += ["", *_comment(group.reason, "  ")] if group.reason else [""]
        lines += _group_lines(group, select, (graph.nodes[id].name for id in ids))
    lines += _unscheduled_lines(plan, graph)
    return sealed("\n".join((*lines, "")), _HEADER.count("\n") + 1)


def _kept(
    plan: JobGroupPlan, graph: Graph, selections: Mapping[JobGroupName, str]
) -> Iterator[tuple[JobGroupName, tuple[str, list[NodeId]]]]:
    """By group, the selection that stays, and the nodes that are written beside it."""
    from dagster_transform.planning.job_groups.members import scheduled_of

    for group in plan.groups:
        if (select := selections.get(group.name)) is None:
            continue
        selected = scheduled_of(graph, select, plan.crons)
        if selected <= set(group.nodes):
            yield group.name, (select, [id for id in group.nodes if id not in selected])


def _group_lines(group: JobGroup, select: str | None, names: Iterable[str]) -> Iterator[str]:
    yield f"  {group.name}:"
    entry: dict[str, Any] = {
        "description": group.description,
        "cron": group.cron.text,
        "time_zone": group.cron.time_zone,
        "max_concurrent_models": group.max_concurrent_models,
        "checks": group.checks,
        "owners": list(group.owners),
        "tags": dict(sorted(group.tags.items())),
        "select": select,
    }
    for key, value in entry.items():
        if value in ("", None, [], {}):
            continue
        yield from _value_lines(key, value, "    ")
    members = sorted(names)
    if members:
        yield "    nodes:"
        yield from (f"      - {scalar(name)}" for name in members)
    elif select is None:
        yield "    nodes: []"


def _value_lines(key: str, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, list):
        yield f"{indent}{key}: [{', '.join(map(scalar, value))}]"
    elif isinstance(value, dict):
        yield f"{indent}{key}:"
        yield from (f"{indent}  {scalar(k)}: {scalar(v)}" for k, v in value.items())
    else:
        yield f"{indent}{key}: {value if isinstance(value, int) else scalar(value)}"


def _unscheduled_lines(plan: JobGroupPlan, graph: Graph) -> Iterator[str]:
    if not plan.unscheduled:
        return
    by_reason: dict[str, list[str]] = {}
    for id, why in plan.unscheduled.items():
        by_reason.setdefault(why, []).append(graph.nodes[id].name)
    yield ""
    yield "# In no group:"
    for why, names in sorted(by_reason.items()):
        yield from _comment(f"{why}:", "")
        yield from (f"#   {_in_a_line(name)}" for name in shortened(sorted(names), _SHOWN))


def shortened(names: Collection[str], at_most: int) -> list[str]:
    """The first of them, and how many more there are."""
    shown = list(names)[:at_most]
    more = len(names) - len(shown)
    return [*shown, f"and {more} more"] if more else shown


def _comment(text: str, indent: str) -> list[str]:
    width = _WIDTH - len(indent) - 2
    lines = wrap(_in_a_line(text), width, break_long_words=False, break_on_hyphens=False)
    return [f"{indent}# {line}" for line in lines]


def _in_a_line(text: str) -> str:
    """Without line breaks, and without what YAML does not allow even in comments."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def scalar(text: str) -> str:
    """A text as YAML, in quotes only where it needs them."""
    if _PLAIN.fullmatch(text) and text.casefold() not in _WORDS:
        return text
    if text.isascii() and text.isprintable():
        return json.dumps(text)
    dumped: str = yaml.safe_dump(text, default_style='"', width=float("inf"), allow_unicode=True)
    return dumped.removesuffix("\n")
