"""What to do where nobody has planned: one place words it, and the documentation says the same."""

from __future__ import annotations

import re

from dagster_transform.sqlmesh.first_plan import first_plan
from tests.support.folders import REPOSITORY

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
HOME = "dagster_transform/sqlmesh/first_plan.py"


def test_all_ways_are_told() -> None:
    plan = first_plan("marts", "prod", ["my mesh", "other"], "right", ["staging"])
    assert plan.command == (
        "cd 'my mesh' && sqlmesh -p . -p other --gateway right plan prod --auto-apply"
    )
    assert f"run `{plan.command}`" in plan.remedy
    for word in (
        "Plan it once: ", "what staging builds", "job marts_plan", "plan_marts", "`plan: auto`",
    ):  # fmt: skip
        assert word in plan.remedy
    assert "reads what" not in first_plan("marts", "prod", ["p"]).remedy


def test_no_other_place_makes_the_command() -> None:
    files = (REPOSITORY / "dagster_transform").rglob("*.py")
    making = [
        file.relative_to(REPOSITORY).as_posix()
        for file in files
        if "--auto-apply" in file.read_text(encoding="utf-8")
    ]
    assert making == [HOME]


def test_the_documentation_has_one_spelling_of_it() -> None:
    commands = {
        (page.name, found[0])
        for page in PAGES
        for found in re.finditer(r"sqlmesh plan prod[^`)\n#]*", page.read_text(encoding="utf-8"))
    }
    assert len(commands) > 3
    assert {words.strip() for _, words in commands} == {"sqlmesh plan prod --auto-apply"}
