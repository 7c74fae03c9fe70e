from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dagster_transform.dbt.errors import ManifestError, UnknownNodeError
from dagster_transform.dbt.files.artifacts import Artifacts
from dagster_transform.dbt.files.manifest import read_manifest
from dagster_transform.dbt.unique_ids import UniqueId
from dagster_transform.graph import node_id, source_id
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
    manifest.require([UniqueId("model.p.orders")])
    with pytest.raises(UnknownNodeError) as raised:
        manifest.require([UniqueId("model.p.orders"), UniqueId("model.p.order")])
    assert raised.value.unique_id == "model.p.order"
    assert "Project shop: its manifest has no 'model.p.order'." in str(raised.value)
    assert "Did you mean 'model.p.orders'?" in str(raised.value)
    assert "dagster-transform prepare --project shop" in str(raised.value)


def test_the_graphs_id_says_whether_it_is_a_node_or_a_source(artifacts: Artifacts) -> None:
    nodes = {"model.p.a": {"unique_id": "model.p.a", "resource_type": "model"}}
    sources = {"source.p.s.t": {"unique_id": "source.p.s.t", "resource_type": "source"}}
    artifacts.manifest.write_text(json.dumps(content(nodes=nodes, sources=sources)))
    manifest = read_manifest(artifacts)
    assert manifest.input_id(UniqueId("model.p.a")) == node_id("shop", "model.p.a")
    assert manifest.input_id(UniqueId("source.p.s.t")) == source_id("shop", "source.p.s.t")
    with pytest.raises(UnknownNodeError):
        manifest.input_id(UniqueId("model.p.b"))
