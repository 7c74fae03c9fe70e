"""docs/benchmarks.md has what was measured, all of it, and nothing else."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from bench import __main__ as bench
from bench import measured
from bench.lines import LINES, Line, Target
from bench.measure import Result, Side
from bench.report import BEGIN, END, PAGE, report, tables, with_tables

LOAD = next(line for line in LINES if line.benchmark == "load-1000")
PLAN = next(line for line in LINES if line.benchmark == "first-plan-100")
POOLS = next(line for line in LINES if "slots, sqlite, times" in line.targets[0].measure)


def result_of(
    line: Line,
    *,
    theirs: float = 10,
    began: str = "2026-01-02T03:04:05+00:00",
    trial: str = "",
    **sides: float,
) -> dict[str, Any]:
    """What a benchmark writes whose other side takes 10 s, and ours as long as is said."""
    walls = {line.side: 5.0, line.other: theirs, **sides}
    runs = {
        name: [
            {"wall": wall * of_run, "cpu": wall, "max_rss_mb": 100 * wall, "load": 0.1}
            for of_run in (0.9, 1, 1.1)
        ]
        for name, wall in walls.items()
    }  # fmt: skip
    versions = {"a_peer": {"a_peer": "1.2.3"}}
    each = [
        Side(name, name, [], Path(), {}, lambda: None, lambda _began, _output: {},
             versions=versions.get(name, {}))
        for name in walls
    ]  # fmt: skip
    machine = {
        "cores": 2,
        "cpu": "a CPU",
        "system": "Linux-6.18.44-x-x86_64",
        "load_before": 0.123,
        "load_after": 1,
    }
    result = Result(line.benchmark, "What is done", each, {"models": line.models}, runs, machine)
    result.began, result.trial = began, trial
    return result.as_json()


def page_of(*results: dict[str, Any], kept: dict[str, Any] | None = None) -> str:
    return tables(measured.merge(kept or {}, results, pytest.fail))


def rows(page: str, about: str) -> list[list[str]]:
    """The cells of the rows that begin so."""
    lines = [line.strip("| ").split(" | ") for line in page.splitlines()]
    return [cells for cells in lines if cells[0] == about]


def test_a_line_has_ratios_with_their_spread() -> None:
    (cells,) = rows(page_of(result_of(PLAN, ours=13)), PLAN.about)
    assert cells == [
        PLAN.about, "`sqlmesh plan`", "1.2 wall time, 1.5 CPU", "1.30 (1.30 to 1.30)",
        "13.00 s / 10.00 s", "1.30", "1.30", "no: 1.2 wall time",
    ]  # fmt: skip
    (cells,) = rows(page_of(result_of(PLAN, ours=11)), PLAN.about)
    assert cells[-1] == "yes"


def test_details_have_every_side_and_a_peers_version() -> None:
    page = page_of(result_of(PLAN, ours=10, a_peer=25))
    (cells,) = rows(page, "a_peer 1.2.3")
    assert cells == ["a_peer 1.2.3", "25.00 s", "22.50 to 27.50 s", "2.50", "25.00 s", "2500 MB"]
    assert "2026-01-02, 3 runs of each, load 0.1 before, 1.0 after" in page
    assert "a CPU, 2 cores, Linux 6.18." in page


def test_what_was_not_measured_is_not_there() -> None:
    page = page_of(result_of(PLAN))
    assert {line.about for line in LINES if rows(page, line.about)} == {PLAN.about}
    assert tables({}) == ""


def test_a_line_of_a_side_that_was_not_measured_is_not_there() -> None:
    other = next(line for line in LINES if line.side == "ours_assets")
    page = page_of(result_of(PLAN))
    assert not rows(page, other.about)
    assert rows(page_of(result_of(PLAN, ours_assets=3)), other.about)


def test_another_size_is_no_line_and_has_details() -> None:
    larger = dataclasses.replace(LOAD, models=3000)
    page = page_of(result_of(larger))
    assert not rows(page, LOAD.about)
    assert "### load-1000, 3,000 models" in page
    both = page_of(result_of(larger), result_of(LOAD))
    assert rows(both, LOAD.about)
    assert "### load-1000\n" in both


def test_newer_results_replace_older_ones_in_whatever_order_they_come() -> None:
    old = result_of(PLAN, ours=20)
    new = result_of(PLAN, ours=12, began="2026-01-03T00:00:00+00:00")
    for results in ((old, new), (new, old)):
        (cells,) = rows(page_of(*results), PLAN.about)
        assert cells[4] == "12.00 s / 10.00 s"
    kept = measured.merge({}, [new], pytest.fail)
    assert rows(page_of(old, kept=kept), PLAN.about)[0][4] == "12.00 s / 10.00 s"
    assert rows(page_of(result_of(LOAD), kept=kept), PLAN.about)


def test_attempts_are_left_out_and_named() -> None:
    said: list[str] = []
    found = measured.merge({}, [result_of(PLAN, trial="1 runs")], said.append)
    assert found == {}
    assert said == ["first-plan-100 of 2026-01-02T03:04:05+00:00 is left out: 1 runs"]


@pytest.mark.parametrize(
    ("models", "runs", "trial"),
    [
        (1000, 5, ""), (3000, 3, ""), (None, 3, ""), (150, 3, "150 models"),
        (1000, 2, "2 runs of each"), (150, 1, "150 models, 1 runs of each"),
    ],
)  # fmt: skip
def test_few_runs_and_other_sizes_are_attempts(models: int | None, runs: int, trial: str) -> None:
    assert bench.trial_because(models, runs) == trial


def test_memory_is_told_of_each_line_that_has_more() -> None:
    assert f"more for {PLAN.about} (1.40)" in page_of(result_of(PLAN, ours=14))
    assert "it is in each line" in page_of(result_of(PLAN, ours=13))


def test_values_have_their_unit_and_targets_of_their_own() -> None:
    store = {
        "one_call": {"claim": [0.02, 0.03, 0.01]},
        "ratio": {"median": 60, "min": 49, "max": 61},
    }
    slower = {**store, "ratio": store["ratio"] | {"median": 20}}
    result = {
        **result_of(POOLS), "facts": {},
        "stores": {"sqlite": store, "postgres": slower},
    }  # fmt: skip
    del result["sides"]
    page = page_of(result)
    assert [
        (cells[0], *cells[2:4], cells[-1])
        for line in LINES
        if line.benchmark == "claims"
        for cells in rows(page, line.about)
    ] == [
        ("1,000 claims in one call, SQLite", "10 ms", "0.0200 s (0.0100 to 0.0300)", "no: 10 ms"),
        ("1,000 claims in one call, PostgreSQL", "40 ms", "0.0200 s (0.0100 to 0.0300)", "yes"),
        ("slots, 8 processes contending, SQLite", "at least 50 times",
         "60.00 times (49.00 to 61.00)", "yes"),
        ("slots, 8 processes contending, PostgreSQL", "at least 30 times",
         "20.00 times (49.00 to 61.00)", "no: at least 30 times"),
    ]  # fmt: skip


def test_a_target_is_a_most_or_a_least() -> None:
    assert Target(1.0).holds(1.0)
    assert not Target(1.0).holds(1.001)
    assert Target(50, "slots", at_least=True).holds(50)
    assert not Target(50, "slots", at_least=True).holds(49.9)


def test_every_line_has_a_benchmark() -> None:
    assert {line.benchmark for line in LINES} <= bench.ABOUT.keys()


def test_a_page_keeps_what_is_around_the_marks() -> None:
    page = f"before\n\n{BEGIN}\nold\n{END}\n\nafter\n"
    found = with_tables(page, {})
    assert found == f"before\n\n{BEGIN}\n{END}\n\nafter\n"
    with pytest.raises(ValueError, match="substring not found"):
        with_tables("no marks", {})


def test_the_page_has_what_was_measured() -> None:
    """Change neither by hand: `make bench ARGS=--report`."""
    page = PAGE.read_text(encoding="utf-8")
    assert with_tables(page, measured.read(measured.FILE)) == page


def test_prose_names_no_benchmark_that_there_is_not() -> None:
    page = PAGE.read_text(encoding="utf-8")
    named = [name for some in re.findall(r'ONLY=("[^"]+"|\S+)', page) for name in some.split()]
    assert named
    assert {name.strip('"') for name in named} <= bench.ABOUT.keys()


def test_results_of_an_older_version_are_not_taken(tmp_path: Path) -> None:
    old = result_of(PLAN)
    del old["trial"]
    file = tmp_path / "measured.json"
    measured.write(measured.merge({}, [old, result_of(LOAD)], pytest.fail), file)
    assert measured.read(file).keys() == {"load-1000 1000"}
    assert json.loads(file.read_text(encoding="utf-8")).keys() == {"load-1000 1000"}
    assert measured.read(tmp_path / "none") == {}


def test_report_takes_new_results_and_says_what_falls_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, said = tmp_path / "page.md", list[str]()
    page.write_text(f"{BEGIN}\n{END}\n", encoding="utf-8")
    monkeypatch.setattr("bench.report.PAGE", page)
    monkeypatch.setattr("bench.measured.FILE", tmp_path / "measured.json")
    folder = tmp_path / "results"
    folder.mkdir()
    for result in (result_of(LOAD), result_of(PLAN, ours=13, began="2026-01-01T00:00:00+00:00")):
        (folder / f"{result['benchmark']}.json").write_text(json.dumps(result), encoding="utf-8")
    report(folder, said.append)
    assert f"falls short of 1.2 wall time: {PLAN.about}" in said
    assert f"not measured: {POOLS.about}" in said
    assert not any(line.endswith(f": {LOAD.about}") for line in said)
    assert said[-1] == f"Written to {page}, from 2 results"
    first = page.read_text(encoding="utf-8")
    assert with_tables(first, measured.read(tmp_path / "measured.json")) == first
    assert rows(first, PLAN.about)
    assert rows(first, LOAD.about)
    for file in folder.iterdir():
        file.unlink()
    report(folder, said.append)  # what is kept is not lost with the results
    assert page.read_text(encoding="utf-8") == first


def test_no_two_lines_have_one_name() -> None:
    assert len({line.about for line in LINES}) == len(LINES)
