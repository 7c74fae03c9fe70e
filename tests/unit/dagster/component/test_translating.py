"""How the component's translation becomes what Dagster shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagster_transform.dagster._compat_components import AssetAttributesModel, TranslationFnResolver
from dagster_transform.dagster.component.templates import in_templates
from dagster_transform.dagster.component.translator import ComponentTranslator, base_spec
from dagster_transform.dagster.definitions.errors import TranslationError
from dagster_transform.dagster.translation.specs import Translation, translate
from dagster_transform.dagster.translation.translator import TransformTranslator
from dagster_transform.graph import Check, Graph, Location, Node, Relation, Source
from tests.support.sqlmesh_nodes import node

ROOT = Path("/transform")
A = node(
    "marts.delays",
    deps=('p:"db"."raw"."flights"',),
    cron="0 6 * * *",
    tags=("nightly", "two words", "dagster:group_name:my_group"),
    owners=("ana@example.com",),
    description="Delay of each flight.",
    code_version="12345",
    location=Location("models/delays.sql", 3),
    properties={"dialect": "duckdb", "raw_code": "SELECT 1"},
)
B = node("marts.below", deps=(A.id,))
SOURCE = Source(
    'p:"db"."raw"."flights"', "p", '"db"."raw"."flights"', "raw.flights",
    Relation("duckdb:/w", "db", "raw", "flights"),
)  # fmt: skip
CHECK = Check(f"{A.id}:not_null", "p", "not_null", A.id)
GRAPH = Graph.of([A, B], [SOURCE], [CHECK])


def attributes(**said: Any) -> Callable[[Node], dg.AssetSpec]:
    """What the attribute `translation` makes of each node."""
    resolver = TranslationFnResolver[Node](lambda node: {"node": in_templates(node)})
    # Without `{{ dg... }}`, which Dagster has since 1.12.
    context = dg.ResolutionContext.default().with_scope(
        eager=dg.AutomationCondition.eager(), daily=dg.DailyPartitionsDefinition("2024-01-01")
    )
    translated = resolver.fn.callable(context, AssetAttributesModel(**said))
    return lambda node: translated(base_spec(node, ROOT), node)


def made(spec_of: Callable[[Node], dg.AssetSpec]) -> Translation:
    return translate(GRAPH, ComponentTranslator(ROOT, spec_of))


def specs(found: Translation) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in found.specs.values()}


def test_without_a_change_all_is_as_everywhere() -> None:
    ours = made(lambda node: base_spec(node, ROOT))
    plain = translate(GRAPH, TransformTranslator(ROOT))
    assert ours.specs == plain.specs
    assert ours.check_specs == plain.check_specs
    assert ours.keys == plain.keys


def test_templates_see_the_node_and_what_is_there_without() -> None:
    found = made(
        attributes(
            key="{{ node.project }}/{{ node.schema }}/{{ node.table }}",
            group_name="{{ node.framework }}_{{ node.schema }}",
            description="{{ node.name }}: {{ node.properties.dialect or 'none' }}",
            tags={"cron": "{{ 'yes' if node.cron else 'no' }}"},
            metadata={"file": "{{ node.path }}", "was": "{{ spec.key.path | join('.') }}"},
            owners=["team:{{ node.project }}"],
            kinds=["table"],
            code_version="{{ node.kind }}",
            automation_condition="{{ eager if node.cron else none }}",
        )
    )
    spec = specs(found)["p/marts/delays"]
    assert spec.group_name == "sqlmesh_marts"
    assert spec.description == "marts.delays: duckdb"
    assert spec.owners == ["team:p"]
    assert spec.kinds == {"table"}
    assert spec.code_version == A.kind
    assert spec.automation_condition == dg.AutomationCondition.eager()
    assert spec.metadata["file"] == "models/delays.sql"
    assert spec.metadata["was"] == "db.marts.delays"
    assert "dagster-sqlmesh/cron" in spec.metadata, "metadata is added to what is there"
    tags = {key: value for key, value in spec.tags.items() if not key.startswith("dagster/kind/")}
    assert tags == {"nightly": "", "two_words": "", "cron": "yes"}


def test_keys_hold_for_what_reads_the_node_and_for_its_checks() -> None:
    found = made(attributes(key_prefix="shop"))
    below = specs(found)["shop/db/marts/below"]
    assert [dep.asset_key for dep in below.deps] == [dg.AssetKey(["shop", "db", "marts", "delays"])]
    (check,) = found.check_specs.values()
    assert check.asset_key == dg.AssetKey(["shop", "db", "marts", "delays"])
    above = specs(found)["shop/db/marts/delays"]
    assert [dep.asset_key for dep in above.deps] == [dg.AssetKey(["db", "raw", "flights"])], (
        "sources are assets of somebody else"
    )


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"deps": ["other"]}, "the projects' files say what a node reads"),
        (
            {"partitions_def": "{{ daily }}"},
            "runs build what is due, without partitions",
        ),
    ],
)
def test_what_it_can_not_decide_is_refused(said: dict[str, Any], why: str) -> None:
    (name,) = said
    with pytest.raises(TranslationError, match=f"`{name}` can't be set") as caught:
        made(attributes(**said))
    assert why in str(caught.value)
    assert "as `translation` or `get_asset_spec` of the component says" in str(caught.value)


def test_a_template_that_fails_names_the_node_and_what_is_wrong() -> None:
    with pytest.raises(TranslationError, match=r"p:marts\.below can't be shown") as caught:
        made(attributes(group_name="{{ node.nope.x }}"))
    assert "nope" in str(caught.value)


def test_each_node_is_asked_for_once() -> None:
    asked: list[str] = []

    def spec_of(node: Node) -> dg.AssetSpec:
        asked.append(node.name)
        return base_spec(node, ROOT)

    made(spec_of)
    assert sorted(asked) == ["marts.below", "marts.delays"]
