"""The environments of `make matrix`, and how each one's lock is resolved."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
CACHE = REPOSITORY / ".cache" / "matrix"
UV = Path(sys.executable).with_name("uv")
_NEVER = """
dbt-core-experimental-parser ; python_version < "3"
import-linter ; python_version < "3"
psycopg2 ; python_version < "3"
"""
"""What is left out: dbt-core 1.12 runs without its new parser, whose build downloads; no test needs
import-linter, which asks for a newer rich than users need; psycopg2 is there as psycopg2-binary."""


@dataclass(frozen=True)
class Environment:
    """Versions that the tests run with.

    Attributes:
        name: Names its lock, too: matrix/<name>.lock.
        python: The Python that is taken where it is at hand, such as "3.12".
        constraints: What holds its versions, line by line.
        lowest: Whether the lowest versions of the declared ranges are taken.
    """

    name: str
    python: str
    constraints: tuple[str, ...] = ()
    lowest: bool = False

    @property
    def lock(self) -> Path:
        """Its pinned packages."""
        return Path(__file__).with_name(f"{self.name}.lock")

    @property
    def folder(self) -> Path:
        """Where it is made; kept from one time to the next."""
        return CACHE / self.name

    @property
    def interpreter(self) -> Path:
        """Its Python."""
        return self.folder / "bin" / "python"

    def versions(self) -> dict[str, str]:
        """The locked version of each package."""
        lines = self.lock.read_text(encoding="utf-8").splitlines()
        return dict(re.match(r"([\w.-]+)==([^ ;]+)", li).groups() for li in lines if "==" in li)  # type: ignore[union-attr]


ENVIRONMENTS = (
    Environment("lowest", "3.11", lowest=True),
    Environment(
        "middle",
        "3.12",
        (
            "dagster==1.12.*", "sqlmesh==0.236.2", "dbt-core==1.10.*", "SQLAlchemy==2.0.*",
            "pydantic==2.12.*", "click==8.3.*", "rich==14.*", "croniter==6.*",
        ),
    ),
    Environment("newest", "3.13"),
)  # fmt: skip


def resolve(environment: Environment) -> None:
    """Write an environment's lock anew, from pyproject.toml.

    Raises:
        RuntimeError: A package would come from an address or a path.
        subprocess.CalledProcessError: uv finds no solution, or no package index.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    held, never = CACHE / f"{environment.name}.constraints", CACHE / "overrides"
    held.write_text("\n".join(environment.constraints), encoding="utf-8")
    never.write_text(_NEVER, encoding="utf-8")
    found = _uv(
        "pip", "compile", "--universal", "--fork-strategy", "fewest", "--python-version", "3.11",
        "--resolution", "lowest-direct" if environment.lowest else "highest", "--all-extras",
        "--constraints", str(held), "--overrides", str(never), "--no-header", "--no-annotate",
        "--no-emit-index-url", "--no-emit-find-links", "pyproject.toml",
    )  # fmt: skip
    if re.search(r"://|^ *-|@|^[^;#]*/", found, re.MULTILINE):
        raise RuntimeError(f"{environment.name}.lock would name an address or a path")
    head = f"# The {environment.name} versions that tests run with: make matrix UPGRADE=1\n"
    environment.lock.write_text(head + found, encoding="utf-8")


def install(environment: Environment) -> str:
    """Make an environment out of its lock, and say which Python it has.

    Raises:
        subprocess.CalledProcessError: uv can't install what the lock says.
    """
    _uv("venv", "--quiet", "--allow-existing", "--python", _python(environment.python),
        str(environment.folder))  # fmt: skip
    python = str(environment.interpreter)
    _uv("pip", "sync", "--quiet", "--python", python, str(environment.lock))
    _uv("pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--python", python,
        "--editable", ".")  # fmt: skip
    command = [python, "-c", "import platform; print(platform.python_version())"]
    return subprocess.check_output(command, text=True).strip()


def _python(wanted: str) -> str:
    """The Python of a version where there is one, else the one that runs this."""
    found = [shutil.which(f"python{wanted}")]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [*map(str, pyenv.glob(f"versions/{wanted}.*/bin/python")), *filter(None, found)]
    return found[0] if found else sys.executable


def _uv(*arguments: str) -> str:
    return subprocess.run(
        [UV, *arguments, "--no-config"],
        cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, text=True,
    ).stdout  # fmt: skip
