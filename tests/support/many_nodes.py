"""Many nodes and many runs under way, for whoever counts what a tick and the sensor cost."""

from __future__ import annotations

import logging
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path

import dagster as dg
from dagster._core.test_utils import create_run_for_test

from dagster_transform.claims import WHOLE, Owner, OwnerKind, RunId, Want, new_claim_id
from dagster_transform.claims.values import PendingNode
from dagster_transform.config import load_config
from dagster_transform.dagster._compat_schedules import instigators
from dagster_transform.dagster.execution.claims_store import open_claims
from dagster_transform.dagster.schedules.launching import Launching
from dagster_transform.dagster.schedules.ticks import decide
from dagster_transform.dagster.sensors.evaluation import Looked, look
from dagster_transform.dagster.translation.keys import keys_of
from dagster_transform.dagster.translation.translator import TransformTranslator
from dagster_transform.graph import Graph, Relation
from dagster_transform.planning.job_groups.values import JobGroup
from dagster_transform.planning.resource_keys import table_of
from tests.support.job_group_graphs import group, node, plan
from tests.support.sqlmesh_projects import utc

TICK = utc("2026-11-03 00:00")
PLACE = "here"


def situation(
    instance: dg.DagsterInstance, folder: Path, nodes: int, runs: int
) -> tuple[Launching, JobGroup]:
    """Two groups; of the hourly one half is under way, of the daily one, which reads it, half is
    claimed and pending."""
    (folder / "transform.yaml").write_text("projects: {}", encoding="utf-8")
    config = load_config(folder)
    hourly = [f"a{number}" for number in range(nodes // 2)]
    daily = [f"b{number}" for number in range(nodes // 2)]
    graph = Graph.of(
        [
            *(node(name, "@hourly") for name in hourly),
            *(
                node(name, "@daily", f"a{n}", physical=Relation("duckdb:/x", "db", "p", name))
                for n, name in enumerate(daily)
            ),
        ]
    )
    groups = plan(group("hourly", "@hourly", *hourly), group("daily", "@daily", *daily))
    keys = keys_of(graph, TransformTranslator(folder))
    launching = Launching(config, groups, graph, keys, "transform_sensor", "shared")
    each = max(1, nodes // 4 // runs)
    first = groups.groups[0].nodes
    for number in range(runs):
        chosen = first[number * each : (number + 1) * each]
        create_run_for_test(
            instance,
            run_id=str(uuid.uuid4()),
            status=dg.DagsterRunStatus.STARTED,
            tags={"dagster_transform/job_group": "hourly", "dagster_transform/tick": f"{TICK}"},
            asset_selection=frozenset(keys.assets[n] for n in chosen),
        )
    store = open_claims(instance, config)
    half = groups.groups[1].nodes[: nodes // 4]
    tables = [key for n in half if (key := table_of(graph.nodes[n])) is not None]
    assert len(tables) == nodes // 4
    store.acquire(
        Owner(OwnerKind.RUN, RunId("r"), RunId("r"), 0),
        [Want(key, WHOLE, WHOLE) for key in tables],
        claim_id=new_claim_id(),
        all_or_nothing=True,
    )
    store.postpone(PendingNode(f"{PLACE}/daily", TICK.isoformat(), n, "because") for n in half)
    return launching, groups.groups[1]


def ticked(instance: dg.DagsterInstance, launching: Launching, group: JobGroup) -> object:
    return decide(instance, group, launching, TICK, loaded=TICK, log=logging.getLogger("tick"))


def looked(instance: dg.DagsterInstance, launching: Launching, _: JobGroup) -> Looked:
    return look(
        instance,
        open_claims(instance, launching.config),
        launching,
        {"daily": "daily", "hourly": "hourly"},
        location=PLACE,
        among=instigators(instance),
        now=datetime.now(timezone.utc) + timedelta(seconds=1),
    )
