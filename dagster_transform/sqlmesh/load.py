"""From the files of a SQLMesh project, and what its state knows of them, to a graph file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sqlglot import exp
from sqlmesh.core.environment import EnvironmentNamingInfo
from sqlmesh.core.model import Model

from dagster_transform.config import SqlmeshProject
from dagster_transform.graph import (
    Check,
    Column,
    Graph,
    GraphFile,
    Location,
    Node,
    Presence,
    Source,
    SourceFile,
)
from dagster_transform.sqlmesh import _compat, names
from dagster_transform.sqlmesh.project import clear_errors, open_context


def load_project(
    name: str,
    project: SqlmeshProject,
    paths: list[str],
    *,
    root: Path,
    sources: Mapping[str, SourceFile],
) -> GraphFile:
    """Read a project.

    Args:
        name: Its name in transform.yaml.
        project: Its configuration.
        paths: Its folders, resolved.
        root: Folder of transform.yaml: locations below it are relative to it.
        sources: Fingerprint of the files, taken before they are read.

    Raises:
        SqlmeshError: The project can't be loaded, or its database can't be reached.
        GraphError: Its models don't make a graph (a cycle).
    """
    context = open_context(name, project, paths, load=True)
    try:
        with clear_errors(name, paths):
            return _Reader(name, context, root).read(project.environment, sources)
    finally:
        _compat.close_connections(context)


class _Reader:
    def __init__(self, name: str, context: Any, root: Path) -> None:
        self._name = name
        self._context = context
        self._root = root
        self._models: Mapping[str, Model] = context.models
        self._dialect: str | None = context.default_dialect
        config = context.config
        self._connections = {
            gateway: names.connection_identity(config.get_connection(gateway))
            for gateway in {context.selected_gateway, *config.gateways}
        }
        self._texts: dict[str, str] = {}

    def read(self, environment: str, sources: Mapping[str, SourceFile]) -> GraphFile:
        state = _compat.existing_state(self._context)
        promoted = state.get_environment(environment) if state is not None else None
        naming = promoted.naming_info if promoted else self._naming(environment)
        infos = {info.name: info for info in promoted.snapshots} if promoted else {}
        snapshots = _compat.unversioned_snapshots(self._context, dict(self._models))

        nodes: list[Node] = []
        checks: list[Check] = []
        external: dict[str, Source] = {}
        for fqn, model in self._models.items():
            if model.kind.is_external:
                external[fqn] = self._source(fqn, model)
            elif not model.kind.is_embedded:
                nodes.append(self._node(model, snapshots[fqn], naming, infos.get(fqn)))
                checks.extend(self._checks(model))
        for node in nodes:
            for dep in node.deps:
                reference = dep.removeprefix(f"{self._name}:")
                if reference not in self._models:
                    external.setdefault(reference, self._source(reference, None))
        return GraphFile(
            graph=Graph.of(nodes, external.values(), checks),
            project=self._name,
            environment=environment,
            plan_id=promoted.plan_id if promoted else None,
            written_by={
                "dagster-transform": version("dagster-transform"),
                "sqlmesh": version("sqlmesh"),
            },
            sources_digest=sources,
        )

    def _naming(self, environment: str) -> EnvironmentNamingInfo:
        """How views will be named in an environment that is not there yet."""
        return EnvironmentNamingInfo.from_environment_catalog_mapping(
            self._context.environment_catalog_mapping,
            name=environment,
            suffix_target=self._context.config.environment_suffix_target,
            gateway_managed=self._context.config.gateway_managed_virtual_layer,
        )

    def _node(self, model: Model, snapshot: Any, naming: Any, info: Any | None) -> Node:
        connection = self._connection_of(model)
        dialect = model.dialect or self._dialect
        view = snapshot.qualified_view_name.table_for_environment(naming, dialect=dialect)
        presence, physical = Presence.ABSENT, None
        if info is not None:
            equal = info.fingerprint == snapshot.fingerprint
            presence = Presence.EQUAL if equal else Presence.CHANGED
            if equal:
                physical = names.relation_of(connection, exp.to_table(info.table_name()))
        return Node(
            id=self._id(model.fqn),
            project=self._name,
            framework="sqlmesh",
            reference=model.fqn,
            name=model.name,
            kind=str(model.kind.name.value),
            relation=names.relation_of(connection, view),
            physical=physical,
            deps=tuple(self._id(fqn) for fqn in self._parents(model)),
            cron=model.cron,
            time_zone=str(model.cron_tz) if model.cron_tz else None,
            interval_unit=model.interval_unit.value if model.interval_unit else None,
            tags=tuple(model.tags),
            owners=(model.owner,) if model.owner else (),
            description=model.description,
            columns=self._columns(model),
            code_version=model.data_hash,
            location=self._location(model._path, model.name),
            presence=presence,
            properties=_properties(model, dialect),
        )

    def _connection_of(self, model: Model) -> str:
        return self._connections[model.gateway or self._context.selected_gateway]

    def _parents(self, model: Model) -> list[str]:
        """Fully qualified names that a model reads; embedded models are looked through."""
        found: dict[str, None] = {}
        stack = sorted(model.depends_on or (), reverse=True)
        seen = {model.fqn}
        while stack:
            fqn = stack.pop()
            if fqn in seen:
                continue
            seen.add(fqn)
            parent = self._models.get(fqn)
            if parent is not None and parent.kind.is_embedded:
                stack.extend(sorted(parent.depends_on or (), reverse=True))
            else:
                found[fqn] = None
        return list(found)

    def _columns(self, model: Model) -> tuple[Column, ...]:
        types: Mapping[str, exp.DataType | None] = model.columns_to_types or {}
        descriptions = model.column_descriptions or {}
        return tuple(
            Column(name, type_.sql(dialect=model.dialect) if type_ else "", descriptions.get(name))
            for name, type_ in types.items()
        )

    def _checks(self, model: Model) -> Iterable[Check]:
        audits = [(a, args) for a, args in model.audits_with_args if not a.skip]
        texts = [names.argument_texts(args, model.dialect) for _, args in audits]
        unique = names.check_names([(a.name, t) for (a, _), t in zip(audits, texts, strict=True)])
        for (audit, arguments), text, name in zip(audits, texts, unique, strict=True):
            blocking = names.is_blocking(audit, arguments)
            call = ", ".join(f"{key} := {value}" for key, value in text.items())
            path = getattr(audit, "_path", None)
            yield Check(
                id=f"{self._id(model.fqn)}:{name}",
                project=self._name,
                name=name,
                target=self._id(model.fqn),
                kind="audit",
                reference=name,
                blocking=blocking,
                in_build=blocking,
                description=f"SQLMesh audit {audit.name}({call})",
                location=self._location(path or model._path, audit.name),
                properties=text,
            )

    def _source(self, fqn: str, model: Model | None) -> Source:
        table = exp.to_table(fqn)
        connection = self._connections[self._context.selected_gateway]
        return Source(
            id=self._id(fqn),
            project=self._name,
            reference=fqn,
            name=".".join(part.name for part in table.parts),
            relation=names.relation_of(connection, table),
            description=model.description if model else None,
            columns=self._columns(model) if model else (),
        )

    def _location(self, path: Path | None, name: str) -> Location | None:
        if path is None or not path.name:
            return None
        resolved = path.resolve()
        text = self._texts.get(str(resolved))
        if text is None:
            text = resolved.read_text(encoding="utf-8", errors="replace")
            self._texts[str(resolved)] = text
        found = re.search(rf"\b{re.escape(name)}\b", text)
        line = text.count("\n", 0, found.start()) + 1 if found else 1
        below = resolved.is_relative_to(self._root)
        return Location(str(resolved.relative_to(self._root) if below else resolved), line)

    def _id(self, fqn: str) -> str:
        return f"{self._name}:{fqn}"


def _properties(model: Model, dialect: str | None) -> dict[str, str]:
    """What SQLMesh users expect to see of a model, as text."""
    found = {
        "dialect": dialect or "",
        "partitioned_by": ", ".join(e.sql(dialect=dialect) for e in model.partitioned_by),
        "clustered_by": ", ".join(e.sql(dialect=dialect) for e in model.clustered_by),
        "grains": ", ".join(e.sql(dialect=dialect) for e in model.grains),
        "start": str(model.start or ""),
        "end": str(model.end or ""),
    }
    return {key: value for key, value in found.items() if value}
