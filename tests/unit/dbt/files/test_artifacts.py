from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dagster_transform.dbt.errors import ManifestError
from dagster_transform.dbt.files.artifacts import Artifacts, ParseRecord
from dagster_transform.graph import fingerprint


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    (tmp_path / "kept").mkdir()
    return Artifacts("shop", tmp_path / "kept")


def record(**fields: Any) -> ParseRecord:
    given = {"dbt": "1.11", "adapter": "1.11", "connection": {"type": "duckdb"}, "threads": 4,
             "packages": {"p": "/p"}}  # fmt: skip
    return ParseRecord(**{**given, **fields})


def test_a_record_comes_back_as_it_was(artifacts: Artifacts, tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("select 1")
    kept = record(files=fingerprint(tmp_path, [tmp_path]))
    artifacts.write_record(kept)
    assert artifacts.read_record() == kept
    assert kept.adapter_type == "duckdb"
    assert [path.name for path in artifacts.folder.iterdir()] == ["parsed.json"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": {"a": 5}}', '{"files": {}, "x": 1}'])
def test_a_record_that_is_damaged(artifacts: Artifacts, text: str) -> None:
    (artifacts.folder / "parsed.json").write_text(text)
    with pytest.raises(ManifestError, match=r"parsed\.json is damaged"):
        artifacts.read_record()


def test_a_record_that_is_missing(artifacts: Artifacts) -> None:
    with pytest.raises(ManifestError, match=r"parsed\.json was never parsed"):
        artifacts.read_record()


def test_a_manifest_that_is_older_than_the_projects_files(
    artifacts: Artifacts, tmp_path: Path
) -> None:
    folder = tmp_path / "dbt"
    folder.mkdir()
    (folder / "a.sql").write_text("select 1")
    artifacts.write_record(record(files=fingerprint(tmp_path, [folder])))
    artifacts.require_current(tmp_path, folder)
    (folder / "a.sql").write_text("select 2")
    (folder / "b.sql").write_text("select 2")
    with pytest.raises(ManifestError) as raised:
        artifacts.require_current(tmp_path, folder)
    assert "is older than the project's files: changed dbt/a.sql, added dbt/b.sql" in str(
        raised.value
    )
    assert "dagster-transform prepare --project shop" in str(raised.value)


def test_dbts_artifacts_are_replaced_as_a_whole_or_not_at_all(artifacts: Artifacts) -> None:
    artifacts.manifest.write_text("old")

    def fail() -> None:
        with artifacts.replaced() as folder:
            (folder / "manifest.json").write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert artifacts.manifest.read_text() == "old"
    with artifacts.replaced() as folder:
        (folder / "manifest.json").write_text("new")
        (folder / "partial_parse.msgpack").write_text("new")
        (folder / "perf_info.json").write_text("not kept")
        assert artifacts.manifest.read_text() == "old"
    assert artifacts.manifest.read_text() == artifacts.partial_parse.read_text() == "new"
    names = sorted(path.name for path in artifacts.folder.iterdir())
    assert names == ["manifest.json", "partial_parse.msgpack"]
