"""dbt's on-run-start and on-run-end hooks: once for a run, however many ops it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dagster_transform.dbt.errors import DbtHookError

if TYPE_CHECKING:
    from dagster_transform.dbt.runs.invocation import DbtInvocation


@dataclass(slots=True)
class InvocationOfRun:
    """The dbt invocation that the ops of one run share for a project.

    A run has several ops that do something of one project, one after the other, where a Python
    asset between two models splits its op. The hooks are carried out once all the same: an op that
    is not the last one keeps its invocation here.

    Attributes:
        kept: The invocation that an earlier op of the run has kept.
    """

    kept: DbtInvocation | None = None

    @property
    def due(self) -> bool:
        """Whether something must still come: an invocation waits for its end."""
        return self.kept is not None


def hook_error(project: str, failed: Sequence[str]) -> DbtHookError:
    """The error that hooks failed, when the run began or when it ended.

    Args:
        project: The project's name in transform.yaml.
        failed: What dbt says of each.
    """
    return DbtHookError(
        f"Project {project}: {'; '.join(failed)}",
        remedy="The nodes were built all the same, as dbt does it; correct the hook.",
    )
