"""job-groups: how long it takes to split a graph, and how much memory."""

from __future__ import annotations

import json
import math
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.measure import begun
from bench.project import ROOT, environment

NAME = "job-groups"
ABOUT = "Split 1,000, 10,000 and 100,000 nodes into at most 20 job groups"
SIZES = (1_000, 10_000, 100_000)
TARGET_SECONDS = 5.0
TARGET_BYTES = 1 << 30
_CRONS = ("*/15 * * * *", "@hourly", "@daily", "@weekly")
# Whether cadences mostly get coarser downstream, as those of people do, or are random.
_SHAPES = {"coarsening": 0.95, "random": 0.0}


def run(runs: int, console: Console) -> dict[str, Any]:
    """Measure all, each graph in a process of its own, print a table, and give what is to be
    written to a file."""
    found: dict[str, Any] = {
        **begun(NAME, ABOUT),
        "graphs": [],
    }
    for shape in _SHAPES:
        for nodes in SIZES:
            with console.status(f"{nodes:,} nodes, {shape}"):
                command = [sys.executable, "-m", "bench.job_groups", shape, str(nodes), str(runs)]
                done = subprocess.run(
                    command, cwd=ROOT, env=environment(), text=True, check=True,
                    stdout=subprocess.PIPE,
                )  # fmt: skip
            found["graphs"].append(json.loads(done.stdout.splitlines()[-1]))
    found["machine"]["load_after"] = os.getloadavg()[0]
    _show(found, console)
    return found


def measure(shape: str, count: int, runs: int) -> dict[str, Any]:
    """Split one graph several times, anew and after one more node."""
    from dagster_transform.graph import Graph
    from dagster_transform.planning.job_groups import JobGroupSettings, plan_job_groups

    nodes = _nodes(count, _SHAPES[shape])
    graph, more = Graph.of(nodes), Graph.of([*nodes, _node("new", [nodes[0].id], "@daily")])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times: dict[str, list[float]] = {"afresh": [], "again": []}
    plan = None
    for _ in range(runs):
        began = time.perf_counter()
        plan = plan_job_groups(graph, {}, JobGroupSettings())
        times["afresh"].append(time.perf_counter() - began)
        began = time.perf_counter()
        plan_job_groups(more, {}, JobGroupSettings(), plan)
        times["again"].append(time.perf_counter() - began)
    assert plan is not None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "shape": shape,
        "nodes": count,
        "edges": sum(len(node.deps) for node in nodes),
        "groups": len(plan.groups),
        "seconds": times,
        "bytes": most * unit,
        "bytes_of_planning": (most - before) * unit,
    }


def _nodes(count: int, coarsening: float) -> list[Any]:
    chosen = random.Random(1)
    paces: list[int] = []
    nodes = []
    for number in range(count):
        above = {chosen.randrange(number) for _ in range(min(number, chosen.randint(0, 6)))}
        deps = sorted(above)
        pace = chosen.randrange(len(_CRONS))
        if deps and chosen.random() < coarsening:
            coarsest = max(paces[dep] for dep in deps)
            pace = min(coarsest + (chosen.random() < 0.1), len(_CRONS) - 1)
        paces.append(pace)
        nodes.append(_node(f"n{number:06}", [f"p:n{dep:06}" for dep in deps], _CRONS[pace]))
    return nodes


def _node(name: str, deps: list[Any], cron: str) -> Any:
    from dagster_transform.databases.identity import ConnectionIdentity
    from dagster_transform.graph import Node, Relation, node_id

    relation = Relation(ConnectionIdentity("duckdb:/bench"), "bench", "marts", name)
    return Node(
        node_id("p", name), "p", "sqlmesh", name, name, "FULL", relation,
        deps=tuple(deps), cron=cron,
    )  # fmt: skip


def _show(found: dict[str, Any], console: Console) -> None:
    table = Table(
        "cadences", "nodes", "edges", "groups", "afresh", "again", "per node · log n", "memory",
        title=ABOUT, title_justify="left", box=None,
    )  # fmt: skip
    for graph in found["graphs"]:
        afresh, again = (statistics.median(graph["seconds"][way]) for way in ("afresh", "again"))
        nodes = graph["nodes"]
        table.add_row(
            graph["shape"],
            f"{nodes:,}",
            f"{graph['edges']:,}",
            str(graph["groups"]),
            f"{afresh:.2f} s",
            f"{again:.2f} s",
            f"{afresh / nodes / math.log2(nodes) * 1e6:.2f} µs",
            f"{graph['bytes'] / (1 << 20):,.0f} MB",
        )
    console.print()
    console.print(table)
    console.print(
        f"Target: {SIZES[-1]:,} nodes in {TARGET_SECONDS:g} s and {TARGET_BYTES >> 20:,} MB, the "
        "graph and Python included; again: with the plan before, one node more"
    )
    machine = found["machine"]
    console.print(
        f"{machine['cores']} cores; load {machine['load_before']:.1f} before, "
        f"{machine['load_after']:.1f} after"
    )


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
