"""`make matrix`: run tests with the lowest, middle and newest versions that are declared.

Each environment has a lock beside this file; it is made once, from that. In each run the contract
tests of private parts, the unit tests, and the example from end to end.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from matrix.environments import ENVIRONMENTS, REPOSITORY, Environment, install, resolve

TABLE = REPOSITORY / "docs" / "compatibility.md"
BEGIN, END = "<!-- written by make matrix -->", "<!-- to here -->"
PACKAGES = (
    "dagster", "sqlmesh", "dbt-core", "SQLAlchemy", "pydantic", "click", "rich", "croniter",
    "duckdb", "dbt-duckdb", "dbt-postgres",
)  # fmt: skip


SUITES = ("contract", "unit", "example")


@dataclass(frozen=True)
class Found:
    """What came of one environment: a line for each suite that ran."""

    environment: Environment
    python: str
    suites: dict[str, str]
    failed: bool


def main() -> None:
    """Parse the command line, run what it asks for, and write the table where all of it ran."""
    parser = argparse.ArgumentParser(prog="make matrix", description=__doc__)
    names = [environment.name for environment in ENVIRONMENTS]
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="environments")
    parser.add_argument("--contract", action="store_true", help="the contract tests alone")
    parser.add_argument("--upgrade", action="store_true", help="resolve the locks anew first")
    parser.add_argument("--workers", default="2", help="test processes (default: %(default)s)")
    given = parser.parse_args()

    results = []
    for environment in ENVIRONMENTS:
        if environment.name in given.only:
            if given.upgrade or not environment.lock.is_file():
                _say(f"{environment.name}: resolving")
                resolve(environment)
            results.append(_run(environment, given.workers, whole=not given.contract))
    if not given.contract and given.only == names:
        _write(results)
    if any(result.failed for result in results):
        sys.exit(1)


def _run(environment: Environment, workers: str, *, whole: bool) -> Found:
    _say(f"{environment.name}: installing {environment.lock.name}")
    python = install(environment)
    versions = environment.versions()
    core = ", ".join(f"{name} {versions[name]}" for name in ("dagster", "sqlmesh", "dbt-core"))
    _say(f"{environment.name}: Python {python}, {core}")
    suites, failed = {}, False
    for suite in SUITES[:2] if whole else SUITES[:1]:
        command = ["-m", "pytest", "-q", "-n", workers, f"tests/{suite}"]
        output, code = _python(environment, command, REPOSITORY)
        suites[suite] = (
            re.findall(r"^=*\s*(\d+ (?:passed|failed).*?) in ", output, re.M) or ["?"]
        )[-1]
        failed = failed or code != 0
        _say(f"{environment.name}: {suite} {suites[suite]}", output if code else "")
    if whole:
        output, code = _example(environment)
        suites["example"] = "from end to end" if code == 0 else "failed"
        failed = failed or code != 0
        _say(f"{environment.name}: example {suites['example']}", output if code else "")
    return Found(environment, python, suites, failed)


def _example(environment: Environment) -> tuple[str, int]:
    """`make demo` in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="matrix-") as name:
        folder = Path(name)
        made = shutil.ignore_patterns("data", "logs", "target", ".dagster_transform", "__pycache__")
        shutil.copytree(REPOSITORY / "example_project", folder / "example_project", ignore=made)
        if environment.versions()["dbt-core"].startswith("1.9."):
            _write_for_dbt_1_9(folder / "example_project" / "dbt_project")
        home = folder / "home"
        home.mkdir()
        shutil.copy(REPOSITORY / "dagster_home.yaml", home / "dagster.yaml")
        return _python(environment, ["-m", "example_project.demo"], folder, DAGSTER_HOME=str(home))


def _write_for_dbt_1_9(project: Path) -> None:
    """Arguments of tests as they were before dbt had a property for them, and sources without their
    freshness, which has no query there."""
    for file in project.glob("models/**/*.yml"):
        written = yaml.safe_load(file.read_text(encoding="utf-8"))
        file.write_text(yaml.safe_dump(_of_dbt_1_9(written)), encoding="utf-8")


def _of_dbt_1_9(value: Any) -> Any:
    if isinstance(value, list):
        return [_of_dbt_1_9(each) for each in value]
    if not isinstance(value, dict):
        return value
    later = {"arguments", "freshness", "loaded_at_query"}
    kept = {key: _of_dbt_1_9(each) for key, each in value.items() if key not in later}
    return kept | value.get("arguments", {})


def _python(
    environment: Environment, arguments: list[str], folder: Path, **variables: str
) -> tuple[str, int]:
    path = f"{environment.interpreter.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [environment.interpreter, *arguments],
        cwd=folder, env=os.environ | {"PATH": path} | variables, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    return done.stdout, done.returncode


def _write(results: list[Found]) -> None:
    """Put the table into docs/compatibility.md, between its marks."""
    heads = ["", *(result.environment.name for result in results)]
    rows = [["Python", *(result.python for result in results)]]
    rows += [
        [package, *(found.environment.versions().get(package.lower(), "") for found in results)]
        for package in PACKAGES
    ]
    rows += [[suite, *(found.suites[suite] for found in results)] for suite in SUITES]
    lines = [heads, ["---"] * len(heads), *rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    text = TABLE.read_text(encoding="utf-8")
    before, after = text[: text.index(BEGIN)], text[text.index(END) :]
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    TABLE.write_text(f"{before}{BEGIN}\nRun on {day}.\n\n{table}\n{after}", encoding="utf-8")
    _say(f"written to {TABLE.relative_to(REPOSITORY)}")


def _say(line: str, output: str = "") -> None:
    if output:
        print(output[-6000:], flush=True)
    print(f"=== {line}", flush=True)


if __name__ == "__main__":
    main()
