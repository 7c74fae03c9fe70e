"""A dbt project as a plain folder, for what needs no database of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

# -- reading a project ---------------------------------------------------------------------------


def write(folder: Path, **output: Any) -> None:
    given = {"type": "duckdb", "path": "w.duckdb", **output}
    (folder / "models").mkdir()
    (folder / "models" / "a.sql").write_text("select 1 as n")
    (folder / "dbt_project.yml").write_text("{name: p, version: '1.0', profile: p}")
    (folder / "profiles.yml").write_text(f"{{p: {{target: t, outputs: {{t: {given}}}}}}}")
