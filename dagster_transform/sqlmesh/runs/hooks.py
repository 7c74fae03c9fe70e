"""The statements that a project runs before and after everything: before_all and after_all."""

from __future__ import annotations

from typing import Any

from sqlmesh.core.environment import execute_environment_statements
from sqlmesh.core.macros import RuntimeStage

from dagster_transform.sqlmesh import _compat
from dagster_transform.sqlmesh.settings import SqlmeshSettings
from dagster_transform.sqlmesh.state.environment import Assessment


class Hooks:
    """before_all and after_all of the environment, as its last plan stored them."""

    def __init__(self, context: Any, assessment: Assessment, settings: SqlmeshSettings) -> None:
        self._context = context
        self._setting = assessment.setting
        state = context.state_sync
        self._statements = state.get_environment_statements(settings.environment)
        # Statements may iterate over all views and schemas, so they see the whole environment;
        # without statements nobody pays for reading it.
        self._snapshots = (
            {
                s.name: s
                for s in _compat.fetch_snapshots(state, assessment.infos, queries_of=()).values()
            }
            if self._statements
            else {}
        )

    def before_all(self) -> None:
        """Run the statements that come before the first node."""
        self._execute(RuntimeStage.BEFORE_ALL)

    def after_all(self) -> None:
        """Run the statements that come after the last node."""
        self._execute(RuntimeStage.AFTER_ALL)

    def _execute(self, stage: RuntimeStage) -> None:
        if not self._statements:
            return
        execute_environment_statements(
            adapter=self._context.snapshot_evaluator.adapter,
            environment_statements=self._statements,
            runtime_stage=stage,
            environment_naming_info=self._setting.naming,
            default_catalog=self._context.default_catalog,
            snapshots=self._snapshots,
            execution_time=self._setting.execution_time,
            selected_models=set(),
        )
