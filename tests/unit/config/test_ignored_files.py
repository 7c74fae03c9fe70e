"""What a .gitignore gets, and what it has already."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from dagster_transform.config.ignored_files import generated, with_ignored

ROOT = Path("/repository")
PROJECTS = [("dbt", ROOT / "shop"), ("sqlmesh", ROOT / "mesh"), ("dbt", Path("/elsewhere"))]
LINES = [
    ".dagster_transform/", ".dagster_home/",
    "/shop/target/", "/shop/dbt_packages/", "/shop/logs/",
    "/mesh/.cache/", "/mesh/logs/",
]  # fmt: skip


def test_what_is_generated_below_a_folder() -> None:
    assert generated(ROOT, PROJECTS) == LINES
    assert generated(ROOT, [("sqlmesh", ROOT)])[2:] == ["/.cache/", "/logs/"]


def test_a_file_is_begun_or_goes_on() -> None:
    made = with_ignored("", ["a/", "/b/c/"])
    assert made.splitlines()[1:] == ["a/", "/b/c/"]
    assert made.startswith("# What dagster-transform")
    added = with_ignored("mine\n!kept", LINES)
    assert added.startswith("mine\n!kept\n\n# ")
    assert added.splitlines()[4:] == LINES


def test_nothing_twice() -> None:
    once = with_ignored("", LINES)
    assert with_ignored(once, LINES) == once


@pytest.mark.parametrize(
    "said", ["target", "target/", "/shop/target", "**/target/", "shop/", "/shop", " target/ "]
)
def test_what_is_ignored_already(said: str) -> None:
    assert with_ignored(f"{said}\n", ["/shop/target/"]) == f"{said}\n"


def test_what_somebody_keeps_stays_kept() -> None:
    assert with_ignored("!/shop/target/\n", ["/shop/target/"]) == "!/shop/target/\n"


@pytest.mark.parametrize("said", ["# target/", "/target/", "targets", "/other/target", "x/target"])
def test_what_is_something_else(said: str) -> None:
    assert with_ignored(f"{said}\n", ["/shop/target/"]).endswith("\n/shop/target/\n")


def test_git_understands_it(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    text = with_ignored("", generated(tmp_path, [("dbt", tmp_path / "my shop")]))
    (tmp_path / ".gitignore").write_text(text, encoding="utf-8")
    for name, ignored in {
        ".dagster_transform/a.json": True,
        "defs/t/.dagster_transform/a.json": True,
        "my shop/target/manifest.json": True,
        "my shop/models/a.sql": False,
        "target/x": False,
    }.items():
        done = subprocess.run(["git", "check-ignore", "-q", name], cwd=tmp_path, check=False)
        assert (done.returncode == 0) is ignored, name
