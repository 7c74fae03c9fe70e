"""What people write against the public names; `mypy --strict` finds nothing wrong with it.

Not run: tests/typing/test_public_types.py has mypy look at it, with the package as it is installed.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from dagster_transform import (
    Check,
    Node,
    Source,
    TransformComponent,
    TransformConfig,
    TransformError,
    TransformResource,
    TransformTranslator,
    build_check_jobs,
    build_dbt_assets,
    build_job_groups,
    build_pause_jobs,
    build_sqlmesh_assets,
    build_sqlmesh_jobs,
    build_transform_definitions,
    build_watching_sensors,
    claimed_file,
    load_config,
    select_nodes,
    transform_executor,
)


class Mine(TransformTranslator):
    def get_asset_key(self, node: Node | Source) -> dg.AssetKey:
        return super().get_asset_key(node).with_prefix("mine")

    def get_group_name(self, node: Node) -> str | None:
        return node.relation.schema or node.project

    def get_owners(self, node: Node) -> Sequence[str]:
        return [*super().get_owners(node), "team:data"]

    def get_tags(self, node: Node) -> Mapping[str, str]:
        return {**super().get_tags(node), "framework": node.framework}

    def get_metadata(self, node: Node) -> Mapping[str, Any]:
        return {**super().get_metadata(node), "cron": node.cron or "none"}

    def get_automation_condition(self, node: Node) -> dg.AutomationCondition[Any] | None:
        return dg.AutomationCondition.eager() if node.framework == "dbt" else None

    def get_check_name(self, check: Check) -> str:
        return f"{check.project}_{check.name}"


class MyTransform(TransformComponent):
    def get_asset_spec(self, node: Node) -> dg.AssetSpec:
        spec = super().get_asset_spec(node)
        return spec.merge_attributes(tags={"project": node.project})


@dg.component_instance
def load(context: dg.ComponentLoadContext) -> TransformComponent:
    config: TransformConfig = load_config(context.path / "transform.yaml")
    return TransformComponent(config=config, name="shop", executor=False)


@dg.asset(deps=[dg.AssetKey(["staging", "stg_flights"])])
def exported(context: dg.AssetExecutionContext) -> None:
    with claimed_file(context, "warehouse.duckdb") as path:
        file: Path = path
        context.log.info(str(file))


whole: dg.Definitions = build_transform_definitions(
    "transform.yaml", translator=Mine(Path.cwd()), executor=None, name="shop"
)
also_whole = build_transform_definitions(Path("transform.yaml"), executor=transform_executor())

groups = build_job_groups("transform.yaml")
checks = build_check_jobs(load_config())
selection: dg.AssetSelection = select_nodes("tag:marts+", "transform.yaml")
job = dg.define_asset_job("marts", selection - select_nodes("project:staging"))

by_hand = dg.Definitions(
    assets=[
        build_dbt_assets("staging", translator=Mine()),
        build_sqlmesh_assets("marts", "transform.yaml"),
        exported,
    ],
    jobs=[job, *build_sqlmesh_jobs("marts"), *build_pause_jobs(), *(groups.jobs or ())],
    schedules=[
        dg.ScheduleDefinition(job=job, cron_schedule="@daily"),
        *(checks.schedules or ()),
    ],
    sensors=build_watching_sensors(),
    resources={"transform": TransformResource(max_concurrent_models=4, retries=2)},
    executor=transform_executor(),
)


def why(path: str) -> str | None:
    try:
        load_config(path)
    except TransformError as error:
        return f"{error.cause} {error.remedy or ''}"
    return None
