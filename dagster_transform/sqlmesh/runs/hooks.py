"""Hooks: what a project executes before and after everything, before_all and after_all."""

from __future__ import annotations

from typing import Any

from sqlmesh.core.environment import execute_environment_statements
from sqlmesh.core.macros import RuntimeStage

from dagster_transform.sqlmesh import _compat
from dagster_transform.sqlmesh.settings import SqlmeshSettings
from dagster_transform.sqlmesh.state.current_environment import (
    CurrentEnvironment,
    PlannedEnvironment,
)


class Hooks:
    """Carries out before_all and after_all, each once per run, whichever op comes first and last.

    Args:
        context: A SQLMesh Context.
        settings: What the run asks for.
        environment: The environment whose hooks they are.
    """

    def __init__(
        self, context: Any, settings: SqlmeshSettings, environment: CurrentEnvironment
    ) -> None:
        self._context = context
        self._settings = settings
        self._environment = environment
        self._statements: _Statements | None = None

    def before_all(self) -> None:
        """Run the statements that come before the first node, if no other op of the run has."""
        hooks = self._settings.hooks
        if not hooks.begun:
            self._read().execute(RuntimeStage.BEFORE_ALL)
            hooks.begun = True

    def after_all(self) -> None:
        """Run the statements that come after the last node, if they are due and no other op of the
        run comes later."""
        hooks = self._settings.hooks
        if hooks.due and self._settings.last:
            self._read().execute(RuntimeStage.AFTER_ALL)
            hooks.ended = True

    def _read(self) -> _Statements:
        if self._statements is None:
            self._statements = _Statements(
                self._context, self._settings.environment, self._environment.value
            )
        return self._statements


class _Statements:
    """The statements of an environment, as its last plan stored them."""

    def __init__(self, context: Any, name: str, environment: PlannedEnvironment) -> None:
        self._context = context
        self._evaluation = environment.evaluation
        state = context.state_sync
        self._found = state.get_environment_statements(name)
        # Statements may iterate over all views and schemas, so they see the whole environment;
        # without statements nobody pays for reading it.
        self._snapshots = (
            {
                s.name: s
                for s in _compat.fetch_snapshots(state, environment.infos, queries_of=()).values()
            }
            if self._found
            else {}
        )

    def execute(self, stage: RuntimeStage) -> None:
        if not self._found:
            return
        execute_environment_statements(
            adapter=self._context.snapshot_evaluator.adapter,
            environment_statements=self._found,
            runtime_stage=stage,
            environment_naming_info=self._evaluation.naming,
            default_catalog=self._context.default_catalog,
            snapshots=self._snapshots,
            execution_time=self._evaluation.execution_time,
            selected_models=set(),
        )
