"""`python -m bench`: run the benchmarks."""

from __future__ import annotations

import argparse
import compileall
import importlib.util
import re
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import (
    audits_200,
    claims,
    dbt_300,
    dbt_all,
    dbt_one_of,
    dbt_test_one_of,
    dbt_tests_200,
    first_plan,
    job_groups,
    live_100,
    load,
    load_beside,
    load_job_groups,
    one_of,
    one_of_beside,
    run_all,
    ticks,
    warm,
)
from bench.measure import Result, measure, show, write
from bench.project import ROOT, prepare
from bench.report import report

BENCHMARKS = {module.NAME: module for module in (load, load_job_groups, one_of)}
# On projects that they prepare themselves.
OWN_PROJECT: dict[str, Any] = {
    bench.NAME: bench
    for bench in (
        warm.SQLMESH,
        dbt_one_of,
        warm.DBT,
        dbt_300,
        audits_200,
        warm.AUDITS,
        dbt_tests_200.SLOW,
        dbt_tests_200.INSTANT,
        dbt_test_one_of,
        first_plan.DUCKDB,
        first_plan.POSTGRES,
        run_all.HUNDRED,
        run_all.THOUSAND,
        dbt_all.HUNDRED,
        dbt_all.THOUSAND,
        load_beside.SQLMESH,
        load_beside.DBT,
        one_of_beside,
    )
}
# Not a project's: it measures itself.
WITHOUT_PROJECT: dict[str, Any] = {
    each.NAME: each for each in (claims, job_groups, live_100, ticks)
}
# What is measured together.
ALONG = {job_groups.NAME: (load_job_groups.NAME,)}
ABOUT = {
    name: module.ABOUT for name, module in {**BENCHMARKS, **OWN_PROJECT, **WITHOUT_PROJECT}.items()
}
SIZES = (100, 1000, 3000)
FEWEST_RUNS = 3
"""With fewer there is no spread, and a result is an attempt."""
RESULTS = Path(__file__).resolve().parent / "results"
_COMPILED = ("dagster", "dagster_shared", "sqlmesh", "sqlglot", "pydantic", "sqlalchemy", "rich",
             "dbt.version", "dbt_common")  # fmt: skip


_EXAMPLES = """\
examples:
  make bench                                         all of them, which takes hours
  make bench ONLY="one-of-1000 dbt-one-of-1000"      some
  make bench ONLY=load-1000 ARGS="--models 3000"     on a larger project
  make bench ONLY=first-plan-100 ARGS="--runs 1"     to see that it works
  make bench ARGS=--report                           the tables of docs/benchmarks.md, anew
"""


def main() -> None:
    """Prepare the project once, measure, print tables, write JSON."""
    listing = "\n".join(f"  {name:<23} {about}" for name, about in ABOUT.items())
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measures dagster-transform against what it stands beside: in turns, each run\n"
        "a fresh process. The first time, a project of 1,000 models is generated and planned\n"
        "(minutes), and kept in bench/results/projects.",
        epilog=f"{_EXAMPLES}\nbenchmarks:\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only", choices=ABOUT, nargs="+", metavar="NAME", help="some of those below"
    )
    parser.add_argument("--runs", type=int, default=5, help="measured runs of each side (5)")
    parser.add_argument(
        "--json", type=Path, metavar="PATH",
        help="where to write the results, or to read them; a folder if several are run "
        "(bench/results/NAME-DATE.json)",
    )  # fmt: skip
    parser.add_argument(
        "--models",
        type=int,
        default=1000,
        help="how many, where it is not in the name: 100, 1000 or 3000; others to try it (1000)",
    )
    parser.add_argument(
        "--report", action="store_true",
        help="measure nothing: write the tables of docs/benchmarks.md from all results so far",
    )  # fmt: skip
    given = parser.parse_args()
    if given.runs < 1 or given.models < 100:
        parser.error("--runs must be at least 1 and --models at least 100")
    console = Console(highlight=False, soft_wrap=True)
    if given.report:
        report(given.json or RESULTS, console.print)
        return
    only = given.only or ABOUT
    chosen = list(dict.fromkeys(n for name in only for n in (name, *ALONG.get(name, ()))))

    console.print("Compiling bytecode")
    for folder in (*map(_folder, _COMPILED), ROOT / "dagster_transform", ROOT / "bench"):
        compileall.compile_dir(folder, quiet=2, workers=1, rx=re.compile("/bench/results/"))
    for name in chosen:
        path = given.json / f"{name}.json" if given.json and len(chosen) > 1 else given.json
        console.rule(f"{name}: {ABOUT[name]}", align="left")
        if name in WITHOUT_PROJECT:
            trial = trial_because(None, given.runs)
            found = {**WITHOUT_PROJECT[name].run(given.runs, console), "trial": trial}
            console.print(f"Written to {write(name, found, RESULTS, path)}")
            continue
        result = _compare(name, given.models, console)
        models = result.facts.get("models")
        result.trial = trial_because(given.models if models == given.models else None, given.runs)
        if result.trial:
            console.print(f"To try it ({result.trial}): docs/benchmarks.md does not take it.")
        if models == given.models:  # as asked for
            result.about = result.about.replace("1,000", f"{given.models:,}")
        measure(result, given.runs, console)
        show(result, console)
        console.print(f"Written to {write(name, result.as_json(), RESULTS, path)}")


def trial_because(models: int | None, runs: int) -> str:
    """What makes results an attempt, which docs/benchmarks.md does not take; nothing: they count.

    Args:
        models: How many were asked for, where the benchmark goes by that.
        runs: How many there are of each side.
    """
    reasons = [f"{models} models"] * (models is not None and models not in SIZES)
    reasons += [f"{runs} runs of each"] * (runs < FEWEST_RUNS)
    return ", ".join(reasons)


def _compare(name: str, models: int, console: Console) -> Result:
    """What is to be measured, on a project that is prepared."""
    cache = RESULTS / "projects"
    if name in OWN_PROJECT:
        own = OWN_PROJECT[name]
        result: Result = own.compare(own.prepared(cache, models, console.print))
        return result
    return BENCHMARKS[name].compare(prepare(cache, models, console.print))


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


if __name__ == "__main__":
    main()
