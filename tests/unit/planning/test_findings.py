"""Findings that follow from values alone."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

from dagster_transform.databases.relative_files import another_file
from dagster_transform.errors import TransformError
from dagster_transform.graph import Drift, Graph, Node, Relation, Source
from dagster_transform.planning.cron import Cron
from dagster_transform.planning.findings import Code, Severity, of_error
from dagster_transform.planning.findings.crons import cron_findings
from dagster_transform.planning.findings.graph_files import drift_finding, graph_file_finding
from dagster_transform.planning.findings.queue import QueueLimits, queue_findings
from dagster_transform.planning.findings.read_elsewhere import read_elsewhere_findings
from dagster_transform.planning.findings.relative_files import lies_elsewhere, other_file_finding
from dagster_transform.planning.findings.schedules import schedule_findings
from dagster_transform.planning.findings.versions import version_findings

NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)


def graph(cron: str, zone: str | None) -> Graph:
    node = Node(
        id="p:n", project="p", framework="dbt", reference="n", name="n", kind="table",
        relation=Relation("duckdb:/w", "w", "s", "n"), cron=cron, time_zone=zone,
    )  # fmt: skip
    return Graph.of([node])


@pytest.mark.parametrize(
    ("cron", "zone", "words"),
    [
        (
            "30 2 * * *",
            "Europe/Zurich",
            ["2026-03-29 02:30 does not exist", "2026-10-25 02:30 comes twice"],
        ),
        ("30 1 * * *", "America/New_York", ["2026-11-01 01:30 comes twice"]),
        ("30 2 * * 1-5", "Europe/Zurich", []),
        ("30 4 * * *", "Europe/Zurich", []),
        ("30 * * * *", "Europe/Zurich", []),
        ("30 2 * * *", "UTC", []),
        ("30 2 * * *", None, []),
        ("30 2 * * *", "Asia/Tokyo", []),
        ("no cron", "Europe/Zurich", []),
    ],
)
def test_crons_in_the_hour_in_which_a_clock_is_changed(
    cron: str, zone: str | None, words: list[str]
) -> None:
    found = cron_findings(graph(cron, zone), {}, NOW)
    assert bool(found) == bool(words)
    for word in words:
        assert word in found[0].what
        assert found[0].code is Code.CLOCK_CHANGE


def test_a_cron_is_told_once_with_all_who_have_it() -> None:
    cron = Cron.parse("30 2 * * *", "Europe/Zurich")
    (found,) = cron_findings(graph("30 2 * * *", "Europe/Zurich"), {"nightly": cron}, NOW)
    assert found.where == "job group nightly, n"


REQUIRED = [
    "dagster<1.14,>=1.11.16",
    'sqlmesh<0.237,>=0.235.3; extra == "sqlmesh"',
    "click>=8",
    "no version ?",
]


@pytest.mark.parametrize(
    ("installed", "words"),
    [
        ({"dagster": "1.13.27", "sqlmesh": "0.236.4", "click": "8.1.8"}, []),
        ({"dagster": "1.14.0"}, ["dagster 1.14.0"]),
        ({"dagster": "1.11.15", "sqlmesh": "0.237.0"}, ["dagster 1.11.15", "sqlmesh 0.237.0"]),
        ({"sqlmesh": None}, []),
        ({"dagster": "1.13.28rc1"}, []),
        ({"dagster": "of my own"}, []),
    ],
)
def test_versions_out_of_their_ranges(installed: dict[str, str | None], words: list[str]) -> None:
    found = version_findings(REQUIRED, installed)
    assert [f.what for f in found] == [f"{word} is installed." for word in words]


def test_limits_of_the_queue_that_disagree_with_concurrency_tags() -> None:
    tags = [("heavy", 2, "dagster_transform/concurrency.heavy")]
    key = "dagster_transform/concurrency.heavy"
    assert queue_findings(QueueLimits(10, {}), tags) == []
    assert queue_findings(QueueLimits(-1, {key: 2, "team": 1}), tags) == []
    assert queue_findings(QueueLimits(10, {key: 3}), tags) == [], "the slots hold all the same"
    (fewer,) = queue_findings(QueueLimits(10, {key: 1}), tags)
    assert fewer.code is Code.QUEUE_LIMIT_DISAGREES
    assert "2 slots" in fewer.what
    (unknown,) = queue_findings(QueueLimits(10, {"dagster_transform/concurrency.light": 1}), tags)
    assert "no such concurrency tag" in unknown.what
    (nothing,) = queue_findings(QueueLimits(0, {}), tags)
    assert nothing.severity is Severity.ERROR


def test_schedules_that_no_job_group_has_any_more() -> None:
    on = [("here", "daily"), ("here", "nightly"), ("there", "old")]
    assert schedule_findings(on, {"daily", "nightly", "old"}, "job_groups.yaml") == []
    found = schedule_findings(on, {"daily"}, "job_groups.yaml")
    assert [(f.where, f.code) for f in found] == [
        ("here", Code.SCHEDULE_STATE_LOST), ("there", Code.SCHEDULE_STATE_LOST),
    ]  # fmt: skip
    assert "nightly" in found[0].what
    assert "daily" not in found[0].what.replace("nightly", "")


def test_what_graph_files_say() -> None:
    missing = graph_file_finding("p", "/p.json", "does not exist", missing=True)
    assert (missing.code, missing.severity) == (Code.GRAPH_FILE_MISSING, Severity.ERROR)
    stale = graph_file_finding("p", "/p.json", "is old", missing=False)
    assert (stale.code, stale.severity) == (Code.GRAPH_FILE_STALE, Severity.WARNING)
    drift = drift_finding("p", "prod", Drift(new=tuple("abcdefg"), other=("hooks differ",)))
    assert "7 new (a, b, c, d, e and 2 more); hooks differ" in drift.what


def test_an_error_as_a_finding_has_no_password() -> None:
    ours = of_error(Code.PROJECT_UNREADABLE, "p", TransformError("it broke", remedy="Mend it."))
    assert (ours.cause, ours.remedy) == ("it broke", "Mend it.")
    other = of_error(Code.INSTANCE_UNUSABLE, "p", ValueError("postgresql://me:hunter2@db/x"))
    assert "hunter2" not in other.cause
    assert other.cause.startswith("ValueError: ")
    assert other.remedy


def pair(read: str, built: str, schema: str = "staging") -> list[Graph]:
    """Project marts reads staging.sales in one database, coffee builds it in another."""
    relation = Relation(built, "shop", "Staging", "sales")
    node = Node("coffee:m.sales", "coffee", "dbt", "m.sales", "sales", "table", relation)
    names = ("sales", "other")
    sources = [
        Source(f"marts:{name}", "marts", name, name, Relation(read, "shop", schema, name))
        for name in names
    ]
    return [Graph.of([node]), Graph.of([], sources)]


def built_there(read: str) -> Graph:
    """A third project that builds what marts reads, where it reads it."""
    relation = Relation(read, "shop", "staging", "sales")
    return Graph.of([Node("c:sales", "c", "dbt", "sales", "sales", "table", relation)])


def test_what_one_project_reads_and_another_one_builds_in_another_database() -> None:
    graphs = pair("duckdb:/w/marts/shop.duckdb", "duckdb:/w/coffee/shop.duckdb")
    (found,) = read_elsewhere_findings(graphs, Path("/w"))
    assert (found.code, found.severity) == (Code.READ_ELSEWHERE, Severity.WARNING)
    assert found.what == (
        "Project marts reads staging.sales in marts/shop.duckdb; "
        "project coffee builds it in coffee/shop.duckdb."
    )
    assert "the same file" in found.remedy
    (of_servers,) = read_elsewhere_findings(pair("postgres:a/w", "postgres:b/w"), Path("/w"))
    assert "in postgres:a/w" in of_servers.what
    assert "file" not in of_servers.cause + of_servers.remedy


@pytest.mark.parametrize(
    "graphs",
    [
        pair("duckdb:/w.duckdb", "duckdb:/w.duckdb", "Staging"),
        pair("duckdb:/a.duckdb", "duckdb:/b.duckdb", "raw"),
        pair("snowflake:a/w", "duckdb:/w.duckdb"),
        [*pair("duckdb:/a.duckdb", "duckdb:/b.duckdb"), built_there("duckdb:/a.duckdb")],
    ],
    ids=["built where it is read", "another schema", "another engine", "built there by a third"],
)
def test_what_is_read_where_it_is_built_or_is_something_else(graphs: list[Graph]) -> None:
    assert read_elsewhere_findings(graphs, Path("/w")) == []


def test_a_relative_path_that_leads_to_two_files_or_to_one_in_the_wrong_place(
    tmp_path: Path,
) -> None:
    own, other = tmp_path / "p", tmp_path / "q"
    own.mkdir()
    other.mkdir()
    assert another_file("w.duckdb", own, [other]) is None
    (other / "w.duckdb").touch()
    one = another_file("w.duckdb", own, [other])
    assert one is not None
    finding = other_file_finding("p", "sqlmesh", one)
    assert "there are two" not in finding.what
    assert f"{own / 'w.duckdb'}, which is not there" in finding.cause
    assert f"move it to {own / 'w.duckdb'}" in finding.remedy
    assert str(other / "w.duckdb") in lies_elsewhere(one)
    (own / "w.duckdb").touch()
    two = another_file("w.duckdb", own, [other])
    assert two is not None
    assert "there are two" in other_file_finding("p", "sqlmesh", two).what
    assert lies_elsewhere(two) == ""
