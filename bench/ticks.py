"""ticks: what a tick of a job group and a look of the transform's sensor cost."""

from __future__ import annotations

import os
import statistics
import tempfile
from pathlib import Path
from time import process_time
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.measure import begun

NAME = "ticks"
ABOUT = "CPU of a tick and of a look of the sensor: 1,000 nodes, 50 runs under way"
NODES, RUNS = 1_000, 50
TARGET_SECONDS = 0.5


def run(runs: int, console: Console) -> dict[str, Any]:
    """Measure both, in this process, print a table, and give what is to be written to a file."""
    # Here: a large parent makes the processes of other benchmarks start more slowly.
    import dagster as dg

    from tests.support.many_nodes import looked, situation, ticked

    found: dict[str, Any] = {
        **begun(NAME, ABOUT),
        "seconds": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "home").mkdir()
        with dg.DagsterInstance.local_temp(f"{folder}/home") as instance:
            launching, daily = situation(instance, Path(folder), NODES, RUNS)
            for name, ask in (("tick", ticked), ("sensor", looked)):
                seconds = []
                for _ in range(runs + 1):  # the first one makes what is made once
                    began = process_time()
                    ask(instance, launching, daily)
                    seconds.append(process_time() - began)
                found["seconds"][name] = seconds
    found["machine"]["load_after"] = os.getloadavg()[0]
    _show(found, console)
    return found


def _show(found: dict[str, Any], console: Console) -> None:
    table = Table(title=ABOUT, title_justify="left")
    for column in ("", "first, CPU", "then, CPU", "target"):
        table.add_column(column)
    for name, (first, *then) in found["seconds"].items():
        cells = (first, statistics.median(then), TARGET_SECONDS)
        table.add_row(name, *(f"{cell:.3f} s" for cell in cells))
    console.print(table)
