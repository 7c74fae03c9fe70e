"""From a manifest and what else dbt said of its project to a graph file."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from dagster_transform.config import DbtProject
from dagster_transform.databases.identity import ConnectionIdentity
from dagster_transform.dbt.files.artifacts import ParseRecord
from dagster_transform.dbt.files.asset_keys import asset_key, name_of
from dagster_transform.dbt.files.checks import read_checks
from dagster_transform.dbt.files.crons import cron_of
from dagster_transform.dbt.files.lineage import Lineage
from dagster_transform.dbt.files.manifest import Manifest, Resource, is_built, materialization
from dagster_transform.dbt.files.meta import meta_error, meta_of
from dagster_transform.dbt.files.properties import properties_of
from dagster_transform.dbt.files.relations import connection_identity, relation_of
from dagster_transform.dbt.unique_ids import UniqueId
from dagster_transform.graph import (
    Column,
    Graph,
    GraphFile,
    Location,
    Node,
    Relation,
    Source,
    SourceFile,
    node_id,
    source_id,
)
from dagster_transform.planning import keyed_sources

_CHECKED_BY = frozenset({"test", "unit_test"})
_log = logging.getLogger("dagster_transform")


def load_manifest(
    manifest: Manifest,
    record: ParseRecord,
    project: DbtProject,
    *,
    root: Path,
    sources: Mapping[str, SourceFile],
) -> GraphFile:
    """The graph of a dbt project.

    Args:
        manifest: Its manifest.
        record: What else dbt said when it parsed the project.
        project: Its configuration.
        root: Folder of transform.yaml: locations below it are relative to it.
        sources: Fingerprint of the files, taken before they were parsed.

    Raises:
        NodeConfigError: What a node's meta says for Dagster or us can't be understood.
        UnknownNodeError: The manifest is not consistent.
        GraphError: Its nodes don't make a graph.
        SettingError: What its configuration says does not fit its files.
    """
    if record.selected is not None:
        manifest = replace(manifest, selected=frozenset(record.selected))
    reader = _Reader(manifest, record, project, root)
    graph = Graph.of(reader.nodes(), keyed_sources(reader.sources(), project))
    checks = read_checks(manifest, reader.lineage, graph, reader.locate)
    if checks.homeless:
        _log.warning(
            "Project %s has no model and no source that its tests could be shown on: %s",
            manifest.project,
            ", ".join(checks.homeless),
        )
    return GraphFile(
        graph=Graph.of(graph.nodes.values(), graph.sources.values(), checks.shown),
        project=manifest.project,
        written_by={
            "dagster-transform": version("dagster-transform"),
            "dbt-core": record.dbt,
            f"dbt-{record.adapter_type}": record.adapter,
        },
        settings=project.graph_settings(),
        sources_digest=sources,
    )


class _Reader:
    def __init__(
        self, manifest: Manifest, record: ParseRecord, project: DbtProject, root: Path
    ) -> None:
        self.lineage = Lineage(manifest)
        self._manifest = manifest
        self._record = record
        self._project = project
        self._root = root
        self._identities: dict[str | None, ConnectionIdentity] = {}

    def nodes(self) -> list[Node]:
        resources = self._manifest.resources.values()
        return [self._node(found) for found in resources if self._manifest.is_asset(found)]

    def sources(self) -> list[Source]:
        """Those of dbt, and the nodes that are left out and read."""
        manifest = self._manifest
        if manifest.selected is None:
            return [self._source(found) for found in manifest.of_type("source")]
        reading = [r for r in manifest.resources.values() if manifest.selects(r)]
        reading = [r for r in reading if is_built(r) or r["resource_type"] in _CHECKED_BY]
        read = {each for r in reading for each in self.lineage.reads(r["unique_id"])}
        chosen = filter(manifest.selects, manifest.of_type("source"))
        read |= {UniqueId(source["unique_id"]) for source in chosen}
        found = [manifest.get(unique_id) for unique_id in sorted(read)]
        return [self._source(resource) for resource in found if not manifest.is_asset(resource)]

    def locate(self, resource: Resource) -> Location | None:
        """Where a resource is written, as far as dbt says: the file."""
        return self._location(resource["package_name"], resource["original_file_path"])

    def _source(self, source: Resource) -> Source:
        prefix = self._project.key_prefix if is_built(source) else ()
        return Source(
            id=source_id(self._manifest.project, source["unique_id"]),
            project=self._manifest.project,
            reference=source["unique_id"],
            name=name_of(source),
            key=(*prefix, *asset_key(source)),
            relation=self._relation(source),
            description=source.get("description") or source.get("source_description") or None,
            columns=_columns(source),
        )

    def _node(self, node: Resource) -> Node:
        unique_id = UniqueId(node["unique_id"])
        read = self.lineage.reads(unique_id)
        above = dict.fromkeys((*read, *self.lineage.beyond(read)))
        relation = self._relation(node)
        cron, time_zone = cron_of(node, self._project.cron, self._project.time_zone)
        properties = properties_of(
            node,
            adapter=self._manifest.adapter_type,
            relation=relation,
            functions=self.lineage.functions(unique_id),
        )
        if patch := self._patch(node):
            properties["patch_path"] = patch.path
        return Node(
            id=node_id(self._manifest.project, unique_id),
            project=self._manifest.project,
            framework="dbt",
            reference=unique_id,
            name=name_of(node),
            key=(*self._project.key_prefix, *asset_key(node)),
            kind=materialization(node),
            relation=relation,
            deps=tuple(self._manifest.input_id(each) for each in above),
            cron=cron,
            time_zone=time_zone,
            interval_unit=_interval_unit(node),
            group=meta_of(node, "dagster").get("group") or node["config"].get("group"),
            tags=tuple(node.get("tags") or ()),
            owners=self._owners(node),
            description=node.get("description") or None,
            columns=_columns(node),
            code_version=_code_version(node),
            location=self.locate(node),
            properties=properties,
        )

    def _relation(self, resource: Resource) -> Relation:
        database = resource.get("database")
        if database not in self._identities:
            self._identities[database] = connection_identity(
                self._record.connection,
                folder=self._project.path,
                project=self._manifest.project,
                database=database,
            )
        return relation_of(resource, self._manifest.adapter_type, self._identities[database])

    def _owners(self, node: Resource) -> tuple[str, ...]:
        owners = meta_of(node, "dagster").get("owners")
        if not owners:
            group = self._manifest.group_of(node) or {}
            owners = (group.get("owner") or {}).get("email") or []
        found = [owners] if isinstance(owners, str) else owners
        if not isinstance(found, list) or not all(isinstance(owner, str) for owner in found):
            raise meta_error(node, "dagster.owners", owners, "a list of texts")
        return tuple(found)

    def _patch(self, node: Resource) -> Location | None:
        """The properties file; dbt writes `package://path`."""
        package, _, path = str(node.get("patch_path") or "").partition("://")
        return self._location(package, path) if path else None

    def _location(self, package: str, path: str) -> Location | None:
        folder = self._record.packages.get(package)
        if folder is None:
            return None
        # Not resolved: dbt_packages may link to a package, and people look for it there.
        found = Path(os.path.abspath(Path(folder) / path))
        below = found.is_relative_to(self._root)
        return Location(found.relative_to(self._root).as_posix() if below else str(found))


def _columns(resource: Resource) -> tuple[Column, ...]:
    return tuple(
        Column(column["name"], column.get("data_type") or "", column.get("description") or None)
        for column in (resource.get("columns") or {}).values()
    )


def _code_version(node: Resource) -> str | None:
    """SHA-1 of the code as written, else (a seed) dbt's own checksum."""
    code = node.get("raw_code")
    if code:
        return hashlib.sha1(code.encode("utf-8"), usedforsecurity=False).hexdigest()
    checksum = node.get("checksum") or {}
    return checksum.get("checksum") or None


def _interval_unit(node: Resource) -> str | None:
    config = node["config"]
    unit = config.get("batch_size")
    return str(unit) if unit and config.get("incremental_strategy") == "microbatch" else None
