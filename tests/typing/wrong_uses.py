"""What people might write and must not: mypy finds each, with the error that stands beside it."""

from __future__ import annotations

import dagster as dg

from dagster_transform import (
    Node,
    TransformComponent,
    TransformResource,
    TransformTranslator,
    build_dbt_assets,
    build_sqlmesh_assets,
    build_transform_definitions,
    load_config,
    select_nodes,
)


class Mine(TransformTranslator):
    def get_group_name(self, node: Node) -> int:  # wrong: override
        return 1

    def get_owner(self, node: Node) -> str:
        return str(super().get_owner(node))  # wrong: misc


class MyTransform(TransformComponent):
    def get_asset_spec(self, node: Node) -> dg.AssetKey:  # wrong: override
        return dg.AssetKey(node.nme)  # wrong: attr-defined


build_transform_definitions("transform.yaml", Mine())  # wrong: misc
build_transform_definitions("transform.yaml", translator=Mine)  # wrong: arg-type
build_transform_definitions({"projects": {}})  # wrong: arg-type
build_sqlmesh_assets()  # wrong: call-arg
build_dbt_assets("staging", select="tag:x")  # wrong: call-arg
assets: list[dg.AssetsDefinition] = build_sqlmesh_assets("marts")  # wrong: assignment
keys: list[dg.AssetKey] = select_nodes("tag:marts+")  # wrong: assignment
TransformResource(max_concurrent_models="four")  # wrong: arg-type
TransformComponent(config="transform.yaml")  # wrong: arg-type
load_config("transform.yaml").max_concurrent_model  # wrong: attr-defined


def a_name_that_there_is_not() -> None:
    from dagster_transform import build_nothing  # wrong: attr-defined

    build_nothing()
