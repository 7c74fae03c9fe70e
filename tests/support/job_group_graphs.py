"""Small graphs of nodes with crons, and job group files over them."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from dagster_transform.config import ConfigError
from dagster_transform.config.job_group_file import JobGroupFile, parse_job_group_file
from dagster_transform.graph import Graph, Node, Relation
from dagster_transform.planning.cron import Cron
from dagster_transform.planning.job_groups.values import JobGroup, JobGroupName, JobGroupPlan

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
FILE = Path("job_groups.yaml")


def node(name: str, cron: str | None = "@daily", *deps: str, **fields: Any) -> Node:
    """A node of project `p`, called `db/s/<name>`."""
    values = {"kind": "FULL", **fields}
    return Node(
        id=f"p:{name}",
        project="p",
        framework="sqlmesh",
        reference=f'"db"."s"."{name}"',
        name=f"db/s/{name}",
        relation=Relation("duckdb:/x", "db", "s", name),
        deps=tuple(f"p:{dep}" for dep in deps),
        cron=cron,
        **values,
    )


def graph(*nodes: Node) -> Graph:
    return Graph.of(nodes)


def parsed(text: str) -> JobGroupFile:
    return parse_job_group_file(dedent(text).lstrip("\n"), FILE)


def refused(text: str) -> list[str]:
    """What is wrong with a file, a line each."""
    with pytest.raises(ConfigError) as caught:
        parsed(text)
    return [str(problem) for problem in caught.value.problems]


def group(name: str, cron: str, *nodes: str, **fields: Any) -> JobGroup:
    """A job group of nodes of project `p`."""
    zone = fields.pop("time_zone", None)
    ids = tuple(f"p:{each}" for each in nodes)
    return JobGroup(JobGroupName(name), Cron.parse(cron, zone), ids, **fields)


def plan(*groups: JobGroup, **fields: Any) -> JobGroupPlan:
    """A plan in which each node has the cron of its group, but for `crons`."""
    crons = {id: each.cron for each in groups for id in each.nodes}
    return JobGroupPlan(groups, crons | fields.pop("crons", {}), **fields)
