"""The public names as mypy sees them from a project of somebody's own."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.folders import REPOSITORY

# mypy reads all of Dagster: with nothing kept that takes a minute, minutes on a busy machine.
pytestmark = pytest.mark.timeout(900)

HERE = Path(__file__).parent
CACHE = REPOSITORY / ".mypy_cache" / "somebody"
_FOUND = re.compile(r"(?P<file>\w+\.py):(?P<line>\d+): error: .*\[(?P<code>[\w-]+)\]")
_WRONG = re.compile(r"# wrong: (?P<code>[\w-]+)$")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[tuple[int, str]]]:
    """What mypy finds, by file: line and code. One run for both files, for Dagster takes long."""
    folder = tmp_path_factory.mktemp("somebody")
    files = []
    for name in ("right_uses.py", "wrong_uses.py"):
        (folder / name).write_text((HERE / name).read_text(encoding="utf-8"), encoding="utf-8")
        files.append(name)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary"]
    command += [f"--cache-dir={CACHE}", *files]

    def check() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)

    done = check()
    if done.stderr:  # mypy can't read what it has kept of an older state of this package
        shutil.rmtree(CACHE)
        done = check()
    assert not done.stderr, done.stderr
    assert done.returncode == 1, done.stdout
    found: dict[str, set[tuple[int, str]]] = {name: set() for name in files}
    for line in done.stdout.splitlines():
        if match := _FOUND.match(line):
            found[match["file"]].add((int(match["line"]), match["code"]))
        else:
            assert ": note: " in line, line
    return found


@pytest.mark.slow
def test_right_uses_have_no_error(found: dict[str, set[tuple[int, str]]]) -> None:
    assert found["right_uses.py"] == set()


@pytest.mark.slow
def test_each_wrong_use_has_its_error(found: dict[str, set[tuple[int, str]]]) -> None:
    lines = (HERE / "wrong_uses.py").read_text(encoding="utf-8").splitlines()
    wanted = {
        (number, match["code"])
        for number, line in enumerate(lines, 1)
        if (match := _WRONG.search(line))
    }
    assert len(wanted) > 10
    assert found["wrong_uses.py"] == wanted


def test_every_public_name_is_used_rightly() -> None:
    import dagster_transform

    text = (HERE / "right_uses.py").read_text(encoding="utf-8")
    # A graph comes from nowhere that is public: for those who make one themselves.
    unused = {"build_transform_assets"}
    assert {name for name in dagster_transform.__all__ if not re.search(rf"\b{name}\b", text)} == (
        unused
    )
