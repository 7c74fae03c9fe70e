"""Dagster's side: the only place that imports dagster."""

from __future__ import annotations

from dagster_transform.dagster.definitions.assets import build_transform_assets
from dagster_transform.dagster.definitions.build import (
    build_transform_definitions,
    transform_executor,
)
from dagster_transform.dagster.definitions.by_hand import (
    build_check_jobs,
    build_dbt_assets,
    build_job_groups,
    build_pause_jobs,
    build_sqlmesh_assets,
    build_watching_sensors,
    select_nodes,
)
from dagster_transform.dagster.execution.claimed_file import claimed_file
from dagster_transform.dagster.execution.run_options import TransformResource
from dagster_transform.dagster.jobs.build import build_sqlmesh_jobs
from dagster_transform.dagster.translation.translator import TransformTranslator

__all__ = [
    "TransformResource",
    "TransformTranslator",
    "build_check_jobs",
    "build_dbt_assets",
    "build_job_groups",
    "build_pause_jobs",
    "build_sqlmesh_assets",
    "build_sqlmesh_jobs",
    "build_transform_assets",
    "build_transform_definitions",
    "build_watching_sensors",
    "claimed_file",
    "select_nodes",
    "transform_executor",
]
