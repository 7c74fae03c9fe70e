"""Real manifests, prepared, and the rules of dagster-dbt written down once more."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from dagster_transform import TransformTranslator, load_config
from dagster_transform.config import DbtProject
from dagster_transform.dagster.definitions.assets import build_transform_assets
from dagster_transform.dbt import install_packages, read_project
from dagster_transform.graph import Graph
from tests.support.folders import GOLDEN_FOLDER

PROJECTS = ("shop", "packages", "history", "web", "old")
Manifest = dict[str, Any]


@dataclass(frozen=True)
class Prepared:
    """A project of tests/golden/dbt, parsed by the real dbt."""

    name: str
    root: Path
    graph: Graph

    @cached_property
    def manifest(self) -> Manifest:
        path = self.root / ".dagster_transform" / self.name / "manifest.json"
        found: Manifest = json.loads(path.read_bytes())
        return found

    @cached_property
    def assets(self) -> dg.AssetsDefinition:
        file = self.root / "transform.yaml"
        file.write_text(f"projects: {{{self.name}: {{framework: dbt, path: {self.name}}}}}")
        translator = TransformTranslator(self.root)
        return build_transform_assets(self.graph, load_config(file), translator=translator)

    @cached_property
    def specs(self) -> Mapping[str, dg.AssetSpec]:
        """Specs by unique id."""
        return {spec.metadata["dagster_dbt/unique_id"]: spec for spec in self.assets.specs}

    @cached_property
    def checks(self) -> Mapping[str, dg.AssetCheckSpec]:
        """Check specs by unique id."""
        return {s.metadata["dagster_dbt/unique_id"]: s for s in self.assets.check_specs}

    @property
    def built(self) -> Mapping[str, Any]:
        """What dagster-dbt makes assets of, as the manifest has it."""
        return {
            unique_id: node
            for unique_id, node in self.manifest["nodes"].items()
            if node["resource_type"] in ("model", "seed", "snapshot") and not ephemeral(node)
        }


def prepare(name: str, root: Path) -> Prepared:
    folder = root / name
    shutil.copytree(GOLDEN_FOLDER / "dbt" / name, folder)
    output = {"type": "duckdb", "path": "warehouse.duckdb", "schema": "main", "threads": 2}
    profiles = {"test": {"target": "test", "outputs": {"test": output}}}
    (folder / "profiles.yml").write_text(yaml.safe_dump(profiles))
    project = DbtProject(framework="dbt", path=folder)
    artifacts = root / ".dagster_transform" / name
    install_packages(name, project, artifacts=artifacts)
    found = read_project(name, project, root=root, artifacts=artifacts, sources={})
    return Prepared(name, root, found.graph)


# -- dagster-dbt's rules -------------------------------------------------------------------------


def ephemeral(node: Any) -> bool:
    return bool(node["config"].get("materialized") == "ephemeral")


def resource(manifest: Manifest, unique_id: str) -> Any:
    parts = ("nodes", "sources", "functions", "semantic_models", "metrics", "saved_queries")
    return next(manifest[p][unique_id] for p in parts if unique_id in manifest.get(p, {}))


def key(node: Any) -> list[str]:
    meta = node.get("config", {}).get("meta") or node.get("meta") or {}
    custom = meta.get("dagster", {}).get("asset_key")
    if custom:
        return [custom] if isinstance(custom, str) else list(custom)
    if node["resource_type"] == "source":
        return [node["source_name"], node["name"]]
    if node.get("version"):
        return [node["alias"]]
    schema = node["config"].get("schema")
    return [node["name"]] if schema is None else [schema, node["name"]]


def settings(node: Any) -> Any:
    return (node.get("meta") or {}).get("dagster") or {}


def upstream(manifest: Manifest, unique_id: str) -> set[str]:
    found: set[str] = set()
    queue = list(resource(manifest, unique_id).get("depends_on", {}).get("nodes", []))
    while queue:
        above = resource(manifest, parent := queue.pop())
        kind = above["resource_type"]
        if kind == "source" or (kind in ("model", "seed", "snapshot") and not ephemeral(above)):
            found.add(parent)
        else:
            queue += above.get("depends_on", {}).get("nodes", [])
    return found


def attached(manifest: Manifest, test: Any) -> str | None:
    target: str | None = test.get("attached_node")
    parents = set(test["depends_on"]["nodes"])
    if len(parents) == 1:
        (target,) = parents
    ref = settings(test).get("ref")
    if ref:
        wanted = (
            ref["name"],
            ref.get("package") or manifest["metadata"]["project_name"],
            ref.get("version"),
        )
        target = next(
            unique_id
            for unique_id, node in manifest["nodes"].items()
            if (node["name"], node["package_name"], node.get("version")) == wanted
        )
    return target


def checks_there(prepared: Prepared) -> dict[str, Any]:
    """The tests of which dagster-dbt makes checks, by unique id."""
    return {
        unique_id: test
        for unique_id, test in prepared.manifest["nodes"].items()
        if test["resource_type"] == "test" and attached(prepared.manifest, test) in prepared.built
    }
