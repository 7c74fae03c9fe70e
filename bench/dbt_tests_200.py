"""dbt-tests-200: 200 dbt tests of every sort, through Dagster and as `dbt test`."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.dbt_project import WITH_CHECKS, Prepared, dbt_command, prepare
from bench.evaluations import evaluations_of_run
from bench.measure import Result, Side
from bench.postgres import start_server
from bench.project import Model, make_models, run

TESTS = 200
_MODELS = 60
_WITH_GENERIC_TESTS = 36
_THREADS = 8
_MOST = """\
{% test most(model, column_name, most) %}
select {{ column_name }} from {{ model }} where {{ column_name }} > {{ most }}
{% endtest %}
"""
_SOURCE = (
    "CREATE SCHEMA raw",
    "CREATE TABLE raw.numbers AS SELECT n AS id, n % 7 AS amount FROM GENERATE_SERIES(1, 50) AS n",
)


@dataclass(frozen=True)
class DbtTests:
    """One such benchmark.

    Attributes:
        NAME: Its name.
        seconds: How long the server takes for a test.
    """

    NAME: str
    seconds: float

    @property
    def ABOUT(self) -> str:  # noqa: N802 - as a module has it
        each = f"of {self.seconds} s each" if self.seconds else "that take no time"
        return f"{TESTS} dbt tests {each} on PostgreSQL, {_THREADS} threads, the whole process"

    def prepared(self, cache: Path, _count: int, say: Callable[[str], None]) -> Prepared:
        """The project, built, on a PostgreSQL server that is there as long as this process."""
        server = start_server()
        server.execute(_SOURCE)

        def output(side: str) -> Mapping[str, Any]:
            return server.dbt_output(side, _THREADS)

        tests = _files(make_models(_MODELS), f"(select pg_sleep({self.seconds})) is not null")
        definitions = WITH_CHECKS.format(selection="dg.AssetSelection.all_asset_checks()")
        project = prepare(cache, _MODELS, output, say, tests=tests, definitions=definitions)
        say(f"Building the {_MODELS} models, for both sides")
        for folder in (project.ours / "project", project.theirs):
            run(dbt_command("run"), folder)
        shutil.rmtree(project.ours / "project" / "target")  # ours keeps its own parse
        return project

    def compare(self, project: Prepared) -> Result:
        """A run of Dagster's that has all checks and no asset, against `dbt test`.

        Both end with an error, since tests fail. After each run its results are compared, test by
        test, with those of the other side's last run, and what Dagster has stored with dbt's.
        """
        last: dict[str, dict[str, Any]] = {}

        def side(name: str, label: str, command: list[str], folder: Path) -> Side:
            def verify(began: float, output: str) -> dict[str, Any]:
                results = project.results(name)
                last[name] = {r["unique_id"]: (r["status"], r["failures"]) for r in results}
                if len(last[name]) != TESTS or len(results) != TESTS:
                    raise RuntimeError(f"{len(results)} tests were run, not {TESTS}\n{output}")
                if name == "ours":
                    _compare_stored(project, began, output, last[name])
                one, other = last[name], last.get("theirs" if name == "ours" else "ours", {})
                if differ := {k: (one[k], other[k]) for k in other if one[k] != other[k]}:
                    raise RuntimeError(f"Other results than the other side's: {differ}")
                return dict(Counter(status for status, _ in one.values()))

            return Side(
                name, label, command, folder, project.environment(), lambda: None, verify,
                may_fail=True,
            )  # fmt: skip

        theirs = dbt_command("test", "--threads", str(_THREADS))
        return Result(
            self.NAME,
            self.ABOUT,
            [
                side("ours", "a run of all checks", project.dagster_checks(), project.ours),
                side("theirs", f"dbt test --threads {_THREADS}", theirs, project.theirs),
            ],
            {**project.facts, "tests": TESTS, "seconds": self.seconds},
        )


# Half of what they take by `dbt test` on a small machine is dbt's start; with longer tests its
# share, and with it what there is to compare, would go towards nothing.
SLOW = DbtTests("dbt-tests-200", 0.2)
INSTANT = DbtTests("dbt-tests-200-instant", 0)


def _compare_stored(
    project: Prepared, began: float, output: str, results: Mapping[str, tuple[str, int]]
) -> None:
    """What Dagster has of each check is what dbt says of its test."""
    from dagster_transform import TransformTranslator
    from dagster_transform.dagster.translation.keys import keys_of
    from dagster_transform.graph import read_graph_file

    graph = read_graph_file(project.ours / ".dagster_transform" / "many.graph.json").graph
    keys = keys_of(graph, TransformTranslator(project.ours)).checks
    stored = evaluations_of_run(project.home, began, output)
    for check in graph.checks.values():
        found = stored.pop(keys[check.id])
        status, failures = results[check.reference]
        severity = {"fail": "ERROR", "warn": "WARN"}.get(status, found.severity)
        if found != (status == "pass", severity, failures):
            raise RuntimeError(f"{check.id}: Dagster has {found}, dbt {status}, {failures}")
    assert not stored, stored


def _files(models: list[Model], slow: str) -> dict[str, str]:
    """Exactly 200 tests: generic ones of dbt and of the project, relationships, tests of sources,
    singular ones of one, two and three models; some warn, some keep their failures."""
    found = {"macros/most.sql": _MOST}
    numbers = [
        {"name": "id", "data_tests": [
            _generic("not_null", slow), _generic("unique", slow),
            _generic("most", slow, {"most": 40}, severity="warn"),
            _generic("relationships", slow, {"to": f"ref('{_name(models[0])}')", "field": "id"}),
        ]},
        {"name": "amount", "data_tests": [
            _generic("not_null", slow), _generic("most", slow, {"most": 6}),
            _generic("accepted_values", slow, {"values": [0, 1, 2], "quote": False}),
            _generic("unique", slow, warn_if=">1000", error_if=">10000"),
        ]},
    ]  # fmt: skip
    source = {"name": "raw", "schema": "raw", "tables": [{"name": "numbers", "columns": numbers}]}
    tested, number = [], sum(len(column["data_tests"]) for column in numbers)
    for place, model in enumerate(models[:_WITH_GENERIC_TESTS]):
        columns = list(_columns(place, model, slow))
        number += sum(len(column["data_tests"]) for column in columns)
        tested.append({"name": _name(model), "columns": columns})
    written = {"version": 2, "sources": [source], "models": tested}
    found["models/schema.yml"] = yaml.safe_dump(written)
    for place in range(TESTS - number):
        read = [_name(m) for m in models[place : place + 1 + place % 3]]
        first, *others = (f"{{{{ ref('{name}') }}}}" for name in read)
        joins = "".join(
            f"\njoin {other} as o{i} on o{i}.id = t.id" for i, other in enumerate(others)
        )
        bad = "=" if place % 4 == 3 else "<>"
        severity = "warn" if place % 8 == 3 else "error"
        found[f"tests/single_{place:02}.sql"] = (
            f"{{{{ config(severity='{severity}') }}}}\n"
            f"select t.id from {first} as t{joins}\nwhere t.id {bad} 1 and {slow}\n"
        )
    return found


def _columns(place: int, model: Model, slow: str) -> Iterator[dict[str, Any]]:
    id_tests = [_generic("not_null", slow), _generic("unique", slow)]
    if model.parents:
        parent = model.parents[0].partition(".")[2]
        id_tests.append(_generic("relationships", slow, {"to": f"ref('{parent}')", "field": "id"}))
    yield {"name": "id", "data_tests": id_tests}
    severity = "warn" if place % 2 else "error"
    most = _generic("most", slow, {"most": 10}, severity=severity, store_failures=not place % 10)
    yield {"name": "amount", "data_tests": [most]}


def _generic(
    test: str, slow: str, arguments: Mapping[str, Any] | None = None, **config: Any
) -> dict[str, Any]:
    return {test: {**(arguments or {}), "config": {"where": slow, **config}}}


def _name(model: Model) -> str:
    return model.name.partition(".")[2]
