"""How the models of the files stand in an environment: the views of them, and their versions."""

from __future__ import annotations

from typing import Any

from sqlglot import exp
from sqlmesh.core.environment import EnvironmentNamingInfo

from dagster_transform.graph import Presence, Relation
from dagster_transform.sqlmesh.gateways import Gateways
from dagster_transform.sqlmesh.settings import PROD


class EnvironmentViews:
    """What readers see of models in an environment, which may not be there yet.

    Args:
        context: A loaded sqlmesh Context.
        gateways: The project's gateways.
        environment: The environment's name.
        state: The project's state, or None where there is none.

    Attributes:
        record: The environment as the state has it, or None.
    """

    def __init__(self, context: Any, gateways: Gateways, environment: str, state: Any) -> None:
        self.record = state.get_environment(environment) if state is not None else None
        self._context = context
        self._gateways = gateways
        self._infos = {i.name: i for i in self.record.snapshots} if self.record else {}
        self._naming = self.record.naming_info if self.record else self._planned(environment)

    def view(self, model: Any, snapshot: Any) -> Relation:
        """What readers see of a model that the project builds."""
        return self._gateways.view(model, snapshot, self._naming)

    def view_of_another(self, model: Any, snapshot: Any) -> Relation:
        """What they see of another project's model. An environment may have no view of its own for
        what has not changed; production then has the one that people read."""
        shown = self.record.promoted_snapshots if self.record else ()
        here = any(info.name == model.fqn for info in shown)
        naming = self._naming if here else self._planned(PROD)
        return self._gateways.view(model, snapshot, naming)

    def presence(self, model: Any, snapshot: Any) -> tuple[Presence, Relation | None]:
        """Whether the environment has a model's version; and its physical table, if it has."""
        info = self._infos.get(model.fqn)
        if info is None:
            return Presence.ABSENT, None
        if info.fingerprint != snapshot.fingerprint:
            return Presence.CHANGED, None
        table = exp.to_table(info.table_name())
        return Presence.EQUAL, self._gateways.table(self._gateways.of(model), table)

    def _planned(self, environment: str) -> EnvironmentNamingInfo:
        """How views will be named in an environment that is not there yet."""
        config = self._context.config
        return EnvironmentNamingInfo.from_environment_catalog_mapping(
            self._context.environment_catalog_mapping,
            name=environment,
            suffix_target=config.environment_suffix_target,
            gateway_managed=config.gateway_managed_virtual_layer,
        )
