"""Where a project's tables, views and sources lie, when it has one gateway or several."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from dagster_transform.databases.identity import ConnectionIdentity
from dagster_transform.graph import Relation
from dagster_transform.sqlmesh.connections import connection_identity


class Gateways:
    """The gateways of a project, and the relations that are reached through them.

    Args:
        context: A sqlmesh Context. No connection is opened.
    """

    def __init__(self, context: Any) -> None:
        self._context = context
        self.default: str = context.selected_gateway
        """The gateway of what does not name one."""
        self.connections = {self.default: context.connection_config}
        """The connection configuration of each, by name."""
        # As SQLMesh does it, where several folders make one project: the first one's count.
        for config in context.configs.values():
            for gateway in config.gateways:
                if gateway not in self.connections:
                    self.connections[gateway] = config.get_connection(gateway)

    def of(self, model: Any) -> str:
        """The gateway through which a model is built; the default one where another project has
        the model, and a gateway for it that this one does not know."""
        return model.gateway if model.gateway in self.connections else self.default

    def connection_of(self, gateway: str, catalog: str | None) -> ConnectionIdentity:
        """The database that a gateway leads to, for a catalog there."""
        return connection_identity(self.connections[gateway], catalog)

    def table(self, gateway: str, table: exp.Table) -> Relation:
        """A normalised table as it is reached through a gateway."""
        connection = self.connection_of(gateway, table.catalog or None)
        return Relation(connection, table.catalog or None, table.db or None, table.name)

    def view(self, model: Any, snapshot: Any, naming: Any) -> Relation:
        """What readers of a model see in an environment.

        Args:
            model: The model.
            snapshot: A snapshot of it.
            naming: The environment's EnvironmentNamingInfo. It says whether each gateway has the
                views of its own models, or the default one has them all.
        """
        gateway = self.of(model) if naming.gateway_managed else self.default
        dialect = self._context.engine_adapters[gateway].dialect
        return self.table(
            gateway, snapshot.qualified_view_name.table_for_environment(naming, dialect=dialect)
        )
