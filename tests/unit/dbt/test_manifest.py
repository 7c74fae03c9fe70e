from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dagster_transform.dbt.files.artifacts import Artifacts, Facts
from dagster_transform.dbt.errors import ManifestError, UnknownNodeError
from dagster_transform.dbt.files.manifest import read_manifest
from dagster_transform.graph import fingerprint
from tests.support.folders import GOLDEN_FOLDER

VERSIONS = GOLDEN_FOLDER / "dbt_versions"
V12 = "https://schemas.getdbt.com/dbt/manifest/v12.json"


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    (tmp_path / "kept").mkdir()
    return Artifacts("shop", tmp_path / "kept")


def content(**parts: Any) -> dict[str, Any]:
    metadata = {"dbt_schema_version": V12, "project_name": "p", "adapter_type": "duckdb"}
    return {"metadata": metadata, "nodes": {}, "sources": {}, **parts}


def problem(artifacts: Artifacts) -> str:
    with pytest.raises(ManifestError) as raised:
        read_manifest(artifacts)
    assert str(artifacts.manifest) in raised.value.cause
    assert raised.value.remedy is not None
    assert "dagster-transform prepare --project shop" in raised.value.remedy
    return raised.value.cause


# -- bad input -----------------------------------------------------------------------------------


def test_a_missing_manifest(artifacts: Artifacts) -> None:
    assert "does not exist" in problem(artifacts)


def test_a_manifest_that_can_not_be_read(artifacts: Artifacts) -> None:
    artifacts.manifest.mkdir()
    assert "can't be read: Is a directory" in problem(artifacts)


def test_a_truncated_manifest(artifacts: Artifacts) -> None:
    whole = (VERSIONS / "manifest_1_10.json").read_bytes()
    artifacts.manifest.write_bytes(whole[: len(whole) // 2])
    assert "is truncated or damaged" in problem(artifacts)
    artifacts.manifest.write_bytes(b"\xff\xfe\x00")
    assert "is truncated or damaged" in problem(artifacts)


@pytest.mark.parametrize(
    "text", ["[]", "{}", '{"metadata": 5}', '{"metadata": {"dbt_schema_version": "catalog/v1"}}']
)
def test_what_is_no_manifest(artifacts: Artifacts, text: str) -> None:
    artifacts.manifest.write_text(text)
    assert "is not a manifest of dbt" in problem(artifacts)


def test_a_version_that_is_not_known(artifacts: Artifacts) -> None:
    made = content()
    made["metadata"] |= {"dbt_schema_version": V12.replace("12", "13"), "dbt_version": "9.9"}
    artifacts.manifest.write_text(json.dumps(made))
    assert "has schema version 13 (dbt 9.9); this dagster-transform reads 12" in problem(artifacts)


@pytest.mark.parametrize(
    "parts",
    [
        {"nodes": None},
        {"sources": []},
        {"nodes": {"model.p.a": {"unique_id": "model.p.b", "resource_type": "model"}}},
        {"nodes": {"model.p.a": "x"}},
        {"metadata": {"dbt_schema_version": V12}},
    ],
)
def test_a_damaged_manifest(artifacts: Artifacts, parts: dict[str, Any]) -> None:
    artifacts.manifest.write_text(json.dumps(content(**parts)))
    assert "is damaged" in problem(artifacts)


def test_an_id_that_is_not_in_the_manifest(artifacts: Artifacts) -> None:
    model = {"unique_id": "model.p.orders", "resource_type": "model"}
    artifacts.manifest.write_text(json.dumps(content(nodes={"model.p.orders": model})))
    manifest = read_manifest(artifacts)
    manifest.require(["model.p.orders"])
    with pytest.raises(UnknownNodeError) as raised:
        manifest.require(["model.p.orders", "model.p.order"])
    assert raised.value.unique_id == "model.p.order"
    assert "Project shop: its manifest has no 'model.p.order'." in str(raised.value)
    assert "Did you mean 'model.p.orders'?" in str(raised.value)
    assert "dagster-transform prepare --project shop" in str(raised.value)


# -- what is kept --------------------------------------------------------------------------------


def facts(**fields: Any) -> Facts:
    given = {"dbt": "1.11", "adapter": "1.11", "connection": {"type": "duckdb"}, "threads": 4,
             "packages": {"p": "/p"}}  # fmt: skip
    return Facts(**{**given, **fields})


def test_facts_come_back_as_they_were(artifacts: Artifacts, tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("select 1")
    kept = facts(files=fingerprint(tmp_path, [tmp_path]))
    artifacts.write_facts(kept)
    assert artifacts.read_facts() == kept
    assert kept.adapter_type == "duckdb"
    assert [path.name for path in artifacts.folder.iterdir()] == ["parsed.json"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": {"a": 5}}', '{"files": {}, "x": 1}'])
def test_facts_that_are_damaged(artifacts: Artifacts, text: str) -> None:
    (artifacts.folder / "parsed.json").write_text(text)
    with pytest.raises(ManifestError, match=r"parsed\.json is damaged"):
        artifacts.read_facts()


def test_facts_that_are_missing(artifacts: Artifacts) -> None:
    with pytest.raises(ManifestError, match=r"parsed\.json was never parsed"):
        artifacts.read_facts()


def test_a_manifest_that_is_older_than_the_projects_files(
    artifacts: Artifacts, tmp_path: Path
) -> None:
    folder = tmp_path / "dbt"
    folder.mkdir()
    (folder / "a.sql").write_text("select 1")
    artifacts.write_facts(facts(files=fingerprint(tmp_path, [folder])))
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
