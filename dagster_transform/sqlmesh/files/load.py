"""From the files of a SQLMesh project, and what its state knows of them, to a graph file."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sqlglot import exp
from sqlmesh.core.constants import PROD
from sqlmesh.core.environment import EnvironmentNamingInfo
from sqlmesh.core.model import Model

from dagster_transform.config import SqlmeshProject
from dagster_transform.graph import (
    Check,
    Column,
    Graph,
    GraphFile,
    Node,
    Presence,
    Relation,
    Source,
    SourceFile,
)
from dagster_transform.sqlmesh import _compat
from dagster_transform.sqlmesh.files.checks import model_checks, standalone_checks
from dagster_transform.sqlmesh.files.drift import find_drift
from dagster_transform.sqlmesh.files.lineage import Lineage
from dagster_transform.sqlmesh.files.locations import Locations
from dagster_transform.sqlmesh.files.properties import properties_of
from dagster_transform.sqlmesh.files.sources import Read, name_sources
from dagster_transform.sqlmesh.gateways import Gateways
from dagster_transform.sqlmesh.project import clear_errors, open_context

_log = logging.getLogger("dagster_transform")


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
    context = open_context(name, project, paths, load=False)
    try:
        with clear_errors(name, paths):
            state = _compat.load_files(context)
            reader = _Reader(name, context, state, root=root, environment=project.environment)
            return reader.read(sources, column_lineage=project.column_lineage)
    finally:
        _compat.close_connections(context)


def read_loaded(
    name: str,
    context: Any,
    *,
    environment: str,
    root: Path,
    sources: Mapping[str, SourceFile],
    column_lineage: bool = True,
) -> GraphFile:
    """Read a project that is loaded already (see `_compat.existing_state` about its state).

    Args:
        name: Its name in transform.yaml.
        context: A sqlmesh Context with its models.
        environment: The environment that the graph is about.
        root: Folder of transform.yaml: locations below it are relative to it.
        sources: Fingerprint of the files, taken before they were read.
        column_lineage: Whether to find out what each column is computed from.

    Raises:
        Exception: Whatever the state's driver raises.
        GraphError: The models don't make a graph (a cycle).
    """
    state = _compat.existing_state(context)
    reader = _Reader(name, context, state, root=root, environment=environment)
    return reader.read(sources, column_lineage=column_lineage)


class _Reader:
    """Reads one project.

    What its folders have is its own. Where several projects share a state, SQLMesh shows each the
    models of the others; to this one they are sources.
    """

    def __init__(
        self,
        name: str,
        context: Any,
        state: Any | None,
        *,
        root: Path,
        environment: str,
    ) -> None:
        self._name = name
        self._context = context
        self._environment = environment
        self._lineage: Lineage | None = None
        self._gateways = Gateways(context)
        self._locations = Locations(root)
        self._state = state
        self._promoted = state.get_environment(environment) if state is not None else None
        self._naming = self._promoted.naming_info if self._promoted else self._planned(environment)
        self._infos = {i.name: i for i in self._promoted.snapshots} if self._promoted else {}
        self._models: Mapping[str, Model] = context.models
        own = {config.project for config in context.configs.values()}
        mine = [model for model in self._models.values() if model.project in own]
        self._built = {m.fqn: m for m in mine if not (m.kind.is_external or m.kind.is_embedded)}
        self._declared = [m for m in mine if m.kind.is_external]
        self._audits = [a for a in context.standalone_audits.values() if a.project in own]
        self._snapshots = _compat.unversioned_snapshots(
            context, {**self._models, **context.standalone_audits}
        )
        self._sources = name_sources(self._reads(), self._relation_read, self._gateways.default)

    def read(self, digest: Mapping[str, SourceFile], *, column_lineage: bool) -> GraphFile:
        self._lineage = Lineage(self._models) if column_lineage else None
        nodes = [self._node(model) for model in self._built.values()]
        sources = {
            self._id(name): self._source(self._id(name), read.fqn, relation)
            for read, (name, relation) in self._sources.items()
        }
        checks: list[Check] = []
        for model in self._built.values():
            checks += model_checks(self._name, self._id(model.fqn), model, self._locations.find)
        for model in self._declared:
            checks += model_checks(
                self._name, self._id_declared(model), model, self._locations.find
            )
        graph = Graph.of(nodes, sources.values(), checks)
        alone = [
            (a, [self._id_read(fqn, self._gateways.default) for fqn in self._parents(a)])
            for a in self._audits
        ]
        checks += standalone_checks(self._name, alone, graph, self._locations.find)
        return GraphFile(
            graph=Graph.of(nodes, sources.values(), checks),
            project=self._name,
            environment=self._environment,
            plan_id=self._promoted.plan_id if self._promoted else None,
            drift=find_drift(self._context, self._state, self._promoted, self._snapshots),
            written_by={
                "dagster-transform": version("dagster-transform"),
                "sqlmesh": version("sqlmesh"),
            },
            sources_digest=digest,
        )

    # -- what is read -----------------------------------------------------------------------------

    def _reads(self) -> set[Read]:
        """Everything that a model or audit reads and no model here builds, and through which
        gateway; also what is declared and not read."""
        readers = [(model, self._gateways.of(model)) for model in self._built.values()]
        readers += [(audit, self._gateways.default) for audit in self._audits]
        found = {
            Read(fqn, gateway)
            for reader, gateway in readers
            for fqn in self._parents(reader)
            if fqn not in self._built
        }
        read = {fqn for fqn, _ in found}
        for model in self._declared:
            if model.fqn not in read:
                found.add(Read(model.fqn, self._gateways.of(model)))
        return found

    def _parents(self, thing: Any) -> list[str]:
        """Fully qualified names that a model or audit reads; embedded models are looked through."""
        found: dict[str, None] = {}
        stack = sorted(thing.depends_on or (), reverse=True)
        seen = {thing.fqn}
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

    def _relation_read(self, read: Read) -> Relation:
        model = self._models.get(read.fqn)
        if model is None or model.kind.is_external:
            return self._gateways.table(read.gateway, exp.to_table(read.fqn))
        # Another project's model. An environment may have no view of its own for what has not
        # changed; production then has the one that people read.
        shown = self._promoted.promoted_snapshots if self._promoted else ()
        here = any(info.name == read.fqn for info in shown)
        naming = self._naming if here else self._planned(PROD)
        return self._gateways.view(model, self._snapshots[read.fqn], naming)

    def _planned(self, environment: str) -> EnvironmentNamingInfo:
        """How views will be named in an environment that is not there yet."""
        config = self._context.config
        return EnvironmentNamingInfo.from_environment_catalog_mapping(
            self._context.environment_catalog_mapping,
            name=environment,
            suffix_target=config.environment_suffix_target,
            gateway_managed=config.gateway_managed_virtual_layer,
        )

    # -- nodes and sources ------------------------------------------------------------------------

    def _node(self, model: Model) -> Node:
        gateway = self._gateways.of(model)
        snapshot, info = self._snapshots[model.fqn], self._infos.get(model.fqn)
        presence, physical = Presence.ABSENT, None
        if info is not None:
            equal = info.fingerprint == snapshot.fingerprint
            presence = Presence.EQUAL if equal else Presence.CHANGED
            if equal:
                physical = self._gateways.table(gateway, exp.to_table(info.table_name()))
        parents = self._parents(model)
        return Node(
            id=self._id(model.fqn),
            project=self._name,
            framework="sqlmesh",
            reference=model.fqn,
            name=model.name,
            kind=str(model.kind.name.value),
            relation=self._gateways.view(model, snapshot, self._naming),
            physical=physical,
            deps=tuple(self._id_read(fqn, gateway) for fqn in parents),
            cron=model.cron,
            time_zone=str(model.cron_tz) if model.cron_tz else None,
            interval_unit=model.interval_unit.value if model.interval_unit else None,
            tags=tuple(model.tags),
            owners=(model.owner,) if model.owner else (),
            description=model.description,
            columns=self._columns(model, parents),
            code_version=model.data_hash,
            location=self._locations.find(model._path, model.name),
            presence=presence,
            properties=properties_of(model, self._context.default_dialect),
        )

    def _source(self, id: str, fqn: str, relation: Relation) -> Source:
        model = self._models.get(fqn)
        return Source(
            id=id,
            project=self._name,
            reference=fqn,
            name=".".join(part.name for part in exp.to_table(fqn).parts),
            relation=relation,
            description=model.description if model else None,
            columns=self._columns(model) if model else (),
        )

    def _columns(self, model: Model, parents: Sequence[str] | None = None) -> tuple[Column, ...]:
        """A model's columns; with what they are computed from where its parents are given."""
        types: Mapping[str, exp.DataType | None] = model.columns_to_types or {}
        descriptions = model.column_descriptions or {}
        known = self._lineage.of(model.fqn) if self._lineage and parents else {}
        places = {fqn: place for place, fqn in enumerate(parents or ())}
        return tuple(
            Column(
                name,
                type_.sql(dialect=model.dialect) if type_ else "",
                descriptions.get(name),
                tuple(
                    sorted(
                        (places[fqn], column)
                        for fqn, column in known.get(name, ())
                        if fqn in places
                    )
                ),
            )
            for name, type_ in types.items()
        )

    # -- small things -----------------------------------------------------------------------------

    def _id_read(self, fqn: str, gateway: str) -> str:
        """Id of the node or source that a gateway reads by this name."""
        return self._id(fqn if fqn in self._built else self._sources[Read(fqn, gateway)][0])

    def _id_declared(self, model: Model) -> str:
        """Id of the source that an external model is; of several gateways' ones, its own's."""
        found = {
            read.gateway: name for read, (name, _) in self._sources.items() if read.fqn == model.fqn
        }
        return self._id(found.get(self._gateways.of(model)) or found[min(found)])

    def _id(self, name: str) -> str:
        return f"{self._name}:{name}"
