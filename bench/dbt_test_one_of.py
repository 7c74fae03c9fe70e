"""dbt-test-one-of-1000: one dbt test of a thousand models with a test each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.dbt_project import WITH_CHECKS, Prepared, dbt_command, one_test_each, prepare
from bench.evaluations import evaluations_of_run
from bench.measure import Result, Side
from bench.project import due_model, make_models

NAME = "dbt-test-one-of-1000"
ABOUT = "Run one dbt test of a project of 1,000 models and 1,000 tests, the whole process"
_THREADS = 4
_SELECTION = 'dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey("{model}"), "{test}"))'


def prepared(cache: Path, count: int, say: Callable[[str], None]) -> Prepared:
    """The project on DuckDB."""

    def output(_side: str) -> Mapping[str, Any]:
        return {"type": "duckdb", "path": "warehouse.duckdb", "threads": _THREADS}

    models = make_models(count)
    tests = one_test_each(models)
    model = due_model(models).name.partition(".")[2]
    selection = _SELECTION.format(model=model, test=_test(model))
    definitions = WITH_CHECKS.format(selection=selection)
    return prepare(cache, count, output, say, tests=tests, definitions=definitions)


def compare(project: Prepared) -> Result:
    """`dagster job execute` of a job with this one check, against `dbt test --select`.

    dbt has its partial parse, as it keeps it for everybody; ours what `prepare` has written.
    """
    test = _test(project.model)

    def side(name: str, label: str, command: list[str], folder: Path) -> Side:
        def verify(began: float, output: str) -> dict[str, Any]:
            """Exactly this test ran."""
            found = [(r["unique_id"].split(".")[2], r["status"]) for r in project.results(name)]
            if found != [(test, "pass")]:
                raise RuntimeError(f"Not exactly {test} was run: {found}\n{output}")
            if name == "ours":
                evaluated = evaluations_of_run(project.home, began, output)
                (evaluation,) = evaluated.values()
                assert evaluation.passed
            return {}

        return Side(name, label, command, folder, project.environment(), lambda: None, verify)

    return Result(
        NAME,
        ABOUT,
        [
            side("ours", "dagster job execute", project.dagster_checks(), project.ours),
            side(
                "theirs", "dbt test --select", dbt_command("test", "--select", test), project.theirs
            ),
        ],
        project.facts,
    )


def _test(model: str) -> str:
    return f"not_null_{model}_id"
