"""`make dist`: what a wheel has in it, and that it installs and works by itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.support.folders import REPOSITORY

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = re.search(
        r"^dist: .*\n\t(.*)$", (REPOSITORY / "Makefile").read_text("utf-8"), re.MULTILINE
    )
    assert command
    words = command[1].replace("$(BIN)", str(Path(sys.executable).parent)).replace("$(ARGS)", "")
    subprocess.run(
        words.replace("--out-dir dist", f"--out-dir {folder}"),
        shell=True, cwd=REPOSITORY, check=True, timeout=200,
    )  # fmt: skip
    return folder


def version() -> str:
    found = re.search(
        r'^version = "(.*)"$', (REPOSITORY / "pyproject.toml").read_text("utf-8"), re.MULTILINE
    )
    assert found
    return found[1]


def test_the_wheel_has_the_package_and_nothing_else(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    assert wheel.name == f"dagster_transform-{version()}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        (metadata,) = [name for name in names if name.endswith("METADATA")]
        text = packed.read(metadata).decode()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"dagster_transform", f"dagster_transform-{version()}.dist-info"}
    mine = {
        path.relative_to(REPOSITORY).as_posix()
        for path in (REPOSITORY / "dagster_transform").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if not name.split("/")[0].endswith(".dist-info")} == mine
    assert f"Version: {version()}\n" in text
    assert "dagster-dbt" not in re.findall(r"Requires-Dist: (\S+)", text)


def test_the_source_distribution_has_no_tests(dist: Path) -> None:
    (packed,) = dist.glob("*.tar.gz")
    with tarfile.open(packed) as archive:
        names = [name.split("/", 1)[1] for name in archive.getnames() if "/" in name]
    assert {"README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml"} <= set(names)
    assert not [name for name in names if name.startswith(("tests", "example_project", "docs"))]


def test_what_is_installed_works(dist: Path, tmp_path: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    uv = Path(sys.executable).parent / "uv"
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--no-config", "--no-deps", "--offline",
         "--python", sys.executable, "--target", str(tmp_path), str(wheel)],
        check=True, timeout=100,
    )  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    code = "import dagster_transform as d; print(d.__file__); d.build_transform_definitions"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith(str(tmp_path))
    done = subprocess.run(
        [sys.executable, str(tmp_path / "bin" / "dagster-transform"), "--version"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert version() in done.stdout


def test_the_changelog_has_the_version() -> None:
    text = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[{re.escape(version())}\] - \d{{4}}-\d\d-\d\d$", text, re.MULTILINE)
