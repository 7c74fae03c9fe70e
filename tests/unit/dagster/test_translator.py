"""How nodes and checks look in Dagster; the whole of it is in golden/translation.json."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagster_transform import TransformTranslator, build_transform_assets, load_config
from dagster_transform.dagster.definitions.errors import DuplicateKeyError
from dagster_transform.dagster.translation.keys import keys_of
from dagster_transform.graph import Check, Column, Graph, Location, Node, Relation, Source
from tests.support.folders import GOLDEN_FOLDER
from tests.support.sqlmesh_nodes import node

GOLDEN = GOLDEN_FOLDER / "translation.json"
ROOT = Path("/transform")


RICH = node(
    "marts.delays",
    kind="INCREMENTAL_BY_TIME_RANGE",
    cron="0 6 * * *",
    time_zone="Europe/Zurich",
    deps=('p:"db"."raw"."flights"',),
    tags=("nightly", "two words", "dagster:group_name:my group", "dagster:owner:team:ops"),
    owners=("ana@example.com", "analytics"),
    description="Delay of each flight.",
    columns=(
        Column("id", "INT", "the flight", sources=((0, "number"),)),
        Column("delay", "", sources=((0, "arrival"), (0, "due"))),
        Column("one", "INT"),
    ),
    code_version="12345",
    location=Location("models/delays.sql", 3),
    properties={"dialect": "duckdb", "grains": "id", "raw_code": "SELECT id -- ```\nFROM f"},
)
PLAIN = node("marts.plain", deps=(RICH.id,))
CHECK = Check(
    f"{RICH.id}:not_null", "p", "not_null", RICH.id, reference="not_null", in_build=True,
    description="SQLMesh audit not_null(columns := (id))",
    properties={"columns": "(id)", "raw_code": "SELECT * FROM @this_model"},
)  # fmt: skip
WARNS = Check(f"{RICH.id}:small", "p", "small", RICH.id, blocking=False, also=(PLAIN.id,))
SOURCE = Source(
    'p:"db"."raw"."flights"', "p", '"db"."raw"."flights"', "raw.flights",
    Relation("duckdb:/w", "db", "raw", "flights"),
)  # fmt: skip
ON_SOURCE = Check(f"{SOURCE.id}:fresh", "p", "fresh", SOURCE.id)
GRAPH = Graph.of([RICH, PLAIN], [SOURCE], [CHECK, WARNS, ON_SOURCE])


def definitions(tmp_path: Path, translator: TransformTranslator) -> dg.AssetsDefinition:
    (tmp_path / "p").mkdir()
    text = "projects: {p: {framework: sqlmesh, path: p}}"
    (tmp_path / "transform.yaml").write_text(text, encoding="utf-8")
    return build_transform_assets(GRAPH, load_config(tmp_path), translator=translator)


def _plain(value: Any) -> Any:
    if isinstance(value, dg.TableSchema):
        return [[c.name, c.type, c.description] for c in value.columns]
    if isinstance(value, dg.TableColumnLineage):
        return {
            column: [f"{d.asset_key.to_user_string()}:{d.column_name}" for d in deps]
            for column, deps in value.deps_by_column.items()
        }
    if isinstance(value, dg.CodeReferencesMetadataValue):
        return [
            str(getattr(r, "file_path", r)) + f":{r.line_number}" for r in value.code_references
        ]
    return value.value if isinstance(value, dg.MetadataValue) else value


def shown(assets: dg.AssetsDefinition) -> dict[str, Any]:
    """Everything that a user sees, as plain data."""
    return {
        spec.key.to_user_string(): {
            "deps": sorted(d.asset_key.to_user_string() for d in spec.deps),
            "description": spec.description,
            "group": spec.group_name,
            "owners": list(spec.owners),
            "tags": dict(sorted(spec.tags.items())),
            "kinds": sorted(spec.kinds),
            "code_version": spec.code_version,
            "automation": repr(spec.automation_condition),
            "metadata": {key: _plain(value) for key, value in sorted(spec.metadata.items())},
            "checks": {
                check.name: {
                    "description": check.description,
                    "blocking": check.blocking,
                    "metadata": dict(check.metadata),
                    "also": sorted(d.asset_key.to_user_string() for d in check.additional_deps),
                }
                for check in assets.check_specs
                if check.asset_key == spec.key
            },
        }
        for spec in sorted(assets.specs, key=lambda s: s.key)
    }


def test_the_translation_is_the_golden_one(tmp_path: Path) -> None:
    found = json.dumps(shown(definitions(tmp_path, TransformTranslator(ROOT))), indent=2) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(found, encoding="utf-8")
    assert found == GOLDEN.read_text(encoding="utf-8")


def test_every_aspect_can_be_overridden(tmp_path: Path) -> None:
    class Mine(TransformTranslator):
        def get_asset_key(self, node: Node | Source) -> dg.AssetKey:
            return super().get_asset_key(node).with_prefix("mine")

        def get_group_name(self, node: Node) -> str:
            return "g"

        def get_description(self, node: Node) -> str:
            return "d"

        def get_tags(self, node: Node) -> dict[str, str]:
            return {"t": "1"}

        def get_owners(self, node: Node) -> list[str]:
            return ["team:me"]

        def get_kinds(self, node: Node) -> set[str]:
            return {"k"}

        def get_code_version(self, node: Node) -> str:
            return "v"

        def get_automation_condition(self, node: Node) -> dg.AutomationCondition[Any]:
            return dg.AutomationCondition.eager()

        def get_metadata(self, node: Node) -> dict[str, Any]:
            return {"m": 1}

        def get_column_lineage(
            self, node: Node, keys: Mapping[str, dg.AssetKey]
        ) -> dg.TableColumnLineage | None:
            found = super().get_column_lineage(node, keys)
            return found and dg.TableColumnLineage({"id": found.deps_by_column["id"]})

        def get_check_name(self, check: Check) -> str:
            return f"my_{check.name}"

        def get_check_description(self, check: Check) -> str:
            return "cd"

        def get_check_metadata(self, check: Check) -> dict[str, Any]:
            return {"cm": 2}

        def get_check_blocking(self, check: Check) -> bool:
            return False

    found = shown(definitions(tmp_path, Mine()))
    assert set(found) == {"mine/db/marts/delays", "mine/db/marts/plain"}
    asset = found["mine/db/marts/delays"]
    assert asset["deps"] == ["mine/db/raw/flights"]
    assert (asset["group"], asset["description"], asset["owners"]) == ("g", "d", ["team:me"])
    assert asset["tags"]["t"] == "1"
    lineage = {"id": ["mine/db/raw/flights:number"]}
    shown_too = "| column | computed from |\n| --- | --- |\n| id | mine/db/raw/flights.number |"
    metadata = {
        "m": 1,
        "dagster/column_lineage": lineage,
        "dagster_transform/computed_from": shown_too,
    }
    assert (asset["kinds"], asset["code_version"], asset["metadata"]) == (["k"], "v", metadata)
    assert "eager" in asset["automation"]
    assert set(asset["checks"]) == {"my_not_null", "my_small"}
    mine = asset["checks"]["my_not_null"]
    assert (mine["description"], mine["blocking"], mine["metadata"]) == ("cd", False, {"cm": 2})


@pytest.mark.parametrize(
    ("parts", "key"),
    [
        (("db", "s", "m"), ["db", "s", "m"]),
        (("s", "m"), ["s", "m"]),
        (("d.b", "my schema", 'quo"ted'), ["d.b", "my schema", 'quo"ted']),
    ],
)
def test_the_key_is_catalog_schema_and_model(parts: tuple[str, ...], key: list[str]) -> None:
    made = node("x.y", parts=parts, relation=Relation("c", None, "s", "m"))
    assert TransformTranslator().get_asset_key(made).path == key


def test_without_a_root_there_are_no_links_to_code() -> None:
    assert "dagster/code_references" not in TransformTranslator().get_metadata(RICH)


def test_every_check_is_there_also_those_on_sources(tmp_path: Path) -> None:
    names = {spec.name for spec in definitions(tmp_path, TransformTranslator()).check_specs}
    assert names == {"not_null", "small", "fresh"}


def test_columns_of_two_sources_with_one_key_are_named_once() -> None:
    columns = (Column("x", sources=((0, "a"), (1, "a"), (1, "b"))),)
    reader = node(deps=("p:one", "p:two"), columns=columns)
    key = dg.AssetKey("same")
    found = TransformTranslator().get_column_lineage(reader, {"p:one": key, "p:two": key})
    assert found is not None
    assert _plain(found) == {"x": ["same:a", "same:b"]}
    assert TransformTranslator().get_column_lineage(PLAIN, {}) is None


@pytest.mark.parametrize(
    ("fields", "group"),
    [
        ({}, "marts"),
        ({"group": "own"}, "own"),
        ({"group": "own", "tags": ("dagster:group_name:tagged",)}, "tagged"),
        ({"tags": ("dagster:group_name:",)}, "marts"),  # Dagster refuses an empty name
        ({"reference": '"m"'}, None),
    ],
)
def test_the_group_is_a_tags_or_the_nodes_or_the_schema(
    fields: dict[str, Any], group: str | None
) -> None:
    assert TransformTranslator().get_group_name(node(**fields)) == group


def test_owners_are_what_dagster_takes() -> None:
    given = ("ana@example.com", "data", "team:ops", " x@example.com ", "ü@example.com", "team:", "")
    tags = ("dagster:owner:data", "dagster:owner:", "dagster:owner:bo@example.com")
    owners = TransformTranslator().get_owners(node(owners=given, tags=tags))
    assert owners == [
        "ana@example.com", "team:data", "team:ops", "x@example.com", "team:ü@example.com",
        "bo@example.com",
    ]  # fmt: skip
    dg.AssetSpec("a", owners=owners)


def test_tags_fit_dagsters_alphabet() -> None:
    tags = TransformTranslator().get_tags(node(tags=("a:b c", "___", "x" * 80, "ümlaut")))
    assert tags == {"a_b_c": "", "x" * 63: "", "mlaut": ""}
    dg.AssetSpec("a", tags=tags)


def test_two_nodes_with_one_key_are_both_named() -> None:
    other = node(project="q", id="q:x", relation=Relation("elsewhere", "db", "marts", "delays"))
    graph = Graph.of([node(), other], [], [])
    with pytest.raises(DuplicateKeyError) as raised:
        keys_of(graph, TransformTranslator())
    text = str(raised.value)
    assert "p:marts.delays" in text
    assert "q:marts.delays" in text
    assert "db/marts/delays" in text
    assert "get_asset_key" in text
