"""Other integrations, each in an environment of its own: they and this package can't share one.

`python -m bench.peers` resolves their locks anew; dagster, sqlmesh, dbt-core, DuckDB and the like
are held at this repository's own versions, so that the integrations are what differs.
"""

from __future__ import annotations

import compileall
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.project import ROOT, environment

ENVIRONMENTS = ROOT / "bench" / "results" / "environments"
LOCKS = ROOT / "bench" / "locks"
_UV = Path(sys.executable).with_name("uv")
_OURS = ROOT / "requirements.lock"
_HELD = re.compile(
    r"^(dagster|dagster-pipes|dagster-shared|sqlmesh|dbt-core|dbt-duckdb|dbt-adapters|dbt-common"
    r"|duckdb|psycopg2-binary|sqlalchemy|pydantic)==.*$"
)
_TIMEOUT = 1200


@dataclass(frozen=True)
class Peer:
    """An integration that a benchmark has beside ours.

    Attributes:
        name: Names its lock (bench/locks/<name>.lock) and its environment.
        needs: What is to be installed.
    """

    name: str
    needs: tuple[str, ...]

    @property
    def lock(self) -> Path:
        """Its pinned packages."""
        return LOCKS / f"{self.name}.lock"

    @property
    def folder(self) -> Path:
        """Where its environment is made."""
        return ENVIRONMENTS / self.name

    def script(self, name: str) -> str:
        """A command of its environment."""
        return str(self.folder / "bin" / name)

    def environment(self) -> dict[str, str]:
        """Of a process of its: it starts the commands that it finds, such as `dbt`."""
        found = environment()
        path = f"{self.folder / 'bin'}{os.pathsep}{found['PATH']}"
        return found | {"PATH": path, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}

    def versions(self) -> dict[str, str]:
        """The locked versions of what counts."""
        counted = re.compile(r"^((?:dagster|sqlmesh|dbt-core|dbt-duckdb|duckdb|dg-).*)==(.*)$")
        lines = self.lock.read_text(encoding="utf-8").splitlines()
        return dict(found.groups() for line in lines if (found := counted.match(line)))  # type: ignore[misc]

    def installed(self, say: Callable[[str], None]) -> bool:
        """Make its environment where there is none. False: it can't be, and `say` was told why.

        Args:
            say: Tells what goes on.
        """
        made = self.folder / "lock"
        wanted = self.lock.read_text(encoding="utf-8")
        if made.exists() and made.read_text(encoding="utf-8") == wanted:
            return True
        say(f"Installing {self.name} ({self.folder})")
        shutil.rmtree(self.folder, ignore_errors=True)
        python = self.script("python")
        try:
            _run([sys.executable, "-m", "venv", "--without-pip", str(self.folder)])
            try:
                _uv("pip", "sync", "--quiet", "--python", python, str(self.lock))
            except RuntimeError:  # as where an index is configured for pip only
                _run([sys.executable, "-m", "pip", "--python", python, "install", "-qq",
                      "--no-deps", "--no-compile", "-r", str(self.lock)])  # fmt: skip
            # Without it, each process would compile what it imports.
            compileall.compile_dir(self.folder / "lib", quiet=2, workers=1)
        except (OSError, RuntimeError, subprocess.TimeoutExpired) as error:
            say(f"{self.name} is left out, it can't be installed here: {str(error)[-300:]}")
            return False
        made.write_text(wanted, encoding="utf-8")
        return True


DAGSTER_DBT = Peer("dagster-dbt", ("dagster-dbt", "dbt-core<1.12", "dbt-duckdb"))
DAGSTER_SQLMESH = Peer("dagster-sqlmesh", ("dagster-sqlmesh", "psycopg2-binary"))
DG_SQLMESH = Peer("dg-sqlmesh", ("dg-sqlmesh",))
PEERS = (DAGSTER_DBT, DAGSTER_SQLMESH, DG_SQLMESH)


def resolve(peer: Peer) -> None:
    """Write a lock anew.

    Raises:
        RuntimeError: uv finds no solution, or a package would come from an address or a path.
    """
    held = [line for line in _OURS.read_text(encoding="utf-8").splitlines() if _HELD.match(line)]
    ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
    needs, constraints = (ENVIRONMENTS / f"{peer.name}.{kind}" for kind in ("in", "constraints"))
    needs.write_text("\n".join(peer.needs), encoding="utf-8")
    constraints.write_text("\n".join(held), encoding="utf-8")
    found = _uv(
        "pip", "compile", "--universal", "--python-version", "3.11", "--no-header",
        "--no-annotate", "--no-emit-index-url", "--no-emit-find-links",
        "--constraints", str(constraints), str(needs),
    )  # fmt: skip
    if re.search(r"://|^ *-|@|^[^;#]*/", found, re.MULTILINE):
        raise RuntimeError(f"{peer.lock.name} would name an address or a path")
    head = f"# What {peer.name} is measured with. Written by: python -m bench.peers\n"
    peer.lock.parent.mkdir(exist_ok=True)
    peer.lock.write_text(head + found, encoding="utf-8")


def _uv(*arguments: str) -> str:
    return _run([str(_UV), *arguments, "--no-config"])


def _run(command: list[str]) -> str:
    """Raises RuntimeError with what it said, and OSError where there is no such command."""
    done = subprocess.run(
        command,
        cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=_TIMEOUT, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(" ".join(done.stderr.split()))
    return done.stdout


if __name__ == "__main__":
    for each in PEERS:
        resolve(each)
        print(json.dumps({each.name: each.versions()}))
