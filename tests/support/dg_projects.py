"""A project of `dg`, as `create-dagster project` makes it, and the commands of `dg` in it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

from tests.support.two_frameworks import write_two_frameworks

PYPROJECT = """
[project]
name = "shop"
version = "0.1.0"
requires-python = ">=3.11"

[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "shop"
"""
DEFINITIONS = """
from pathlib import Path

from dagster import definitions, load_from_defs_folder


@definitions
def defs():
    return load_from_defs_folder(path_within_project=Path(__file__).parent)
"""
BIN = Path(sys.executable).parent


class DgProject:
    """A project with one component, `transform`.

    Args:
        folder: Where it is written; projects of dbt and SQLMesh may be in it.
        home: Dagster's home.
    """

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
        self.write(
            {
                "pyproject.toml": PYPROJECT,
                "src/shop/__init__.py": "",
                "src/shop/definitions.py": DEFINITIONS,
                "src/shop/defs/__init__.py": "",
            }
        )

    @classmethod
    def of_two_frameworks(cls, folder: Path, home: Path, attributes: str) -> DgProject:
        """One whose component has a dbt and a SQLMesh project, in folders beside `src`."""
        write_two_frameworks(folder)
        (folder / "transform.yaml").unlink()
        found = cls(folder, home)
        found.component(attributes)
        return found

    @property
    def defs(self) -> Path:
        return self.folder / "src" / "shop" / "defs"

    @property
    def yaml(self) -> Path:
        return self.defs / "transform" / "defs.yaml"

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")

    def component(self, attributes: str, before: str = "") -> None:
        """Write defs.yaml.

        Args:
            attributes: Below `attributes`, dedented.
            before: What stands before.
        """
        indented = "".join(f"  {line}\n" for line in dedent(attributes).strip().splitlines())
        text = (
            f"type: dagster_transform.TransformComponent\n{dedent(before)}attributes:\n{indented}"
        )
        self.yaml.parent.mkdir(parents=True, exist_ok=True)
        self.yaml.write_text(text, encoding="utf-8")

    def command(
        self, *words: str, cwd: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """A command of this environment's, in the project's folder."""
        env = {
            **os.environ,
            "DAGSTER_HOME": str(self.home),
            "HOME": str(self.home),
            "PYTHONPATH": str(self.folder / "src"),
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "NO_COLOR": "1",
            "COLUMNS": "200",
            **(environment or {}),
        }
        env.pop("VIRTUAL_ENV", None)
        return subprocess.run(
            [str(BIN / words[0]), *words[1:]],
            cwd=cwd or self.folder,
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )

    def dg(self, *words: str, **options: Mapping[str, str]) -> str:
        """What a command of `dg` says; it must end well."""
        done = self.command("dg", *words, **options)
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
        return said
