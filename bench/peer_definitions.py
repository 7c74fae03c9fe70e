"""What Dagster loads of each peer: as its own documentation has it, on a project of ours."""

from __future__ import annotations

DAGSTER_SQLMESH = """\
from pathlib import Path

import dagster as dg
from dagster_sqlmesh import SQLMeshContextConfig, SQLMeshResource, sqlmesh_assets

config = SQLMeshContextConfig(path=str(Path(__file__).parent / "project"), gateway="local")


@sqlmesh_assets(environment="prod", config=config, enabled_subsetting=True)
def project(context: dg.AssetExecutionContext, sqlmesh: SQLMeshResource):
    yield from sqlmesh.run(context, config=config, environment="prod")


defs = dg.Definitions(assets=[project], resources={"sqlmesh": SQLMeshResource()})
"""

DG_SQLMESH = """\
from pathlib import Path

from dg_sqlmesh import sqlmesh_definitions_factory

defs = sqlmesh_definitions_factory(
    project_dir=str(Path(__file__).parent / "project"), gateway="local", environment="prod"
)
"""

DAGSTER_DBT = """\
from pathlib import Path

import dagster as dg
from dagster_dbt import DbtCliResource, DbtProject, dbt_assets

folder = Path(__file__).parent / "project"
project = DbtProject(folder, profiles_dir=folder)


@dbt_assets(manifest=project.manifest_path)
def models(context: dg.AssetExecutionContext, dbt: DbtCliResource):
    yield from dbt.cli(["build"], context=context).stream()


defs = dg.Definitions(assets=[models], resources={"dbt": DbtCliResource(project_dir=project)})
"""
