"""`python -m bench`: run the benchmarks."""

from __future__ import annotations

import argparse
import compileall
import importlib.util
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import (
    audits_200,
    claims,
    dbt_300,
    dbt_one_of,
    dbt_test_one_of,
    dbt_tests_200,
    job_groups,
    load,
    load_job_groups,
    one_of,
    ticks,
)
from bench.measure import Result, measure, show, write
from bench.project import ROOT, prepare

BENCHMARKS = {module.NAME: module for module in (load, load_job_groups, one_of)}
# On projects that they prepare themselves.
OWN_PROJECT: dict[str, Any] = {
    bench.NAME: bench
    for bench in (
        dbt_one_of,
        dbt_300,
        audits_200,
        dbt_tests_200.SLOW,
        dbt_tests_200.INSTANT,
        dbt_test_one_of,
    )
}
# Not a project's: it measures itself.
WITHOUT_PROJECT: dict[str, Any] = {each.NAME: each for each in (claims, job_groups, ticks)}
# What is measured together.
ALONG = {job_groups.NAME: (load_job_groups.NAME,)}
ABOUT = {
    name: module.ABOUT for name, module in {**BENCHMARKS, **OWN_PROJECT, **WITHOUT_PROJECT}.items()
}
RESULTS = Path(__file__).resolve().parent / "results"
_COMPILED = ("dagster", "dagster_shared", "sqlmesh", "sqlglot", "pydantic", "sqlalchemy", "rich",
             "dbt.version", "dbt_common")  # fmt: skip


def main() -> None:
    """Prepare the project once, measure, print tables, write JSON."""
    listing = "\n".join(f"  {name:<22} {about}" for name, about in ABOUT.items())
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measures dagster-transform against what it stands beside: in turns, each run\n"
        "a fresh process. The first time, a project of 1,000 models is generated and planned\n"
        "(minutes), and kept in bench/results/projects.",
        epilog=f"benchmarks:\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", choices=ABOUT, metavar="NAME", help="one of those below")
    parser.add_argument("--runs", type=int, default=5, help="measured runs of each side (5)")
    parser.add_argument(
        "--json", type=Path, metavar="PATH",
        help="where to write the results; a folder if all are run (bench/results/NAME-DATE.json)",
    )  # fmt: skip
    parser.add_argument(
        "--models", type=int, default=1000, help="a smaller project, to try the benchmarks (1000)"
    )
    given = parser.parse_args()
    if given.runs < 1 or given.models < 150:
        parser.error("--runs must be at least 1 and --models at least 150")
    console = Console(highlight=False, soft_wrap=True)
    chosen = [given.only, *ALONG.get(given.only, ())] if given.only else list(ABOUT)

    console.print("Compiling bytecode")
    for folder in (*map(_folder, _COMPILED), ROOT / "dagster_transform", ROOT / "bench"):
        compileall.compile_dir(folder, quiet=2, workers=1)
    for name in chosen:
        path = given.json / f"{name}.json" if given.json and len(chosen) > 1 else given.json
        console.rule(f"{name}: {ABOUT[name]}", align="left")
        if name in WITHOUT_PROJECT:
            found = WITHOUT_PROJECT[name].run(given.runs, console)
            console.print(f"Written to {write(name, found, RESULTS, path)}")
            continue
        if given.models != 1000:
            console.print(f"Only to try it: the project has {given.models} models.")
        result = _compare(name, given.models, console)
        measure(result, given.runs, console)
        show(result, console)
        console.print(f"Written to {write(name, result.as_json(), RESULTS, path)}")


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
