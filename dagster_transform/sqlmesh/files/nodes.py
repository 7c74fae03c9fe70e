"""From SQLMesh's models to nodes and sources of the graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlglot import exp
from sqlmesh.core.model import Model

from dagster_transform.config import SqlmeshProject
from dagster_transform.graph import (
    Column,
    InputId,
    Location,
    Node,
    NodeId,
    Relation,
    Source,
    SourceId,
    node_id,
    source_id,
)
from dagster_transform.sqlmesh.files.asset_keys import asset_key
from dagster_transform.sqlmesh.files.column_lineage import Lineage
from dagster_transform.sqlmesh.files.environment_views import EnvironmentViews
from dagster_transform.sqlmesh.files.locations import Locations
from dagster_transform.sqlmesh.files.own_models import OwnModels
from dagster_transform.sqlmesh.files.properties import properties_of
from dagster_transform.sqlmesh.files.sources import Read, name_sources
from dagster_transform.sqlmesh.gateways import Gateways


class NodesAndSources:
    """Makes them for one project.

    Args:
        project: The project's name.
        context: A loaded sqlmesh Context. No connection is opened.
        models: The project's models.
        views: How they stand in the environment.
        snapshots: Unversioned snapshots of all models, by fully qualified name.
        root: Folder of transform.yaml: locations below it are relative to it.
        config: The project's configuration.
    """

    def __init__(
        self,
        project: str,
        context: Any,
        models: OwnModels,
        views: EnvironmentViews,
        snapshots: Mapping[str, Any],
        *,
        root: Path,
        config: SqlmeshProject,
    ) -> None:
        self._project = project
        self._config = config
        self._default_dialect: str | None = context.default_dialect
        self._models = models
        self._views = views
        self._snapshots = snapshots
        self._gateways = Gateways(context)
        self._locations = Locations(root)
        self._lineage = Lineage(models.all) if config.column_lineage else None
        reads = models.reads(self._gateways)
        self._sources = name_sources(reads, self._relation_read, self._gateways.default)

    def nodes(self) -> Iterator[Node]:
        """The project's nodes."""
        return (self._node(model) for model in self._models.built.values())

    def sources(self) -> list[Source]:
        """What they read and no node of the project builds; each once."""
        found: dict[SourceId, Source] = {}
        for read, (name, relation) in self._sources.items():
            id = source_id(self._project, name)
            found[id] = self._source(id, read.fqn, relation)
        return list(found.values())

    def id_of(self, model: Model) -> NodeId:
        """Id of the node of a model."""
        return node_id(self._project, model.fqn)

    def ids_read(self, audit: Any) -> list[InputId]:
        """Ids of what a standalone audit reads."""
        gateway = self._gateways.default
        return [self._id_read(fqn, gateway) for fqn in self._models.parents(audit)]

    def id_declared(self, model: Model) -> SourceId:
        """Id of the source that an external model is; of several gateways' ones, its own's."""
        found = {
            read.gateway: name for read, (name, _) in self._sources.items() if read.fqn == model.fqn
        }
        name = found.get(self._gateways.of(model)) or found[min(found)]
        return source_id(self._project, name)

    def locate(self, path: Path | None, name: str) -> Location | None:
        """Where a name is written in a file."""
        return self._locations.find(path, name)

    def _node(self, model: Model) -> Node:
        gateway, snapshot = self._gateways.of(model), self._snapshots[model.fqn]
        presence, physical = self._views.presence(model, snapshot)
        parents = self._models.parents(model)
        above = [*parents, *(f for f in self._models.beyond(parents) if f not in parents)]
        return Node(
            id=self.id_of(model),
            project=self._project,
            framework="sqlmesh",
            reference=model.fqn,
            name=model.name,
            kind=str(model.kind.name.value),
            relation=self._views.view(model, snapshot),
            key=asset_key(model.fqn, self._config, prefixed=True),
            physical=physical,
            deps=tuple(self._id_read(fqn, gateway) for fqn in above),
            cron=model.cron,
            time_zone=str(model.cron_tz) if model.cron_tz else None,
            interval_unit=model.interval_unit.value if model.interval_unit else None,
            tags=tuple(model.tags),
            owners=(model.owner,) if model.owner else (),
            description=model.description,
            columns=self._columns(model, parents),
            code_version=model.data_hash,
            fingerprint=snapshot.fingerprint.to_identifier(),
            location=self.locate(model._path, model.name),
            presence=presence,
            properties=properties_of(model, self._default_dialect),
        )

    def _source(self, id: SourceId, fqn: str, relation: Relation) -> Source:
        model = self._models.all.get(fqn)
        return Source(
            id=id,
            project=self._project,
            reference=fqn,
            name=".".join(part.name for part in exp.to_table(fqn).parts),
            relation=relation,
            description=model.description if model else None,
            columns=self._columns(model) if model else (),
            key=(key := asset_key(fqn, self._config, prefixed=fqn in self._models.left_out)),
            key_is_default=bool(key),
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

    def _relation_read(self, read: Read) -> Relation:
        model = self._models.all.get(read.fqn)
        if model is None or model.kind.is_external:
            return self._gateways.table(read.gateway, exp.to_table(read.fqn))
        if read.fqn in self._models.left_out:
            return self._views.view(model, self._snapshots[read.fqn])
        return self._views.view_of_another(model, self._snapshots[read.fqn])

    def _id_read(self, fqn: str, gateway: str) -> InputId:
        """Id of the node or source that a gateway reads by this name."""
        if fqn in self._models.built:
            return node_id(self._project, fqn)
        return source_id(self._project, self._sources[Read(fqn, gateway)][0])
