from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from dagster_transform.graph import SourceFile, SourceFileError, difference, fingerprint


def write(path: Path, content: str = "select 1") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def test_takes_what_can_change_a_graph_and_nothing_else(tmp_path: Path) -> None:
    wanted = ["a.sql", "b.py", "c.yaml", "d.yml", "e.csv", "f.toml", "G.SQL", "models/deep/h.sql"]
    unwanted = [
        "readme.md",
        "manifest.json",
        "warehouse.duckdb",
        ".user.yml",
        ".cache/a.sql",
        ".venv/a.py",
        "__pycache__/a.py",
        "target/a.sql",
        "models/target/a.sql",
        "logs/a.csv",
        "dbt_packages/a.sql",
    ]
    for name in (*wanted, *unwanted):
        write(tmp_path / "project" / name)
    found = fingerprint(tmp_path, [Path("project")])
    assert list(found) == sorted(f"project/{name}" for name in wanted)


def test_records_size_mtime_and_content(tmp_path: Path) -> None:
    path = write(tmp_path / "a.sql")
    os.utime(path, ns=(5, 123_456_789))
    expected = SourceFile(8, 123_456_789, hashlib.sha256(b"select 1").hexdigest())
    assert fingerprint(tmp_path, [tmp_path]) == {"a.sql": expected}


def test_keys_are_relative_below_the_root_and_absolute_elsewhere(tmp_path: Path) -> None:
    write(tmp_path / "root" / "in" / "a.sql")
    # Begins like the root, but does not lie below it.
    outside = write(tmp_path / "root_too" / "b.sql")
    found = fingerprint(tmp_path / "root", [Path("in"), Path("../root_too")])
    assert set(found) == {"in/a.sql", outside.as_posix()}


def test_overlapping_and_missing_folders(tmp_path: Path) -> None:
    write(tmp_path / "p" / "models" / "a.sql")
    folders = [Path("p"), Path("p/models"), Path("gone")]
    assert list(fingerprint(tmp_path, folders)) == ["p/models/a.sql"]


def test_a_file_of_recorded_size_and_mtime_is_not_read_again(tmp_path: Path) -> None:
    path = write(tmp_path / "a.sql")
    status = path.stat()
    recorded = {"a.sql": SourceFile(status.st_size, status.st_mtime_ns, "recorded")}
    assert fingerprint(tmp_path, [tmp_path], recorded) == recorded


@pytest.mark.parametrize(("size", "mtime"), [(1, 0), (0, 1)])
def test_a_file_of_another_size_or_mtime_is_read(tmp_path: Path, size: int, mtime: int) -> None:
    path = write(tmp_path / "a.sql")
    status = path.stat()
    recorded = SourceFile(status.st_size + size, status.st_mtime_ns + mtime, "recorded")
    found = fingerprint(tmp_path, [tmp_path], {"a.sql": recorded})
    assert found["a.sql"].sha256 == hashlib.sha256(b"select 1").hexdigest()


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    write(tmp_path / "shared" / "a.sql")
    project = tmp_path / "project"
    project.mkdir()
    (project / "shared").symlink_to(tmp_path / "shared")
    (project / "circle").symlink_to(project)
    (project / "gone.sql").symlink_to(tmp_path / "gone.sql")
    (project / "self.sql").symlink_to(project / "self.sql")
    assert list(fingerprint(tmp_path, [project])) == ["project/shared/a.sql"]


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.sql")
    assert fingerprint(tmp_path, [tmp_path]) == {}


def test_what_can_not_be_read_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.sql")
    with pytest.raises(SourceFileError, match=r"a\.sql can't be read: Not a directory"):
        fingerprint(tmp_path, [path])


def test_difference() -> None:
    previous = {
        "a.sql": SourceFile(1, 1, "a"),
        "b.sql": SourceFile(1, 1, "b"),
        "c.sql": SourceFile(1, 1, "c"),
    }
    current = {
        "a.sql": SourceFile(1, 1, "other"),
        "c.sql": SourceFile(1, 99, "c"),
        "d.sql": SourceFile(1, 1, "d"),
    }
    expected = ["changed a.sql", "removed b.sql", "added d.sql"]
    assert difference(previous, current) == expected
    assert difference(previous, previous) == []
