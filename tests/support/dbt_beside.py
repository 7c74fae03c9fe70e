"""One dbt project twice on one database: built by dbt itself, and by us in Dagster.

The two have schemas of their own, and all else alike. What became of each node and test is told in
dbt's words on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import DagsterEventType as Kind

from tests.support.dbt_projects import DbtProject
from tests.support.dbt_transforms import OfDbt
from tests.support.sqlmesh_projects import Database
from tests.support.stories import Story

NATIVE, OURS = "native", "ours"
_WORDS = {"failed": "error", "blocked": "skipped", "up_to_date": "success"}


class Beside:
    """A project, and its twin that dbt runs.

    Args:
        folder: Where they are written.
        database: Where both build.
        files: As of `DbtProject`.
        before: SQL that both schemas get first; `{schema}` is the schema.
        code: Python assets beside the project.
        more: As of `DbtProject`.
    """

    def __init__(
        self,
        folder: Path,
        database: Database,
        files: Mapping[str, str],
        *,
        before: tuple[str, ...] = (),
        code: str = "",
        **more: Any,
    ) -> None:
        self.database = database
        self.native, ours = (
            DbtProject(folder / schema, database, files, schema=schema, **more)
            for schema in (NATIVE, OURS)
        )
        for schema in (NATIVE, OURS):
            database.execute(
                f"CREATE SCHEMA IF NOT EXISTS {schema}",
                *(statement.format(schema=schema) for statement in before),
            )
        self.transform = OfDbt(folder, ours, code=code)

    def prepare(self) -> Beside:
        self.transform.prepare()
        return self

    def build(self, *arguments: str) -> tuple[dict[str, str], bool]:
        """`dbt build`: the statuses by name, and whether it went well."""
        done = self.native.dbt("build", *arguments, check=False)
        results = self.native.run_results()["results"]
        return {_name(r["unique_id"]): r["status"] for r in results}, done.returncode == 0

    def tables(self, schema: str) -> dict[str, list[tuple[Any, ...]]]:
        """The rows of all tables of a schema, sorted."""
        names = sorted(n for n in self.database.tables(schema) if n.startswith(f"{schema}."))
        return {
            name.removeprefix(f"{schema}."): sorted(
                self.database.rows(f"SELECT * FROM {name}"), key=repr
            )
            for name in names
        }

    def assert_alike(self, *arguments: str, **selection: Any) -> Story:
        """Build both; their tables, what became of each node and test, and the end are alike."""
        statuses, success = self.build(*arguments)
        story = self.transform.run(**selection)
        assert told(story) == statuses
        assert self.tables(OURS) == self.tables(NATIVE)
        assert story.success is success
        return story


def told(story: Story) -> dict[str, str]:
    """What became of each node and test that Dagster knows of, in dbt's words; Python assets, which
    have names that begin with `after_`, are left out."""
    found = {name: "success" for name in story.materialized if not name.startswith("after_")}
    for name, outcomes in story.observed.items():
        found[name] = _WORDS[outcomes[-1]]
    log = "\n".join(story.log)
    for event in story.of(Kind.ASSET_CHECK_EVALUATION_PLANNED):
        name = event.event_specific_data.asset_check_key.name
        ended = [line for line in log.splitlines() if f":{name}: " in line]
        word = ended[-1].split(f":{name}: ")[1].split()[0].strip(":,") if ended else "blocked"
        found[name] = _WORDS.get(word, word)
    for event in story.of(Kind.ASSET_CHECK_EVALUATION):
        result = event.event_specific_data
        is_error = result.severity is dg.AssetCheckSeverity.ERROR
        bad = "fail" if is_error else "warn"
        found[result.check_name] = "pass" if result.passed else bad
    return found


def _name(unique_id: str) -> str:
    """A node's or test's name, as our checks and assets have it."""
    kind, _, *rest = unique_id.split(".")
    return rest[-1] if kind == "unit_test" else rest[0]
