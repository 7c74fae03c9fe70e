"""The names that dbt users keep: real manifests against the rules of dagster-dbt.

dagster-dbt can't be installed beside SQLMesh, so its rules stand here a second time, written from
its documentation and behaviour (0.29), over the raw manifest. What we do otherwise is listed: a
difference that is not in a list fails. The golden files show the whole of what Dagster gets.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import textwrap
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagster_transform.config import DbtProject
from dagster_transform.dbt.files.artifacts import Artifacts, ParseRecord
from dagster_transform.dbt.files.load import load_manifest
from dagster_transform.dbt.files.manifest import read_manifest
from dagster_transform.graph.graph_json import encode_graph
from tests.support.dbt_parity import (
    GOLDEN_FOLDER,
    PROJECTS,
    Prepared,
    attached,
    checks_there,
    key,
    prepare,
    resource,
    settings,
    upstream,
)

_prepared: dict[str, Prepared] = {}


@pytest.fixture(params=PROJECTS)
def prepared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    name = request.param
    if name not in _prepared:  # a real parse takes seconds
        root = tmp_path_factory.mktemp(f"parity_{name}").resolve()
        _prepared[name] = prepare(name, root)
    return _prepared[name]


# -- the rows of the table -----------------------------------------------------------------------


def test_row_assets(prepared: Prepared) -> None:
    assert set(prepared.specs) == set(prepared.built)


def test_row_asset_key(prepared: Prepared) -> None:
    found = {unique_id: list(spec.key.path) for unique_id, spec in prepared.specs.items()}
    assert found == {unique_id: key(node) for unique_id, node in prepared.built.items()}


def test_row_group(prepared: Prepared) -> None:
    assert {u: spec.group_name for u, spec in prepared.specs.items()} == {
        u: settings(node).get("group") or node["config"].get("group") or "default"
        for u, node in prepared.built.items()
    }


def test_row_description(prepared: Prepared) -> None:
    for unique_id, node in prepared.built.items():
        code = textwrap.indent(node.get("raw_code") or "", "    ")
        text = node["description"] or f"dbt {node['resource_type']} {node['name']}"
        expected = f"{text}\n\n#### Raw SQL:\n```sql\n{code}\n```"
        assert prepared.specs[unique_id].description == expected


def test_row_code_version(prepared: Prepared) -> None:
    for unique_id, node in prepared.built.items():
        code = node.get("raw_code")
        expected = hashlib.sha1(code.encode()).hexdigest() if code else node["checksum"]["checksum"]
        assert expected
        assert prepared.specs[unique_id].code_version == expected


def test_row_owners(prepared: Prepared) -> None:
    groups = {group["name"]: group for group in prepared.manifest["groups"].values()}
    for unique_id, node in prepared.built.items():
        email = groups.get(node.get("group"), {}).get("owner", {}).get("email") or []
        expected = settings(node).get("owners") or ([email] if isinstance(email, str) else email)
        assert list(prepared.specs[unique_id].owners) == list(expected)


def test_row_tags_and_kinds(prepared: Prepared) -> None:
    for unique_id, node in prepared.built.items():
        spec = prepared.specs[unique_id]
        kinds = {"dagster/kind/dbt": "", f"dagster/kind/{adapter(prepared)}": ""}
        valid = {tag: "" for tag in node["tags"] if tag != "not a key!"}
        assert dict(spec.tags) == {**valid, **kinds}
        assert spec.kinds == {"dbt", adapter(prepared)}


def adapter(prepared: Prepared) -> str:
    return str(prepared.manifest["metadata"]["adapter_type"])


def test_row_deps(prepared: Prepared) -> None:
    for unique_id in prepared.built:
        above = upstream(prepared.manifest, unique_id)
        expected = {tuple(key(resource(prepared.manifest, each))) for each in above}
        found = [tuple(dep.asset_key.path) for dep in prepared.specs[unique_id].deps]
        assert set(found) == expected
        assert len(found) == len(expected)


# Dagster's own successors of AutoMaterializePolicy.eager() and .lazy(), which it has deprecated.
AUTOMATION = {
    "eager": dg.AutomationCondition.eager(),
    None: None,
}


def test_row_automation(prepared: Prepared) -> None:
    for unique_id, node in prepared.built.items():
        kind = (settings(node).get("auto_materialize_policy") or {}).get("type")
        found = prepared.specs[unique_id].automation_condition
        if kind == "lazy":
            assert type(found).__name__ == "AnyDownstreamConditionsCondition"
        else:
            assert found == AUTOMATION[kind]


def test_row_definition_metadata(prepared: Prepared) -> None:
    for unique_id, node in prepared.built.items():
        found = dict(prepared.specs[unique_id].metadata)
        assert found["dagster_dbt/unique_id"] == unique_id
        assert found["dagster-dbt/materialization_type"] == node["config"]["materialized"]
        table = ".".join((node["database"], node["schema"], node["alias"]))
        assert found["dagster/table_name"] == table
        assert found["dagster/storage_kind"] == adapter(prepared)
        schema = found.pop("dagster/column_schema", None) or dg.TableSchema([])
        assert [column_facts(column) for column in schema.columns] == [
            (c["name"], c["data_type"] or "?", c["description"] or None, c["tags"])
            for c in node["columns"].values()
        ]
        (reference,) = found["dagster/code_references"].code_references
        assert Path(reference.file_path).is_file()
        assert reference.file_path.endswith(node["original_file_path"])
        ours = {k for k in found if k.startswith("dagster_transform/")}
        assert set(found) - ours == {
            "dagster_dbt/unique_id", "dagster-dbt/materialization_type", "dagster/table_name",
            "dagster/storage_kind", "dagster/code_references",
        }  # fmt: skip


def column_facts(column: dg.TableColumn) -> tuple[str, str, str | None, list[str]]:
    return column.name, column.type, column.description, list(column.tags)


# What dagster-dbt makes no check of: by project, the check and the asset that it is on here.
BEYOND = {
    "shop": {"stats/order_days:orders_add_up"},  # singular, several parents
    # Of ephemeral models, one of which reads nothing.
    "history": {"people:unique_clean_people_id", "events:not_null_one_n"},
    "web": {
        "page_days:nothing",  # it refers to nothing
        "page_days:pages_have_visits",
        "page_days:visits_are_counted",  # a unit test
        "visits:freshness",  # freshness.build_after of the model
        # On sources.
        "web/pages:source_relationships_tracker_pages_id__id__source_tracker_visits_",
        "web/pages:sources_agree",
        "tracker/unread:freshness",
        "tracker/visits:freshness",
        "tracker/visits:source_unique_tracker_visits_id",
    },
    "old": {
        "price_history:positive",
        "shop/prices:halves",
        "till/its_prices:freshness",
        "till/its_prices:source_not_null_till_prices_id",
    },
}


def test_row_check_name_and_asset(prepared: Prepared) -> None:
    expected = {
        unique_id: (test["name"], key(prepared.built[str(attached(prepared.manifest, test))]))
        for unique_id, test in checks_there(prepared).items()
    }
    found = {u: (spec.name, list(spec.asset_key.path)) for u, spec in prepared.checks.items()}
    assert {u: found[u] for u in expected} == expected
    beyond = {u: s for u, s in prepared.checks.items() if u not in expected}
    shown = {f"{spec.asset_key.to_user_string()}:{spec.name}" for spec in beyond.values()}
    assert shown == BEYOND.get(prepared.name, set())
    assert len(shown) == len(beyond)


def test_row_no_test_is_lost(prepared: Prepared) -> None:
    references = {check.reference for check in prepared.graph.checks.values()}
    tests = {u: t for u, t in prepared.manifest["nodes"].items() if t["resource_type"] == "test"}
    tests |= prepared.manifest["unit_tests"]
    assert tests.keys() <= references


def test_row_check_blocking_and_description(prepared: Prepared) -> None:
    for unique_id, test in checks_there(prepared).items():
        spec = prepared.checks[unique_id]
        assert spec.blocking == (test["config"]["severity"].lower() == "error")
        # Where dagster-dbt has none, the test's own; else its call, or its SQL.
        generic = bool(test.get("test_metadata"))
        own = test["meta"].get("description") or test["description"]
        expected = own or ("dbt test " if generic else "#### Raw SQL:\n```sql\n")
        assert (spec.description or "").startswith(expected)
        assert ("#### Raw SQL:" in (spec.description or "")) is not generic
        assert spec.metadata["dagster_dbt/unique_id"] == unique_id
    assert all(
        spec.blocking == unique_id.startswith("unit_test.")
        for unique_id, spec in prepared.checks.items()
        if not unique_id.startswith("test.")
    )


def test_row_check_additional_deps(prepared: Prepared) -> None:
    for unique_id, test in checks_there(prepared).items():
        spec = prepared.checks[unique_id]
        expected = {
            tuple(key(resource(prepared.manifest, each)))
            for each in upstream(prepared.manifest, unique_id)
        } - {tuple(spec.asset_key.path)}
        assert {tuple(dep.asset_key.path) for dep in spec.additional_deps} == expected
        assert test["name"] == spec.name


# -- the whole of it -----------------------------------------------------------------------------


def plain(value: Any) -> Any:
    if isinstance(value, dg.TableSchema):
        return [
            [
                c.name,
                c.type,
                c.description,
                dict(c.tags),
                {"nullable": c.constraints.nullable, "unique": c.constraints.unique},
                list(c.constraints.other),
            ]
            for c in value.columns
        ]
    if isinstance(value, dg.CodeReferencesMetadataValue):
        return [f"{r.file_path}:{r.line_number}" for r in value.code_references]  # type: ignore[union-attr]
    return value.value if isinstance(value, dg.MetadataValue) else value


def shown(assets: dg.AssetsDefinition) -> dict[str, Any]:
    """Everything that a user of Dagster sees, as plain data."""
    return {
        spec.key.to_user_string(): {
            "automation": type(spec.automation_condition).__name__,
            "checks": {
                check.name: {
                    "also": sorted(dep.asset_key.to_user_string() for dep in check.additional_deps),
                    "blocking": check.blocking,
                    "description": check.description,
                    "metadata": dict(check.metadata),
                }
                for check in assets.check_specs
                if check.asset_key == spec.key
            },
            "code_version": spec.code_version,
            "deps": sorted(dep.asset_key.to_user_string() for dep in spec.deps),
            "description": (spec.description or "").splitlines(),
            "group": spec.group_name,
            "metadata": {name: plain(value) for name, value in spec.metadata.items()},
            "owners": list(spec.owners),
            "tags": dict(spec.tags),
        }
        for spec in assets.specs
    }


def test_the_whole_is_the_golden_one(prepared: Prepared) -> None:
    whole = {"dagster": shown(prepared.assets), "graph": encode_graph(prepared.graph)}
    text = json.dumps(whole, indent=1, sort_keys=True).replace(str(prepared.root), "<root>") + "\n"
    golden = GOLDEN_FOLDER / "dbt" / f"{prepared.name}.json"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("version", ["1_9", "1_10"])
def test_manifests_of_older_versions_say_the_same(version: str, tmp_path: Path) -> None:
    """The project `old` as dbt-core 1.9 and 1.10 parsed it, and as this one does."""
    now = _prepared.get("old") or prepare("old", (tmp_path / "now").resolve())
    then = Artifacts("old", tmp_path)
    shutil.copy(GOLDEN_FOLDER / "dbt_versions" / f"manifest_{version}.json", then.manifest)
    folder = now.root / "old"
    record = ParseRecord(
        dbt=version, adapter=version, threads=2, packages={"old": str(folder)},
        connection={"type": "duckdb", "path": "warehouse.duckdb"},
    )  # fmt: skip
    manifest = read_manifest(then)
    project = DbtProject(framework="dbt", path=folder)
    found = load_manifest(manifest, record, project, root=now.root, sources={})
    assert found.graph == now.graph
    assert json.loads(then.manifest.read_bytes())["metadata"]["dbt_version"].startswith(
        version.replace("_", ".")
    )
