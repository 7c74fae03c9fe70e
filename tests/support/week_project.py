"""A simulated week of the project in week_models.py: what happens, and what there is then."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.support import week_files, week_models
from tests.support.sqlmesh_projects import Database, Project, utc

INSTANTS = [
    utc("2024-03-05 10:30"),  # 0: the first plan
    utc("2024-03-05 11:30"),  # 1: what is hourly
    utc("2024-03-05 11:50"),  # 2: nothing is due
    utc("2024-03-06 06:30"),  # 3: what is daily, but not yet in Los Angeles; a signal holds back
    utc("2024-03-06 13:30"),  # 4: Los Angeles; the signal lets go
    utc("2024-03-07 10:30"),  # 5: a blocking audit fails
    utc("2024-03-08 10:30"),  # 6: mended; a plan of changed, added and removed models
    utc("2024-03-08 15:30"),  # 7: what is hourly, of what the plan has left
    utc("2024-03-10 10:30"),  # 8: two days at once; auto-restatement; a signal holds back a part
    utc("2024-03-12 00:30"),  # 9: the week is over
]
CHANGE = 6
Rows = list[tuple[Any, ...]]
LANDED = {0: "2024-03-05", 4: "2024-03-06", 5: "2024-03-09", 9: "2024-03-12"}
"""Until when the signal lets go, from which instant on."""


@dataclass(frozen=True)
class Databases:
    """Where the week takes place: the warehouse with the state, and that of the second gateway."""

    main: Database
    far: Database


def write(folder: Path, databases: Databases, nap: float = 0.0) -> Project:
    """The project as it is at first, in two folders; `nap`: seconds that some batches take."""
    hooks = {
        hook: [f"INSERT INTO src.hooks VALUES ('{hook}', @execution_ts)"]
        for hook in ("before_all", "after_all")
    }
    config = {
        "gateways": {
            "main": {"connection": databases.main.connection},
            "far": {"connection": databases.far.connection},
        },
        "gateway_managed_virtual_layer": True,
        "variables": {"nap": nap},
    }
    second = Project(
        folder / "second",
        databases.main,
        week_models.SECOND_MODELS,
        config={**config, "project": "second"},
    )
    return Project(
        folder / "first",
        databases.main,
        week_models.MODELS,
        files=week_files.FILES,
        config={**config, "project": "first", **hooks},
        beside=[second.folder],
    )


def change(project: Project) -> None:
    """What somebody has done to the files when the second plan is made."""
    project.write(week_files.CHANGED_FILES)
    for name, text in week_models.CHANGED_MODELS.items():
        project.model(name, text)
    for name in week_models.REMOVED_MODELS:
        project.remove(name)


def prepare(databases: Databases) -> None:
    """Raw events of two weeks: every three hours one; and what arrives late comes later."""
    rows = ", ".join(
        f"({i}, TIMESTAMP '2024-03-01 00:10:00' + INTERVAL '{3 * i} hours', "
        f"'{('DE', 'NO', 'PE')[i % 3]}', {i * 7 % 50})"
        for i in range(110)
    )
    events = "events (id INT, moment TIMESTAMP, code TEXT, amount INT)"
    databases.main.execute(
        "CREATE SCHEMA src", f"CREATE TABLE src.{events}", f"INSERT INTO src.events VALUES {rows}",
        "CREATE TABLE src.landed (until TIMESTAMP)", "INSERT INTO src.landed VALUES (NULL)",
        "CREATE TABLE src.hooks (name TEXT, moment TIMESTAMP)",
        "CREATE TABLE src.clock (name TEXT, began TIMESTAMPTZ, ended TIMESTAMPTZ)",
    )  # fmt: skip
    databases.far.execute(
        "CREATE SCHEMA outside",
        f"CREATE TABLE outside.{events}",
        f"INSERT INTO outside.events VALUES {rows}",
    )


def happens(databases: Databases, instant: int) -> None:
    """What changes in the raw data before an instant."""
    if instant in LANDED:
        databases.main.execute(f"UPDATE src.landed SET until = TIMESTAMP '{LANDED[instant]}'")
    if instant == 5:
        databases.main.execute(
            "INSERT INTO src.events VALUES (900, TIMESTAMP '2024-03-06 05:00:00', 'DE', -1)"
        )
    if instant == 6:
        databases.main.execute("UPDATE src.events SET amount = 1 WHERE id = 900")
    if instant:
        # For days and hours that are built already: within the lookback, and before it.
        databases.main.execute(
            "INSERT INTO src.events VALUES "
            f"({1000 + instant}, TIMESTAMP '2024-03-04 05:00:00', 'DE', 9), "
            f"({2000 + instant}, TIMESTAMP '2024-03-01 05:00:00', 'NO', 3)"
        )


@dataclass(frozen=True)
class State:
    """What there is after one instant; models and audits by their short names.

    Attributes:
        tables: All rows of each model that readers see, sorted.
        kinds: The kind of each node of the environment.
        versions: Its version and fingerprint.
        intervals: What is recorded as built, by (version, development or not).
        restatements: What auto-restatements have marked and nobody has built anew yet.
        turns: When the next auto-restatement is due.
        audits: How often each audit ran at this instant.
        relations: All tables and views, the physical ones too.
        hooks: What before_all and after_all have written.
    """

    tables: Mapping[str, Rows]
    kinds: Mapping[str, str]
    versions: Mapping[str, Any]
    intervals: Mapping[str, Any]
    restatements: Mapping[str, Any]
    turns: Mapping[str, Any]
    audits: Mapping[str, Mapping[str, int]]
    relations: frozenset[str]
    hooks: Rows


def look(databases: Databases, audits: Mapping[tuple[str, str], int]) -> State:
    """What there is now; `audits`: how often each ran, by snapshot and audit."""
    main, far = databases.main, databases.far
    ((text,),) = main.rows("SELECT snapshots FROM sqlmesh._environments WHERE name = 'prod'")
    nodes = {short(node["name"]): node for node in json.loads(text)}
    kinds = {name: node.get("kind_name") or "" for name, node in nodes.items()}
    seen = [name for name, kind in kinds.items() if kind not in ("", "EMBEDDED", "EXTERNAL")]
    tables = main.contents(n for n in seen if not n.startswith("far."))
    tables |= far.contents(n for n in seen if n.startswith("far."))
    turns = "SELECT snapshot_name, snapshot_version, next_auto_restatement_ts FROM sqlmesh."
    return State(
        tables=tables,
        kinds=kinds,
        versions={name: (n["version"], n["fingerprint"]) for name, n in nodes.items()},
        intervals=_nested((n, (v, dev), i) for (n, v, dev), i in main.intervals().items()),
        restatements=_nested((n, v, i) for (n, v), i in main.restatements().items()),
        turns=_nested(main.rows(f"{turns}_auto_restatements")),
        audits=_nested((name, audit, count) for (name, audit), count in audits.items()),
        relations=frozenset(main.tables() | far.tables()),
        hooks=main.content("src.hooks"),
    )


def short(name: str) -> str:
    """`stage.by_day` of a fully qualified name; a standalone audit's name is short already."""
    return ".".join(name.replace('"', "").split(".")[-2:])


def _nested(rows: Iterable[tuple[str, Any, Any]]) -> dict[str, dict[Any, Any]]:
    found: dict[str, dict[Any, Any]] = {}
    for name, key, value in rows:
        found.setdefault(short(name), {})[key] = value
    return found


def simulate(
    project: Project,
    databases: Databases,
    step: Callable[[int, datetime], None],
    audits: Counter[tuple[str, str]],
) -> list[State]:
    """Live through the week; `step` does what is due at an instant."""
    prepare(databases)
    states = []
    for instant, now in enumerate(INSTANTS):
        happens(databases, instant)
        if instant == CHANGE:
            change(project)
        audits.clear()
        step(instant, now)
        states.append(look(databases, audits))
    return states
