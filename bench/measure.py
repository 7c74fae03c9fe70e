"""Measuring two ways of doing one thing: in turns, each run a fresh process."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.memory import Watched

_TIMEOUT = 900
_PACKAGES = (
    "dagster-transform", "dagster", "sqlmesh", "sqlglot", "dbt-core", "dbt-duckdb", "dbt-postgres",
    "duckdb", "pydantic", "SQLAlchemy",
)  # fmt: skip
MEASURES = {"wall": "wall", "cpu": "cpu", "memory": "max_rss_mb"}
"""What is summed up of runs, and what it is called in each."""


@dataclass(frozen=True)
class Side:
    """One way of doing it.

    Attributes:
        name: `ours` or `theirs`.
        label: What it is, for the table.
        command: What to start.
        cwd: Where.
        env: Its whole environment.
        before: Called before each run, not measured.
        after: Called after each run with the moment it began and what it printed, not measured:
            raises where the run did not do its work, and returns more to write down. `wall` and
            `cpu` in it replace what was measured, for commands that go on after the moment that
            counts.
        may_fail: Whether it may end with 1, as what runs checks does where one fails: then `after`
            has to see that it did its work.
        versions: Of what has an environment of its own.
    """

    name: str
    label: str
    command: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    before: Callable[[], None]
    after: Callable[[float, str], dict[str, Any]]
    may_fail: bool = False
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Result:
    """What was measured, as it is written to a file.

    Attributes:
        trial: What makes it an attempt only, such as a smaller project; nothing: it counts.
    """

    benchmark: str
    about: str
    sides: Sequence[Side]
    facts: Mapping[str, Any]
    runs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    began: str = ""
    trial: str = ""

    def as_json(self) -> dict[str, Any]:
        """Everything."""
        return {
            "benchmark": self.benchmark,
            "about": self.about,
            "began": self.began,
            "trial": self.trial,
            "sides": {
                s.name: {"label": s.label, "command": list(s.command), "versions": dict(s.versions)}
                for s in self.sides
            },
            "summary": self.summary(),
            "facts": dict(self.facts),
            "machine": self.machine,
            "versions": versions(),
            "runs": self.runs,
        }

    def summary(self) -> dict[str, Any]:
        """Medians, spreads and ratios (the first side to the second, and to each other one)."""
        found: dict[str, Any] = {}
        for measure, key in MEASURES.items():
            values = {name: [run[key] for run in runs] for name, runs in self.runs.items()}
            medians = {name: statistics.median(v) for name, v in values.items()}
            first, second, *_ = medians
            pairs = [a / b for a, b in zip(values[first], values[second], strict=True)]
            found[measure] = {
                **{
                    name: {"median": round(medians[name], 3), "min": min(v), "max": max(v)}
                    for name, v in values.items()
                },
                "ratio": round(medians[first] / medians[second], 3),
                "ratio_of_pairs": [round(min(pairs), 3), round(max(pairs), 3)],
                "ratios": {
                    name: round(medians[first] / median, 3)
                    for name, median in medians.items()
                    if name != first
                },
            }
        return found


def begun(name: str, about: str) -> dict[str, Any]:
    """What is written of a benchmark that measures itself, as it begins."""
    return {
        "benchmark": name,
        "about": about,
        "began": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "trial": "",
        "machine": machine(),
        "versions": versions(),
    }


def measure(result: Result, count: int, console: Console) -> None:
    """Run all sides in turns, once to warm up and then `count` times."""
    result.began = datetime.now(timezone.utc).isoformat(timespec="seconds")
    result.machine = machine()
    width = max(len(side.label) for side in result.sides)
    for number in range(count + 1):
        for side in result.sides:
            what = f"run {number} of {count}" if number else "warm-up"
            with console.status(f"{what}: {side.label}"):
                run = _run(side)
            if number:
                result.runs.setdefault(side.name, []).append(run)
            console.print(
                f"  {what:<12} {side.label:<{width}}  wall {run['wall']:6.2f} s  "
                f"cpu {run['cpu']:6.2f} s  load {run['load']:.1f}"
            )
    result.machine["load_after"] = os.getloadavg()[0]


def _run(side: Side) -> dict[str, Any]:
    side.before()
    load = os.getloadavg()[0]
    began = time.time()
    child = subprocess.Popen(
        side.command, cwd=side.cwd, env=dict(side.env), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert child.stdout is not None
    too_long = threading.Timer(_TIMEOUT, child.kill)
    too_long.start()
    watched = Watched(child.pid)
    try:
        output = child.stdout.read()  # until its end
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.time() - began
    finally:
        too_long.cancel()
        peak = watched.stop()
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode and not (side.may_fail and child.returncode == 1):
        raise RuntimeError(f"{' '.join(side.command)} ended with {child.returncode}:\n{output}")
    run: dict[str, Any] = {
        "wall": wall,
        "cpu": usage.ru_utime + usage.ru_stime,
        "max_rss_mb": max(peak, usage.ru_maxrss // 1024),
        "load": load,
    }
    run |= side.after(began, output)
    return {k: round(v, 3) if isinstance(v, float) else v for k, v in run.items()}


def show(result: Result, console: Console) -> None:
    """The table."""
    table = Table(
        "", "median", "min to max", "cpu", "memory", title=result.about, title_justify="left",
        box=None,
    )  # fmt: skip
    summary = result.summary()
    for side in result.sides:
        wall, cpu = summary["wall"][side.name], summary["cpu"][side.name]
        memory = statistics.median(run["max_rss_mb"] for run in result.runs[side.name])
        table.add_row(
            side.label, f"{wall['median']:.2f} s", f"{wall['min']:.2f} to {wall['max']:.2f}",
            f"{cpu['median']:.2f} s", f"{memory:.0f} MB",
        )  # fmt: skip
    low, high = summary["wall"]["ratio_of_pairs"]
    table.add_row(
        "ratio", f"{summary['wall']['ratio']:.2f}", f"{low:.2f} to {high:.2f}",
        f"{summary['cpu']['ratio']:.2f}", "",
    )  # fmt: skip
    labels = {side.name: side.label for side in result.sides}
    for name, ratio in summary["wall"]["ratios"].items():
        if len(labels) > 2:
            cpu = summary["cpu"]["ratios"][name]
            table.add_row(f"to {labels[name]}", f"{ratio:.2f}", "", f"{cpu:.2f}", "")
    console.print()
    console.print(table)
    phases = [run["phases"] for run in result.runs[result.sides[0].name] if "phases" in run]
    for side in result.sides if phases else ():
        found = [run["phases"] for run in result.runs[side.name]]
        medians = {name: statistics.median(p[name] for p in found) for name in found[0]}
        parts = ", ".join(f"{name} {seconds:.2f}" for name, seconds in medians.items())
        console.print(f"  {side.label}: {parts}")
    load = result.machine["load_before"]
    console.print(
        f"{len(result.runs[result.sides[0].name])} runs each, in turns; {result.machine['cores']} "
        f"cores; load {load:.1f} before, {result.machine['load_after']:.1f} after"
    )
    if load > result.machine["cores"] / 2:
        console.print("The machine was busy with other things: take the figures as ratios.")


def write(name: str, result: Mapping[str, Any], folder: Path, path: Path | None) -> Path:
    """Write a result to `path`, or to a file with the benchmark's name and a date."""
    stamp = datetime.now(timezone.utc).strftime("%Y-%m-%d-%H%M%S")
    target = path or folder / f"{name}-{stamp}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return target


def machine() -> dict[str, Any]:
    """What it runs on, and how busy it is."""
    info = Path("/proc/cpuinfo")
    models = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    cpu = next((line.split(":", 1)[1].strip() for line in models if "model name" in line), "")
    affinity = getattr(os, "sched_getaffinity", None)
    return {
        "cores": len(affinity(0)) if affinity else os.cpu_count(),
        "cpu": cpu or platform.processor(),
        "system": platform.platform(),
        "load_before": os.getloadavg()[0],
    }


def versions() -> dict[str, str]:
    """Python's, and the packages' that count."""
    found = {"python": sys.version.split()[0]}
    return found | {name: importlib.metadata.version(name) for name in _PACKAGES}
