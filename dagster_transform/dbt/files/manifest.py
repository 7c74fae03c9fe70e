"""manifest.json as a value: what dbt knows of a project, by unique id."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dagster_transform.dbt.errors import UnknownNodeError
from dagster_transform.dbt.files.artifacts import Artifacts
from dagster_transform.dbt.unique_ids import UniqueId
from dagster_transform.graph import InputId, node_id, source_id

Resource = Mapping[str, Any]
"""An entry of the manifest, as dbt wrote it."""

_VERSIONS = (12,)
_PREFIX, _SUFFIX = "https://schemas.getdbt.com/dbt/manifest/v", ".json"
_BUILT = frozenset({"model", "seed", "snapshot"})
_PASSED_THROUGH = ("exposures", "functions", "metrics", "saved_queries", "semantic_models")


@dataclass(frozen=True, slots=True)
class Manifest:
    """The parts of a manifest that matter here.

    Attributes:
        project: The project's name in transform.yaml.
        package: Its name in dbt_project.yml.
        adapter_type: The adapter that it was parsed for, such as `duckdb`.
        resources: All of the following by unique id: nodes, sources, unit tests, and what no run
            of ours builds (exposures, functions, metrics, saved queries, semantic models).
        groups: dbt's groups by unique id.
        selected: Unique ids of what transform.yaml selects; None: everything.
    """

    project: str
    package: str
    adapter_type: str
    resources: Mapping[UniqueId, Resource]
    groups: Mapping[str, Resource]
    selected: frozenset[str] | None = None

    def selects(self, resource: Resource) -> bool:
        """Whether transform.yaml does not leave it out."""
        return self.selected is None or resource["unique_id"] in self.selected

    def is_asset(self, resource: Resource) -> bool:
        """Whether a run of ours may build a relation of it."""
        return is_built(resource) and self.selects(resource)

    def of_type(self, *types: str) -> list[Resource]:
        """The resources of some types, by unique id."""
        return [found for found in self.resources.values() if found["resource_type"] in types]

    def get(self, unique_id: UniqueId) -> Resource:
        """A resource. Raises UnknownNodeError."""
        found = self.resources.get(unique_id)
        if found is None:
            raise UnknownNodeError(self.project, unique_id, self.resources)
        return found

    def input_id(self, unique_id: UniqueId) -> InputId:
        """The graph's id of a node, of a source, or of a node that is left out and read, which is
        a source here. Raises UnknownNodeError."""
        resource = self.get(unique_id)
        is_source = resource["resource_type"] == "source" or not self.selects(resource)
        return (source_id if is_source else node_id)(self.project, unique_id)

    def group_of(self, resource: Resource) -> Resource | None:
        """The dbt group that a resource is in: one of its package, else any of that name."""
        name = (resource.get("config") or {}).get("group")
        own = self.groups.get(f"group.{resource['package_name']}.{name}")
        named = [group for group in self.groups.values() if group["name"] == name]
        return own or (named[0] if named else None)

    def require(self, unique_ids: Iterable[UniqueId]) -> None:
        """Raises UnknownNodeError where one of the ids is not in the manifest."""
        for unique_id in unique_ids:
            self.get(unique_id)


def read_manifest(artifacts: Artifacts) -> Manifest:
    """The manifest that `prepare` keeps.

    Raises:
        ManifestError: It is missing, truncated, of a version that is not known, or no manifest.
            The remedy names the command that writes it anew.
    """
    try:
        content = artifacts.manifest.read_bytes()
    except FileNotFoundError:
        raise artifacts.unusable("does not exist") from None
    except OSError as error:
        raise artifacts.unusable(f"can't be read: {error.strerror or error}") from error
    try:
        raw = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise artifacts.unusable(f"is truncated or damaged: {error}") from None
    metadata = raw.get("metadata") if isinstance(raw, dict) else None
    if not isinstance(metadata, dict):
        metadata = {}
    schema = str(metadata.get("dbt_schema_version"))
    if not schema.startswith(_PREFIX):
        raise artifacts.unusable("is not a manifest of dbt: it says no schema version")
    version = schema.removeprefix(_PREFIX).removesuffix(_SUFFIX)
    if version not in map(str, _VERSIONS):
        known = " and ".join(map(str, _VERSIONS))
        raise artifacts.unusable(
            f"has schema version {version} (dbt {metadata.get('dbt_version')}); this"
            f" dagster-transform reads {known}"
        )
    try:
        return _manifest(artifacts.project, metadata, raw)
    except (KeyError, TypeError, AttributeError) as error:
        raise artifacts.unusable(f"is damaged: {error!r}") from error


def is_built(resource: Resource) -> bool:
    """Whether a run builds a relation of it: a model that is not ephemeral, a seed, a snapshot."""
    return resource["resource_type"] in _BUILT and materialization(resource) != "ephemeral"


def is_ephemeral(resource: Resource) -> bool:
    """Whether it is a model that whatever reads it has in its own code."""
    return resource["resource_type"] == "model" and materialization(resource) == "ephemeral"


def materialization(resource: Resource) -> str:
    """How a node is materialised, in dbt's word."""
    return str(resource["config"].get("materialized") or resource["resource_type"])


def parents(resource: Resource) -> list[UniqueId]:
    """The unique ids that a resource depends on, in dbt's order."""
    return list((resource.get("depends_on") or {}).get("nodes") or ())


def _manifest(project: str, metadata: Resource, raw: Resource) -> Manifest:
    found: dict[UniqueId, Resource] = {}
    for part in ("nodes", "sources", "unit_tests", *_PASSED_THROUGH):
        required = part in {"nodes", "sources"}
        for unique_id, resource in (raw[part] if required else raw.get(part) or {}).items():
            if resource["unique_id"] != unique_id:
                raise KeyError(unique_id)
            found[unique_id] = resource
    return Manifest(
        project=project,
        package=metadata["project_name"],
        adapter_type=metadata["adapter_type"],
        resources=dict(sorted(found.items())),
        groups=dict(raw.get("groups") or {}),
    )
