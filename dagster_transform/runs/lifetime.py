"""What lasts as long as a run, whatever its ops: where a project's part of it stands.

Dagster splits our op where a Python asset stands between two models, and a run then has several
project runs of one project, one after the other. Hooks are carried out once all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

from dagster_transform.errors import TransformError

if TYPE_CHECKING:
    from dagster_transform.runs.ports import RunLog


class ProjectState(Protocol):
    """What the project runs of one project share in a run."""

    @property
    def due(self) -> bool:
        """Whether something must still come: hooks, the end of dbt's process."""


StateT = TypeVar("StateT", bound=ProjectState)


class RunLifetime:
    """The projects of one run, from its first op to its end."""

    def __init__(self) -> None:
        self._states: dict[str, tuple[ProjectState, Callable[[], None]]] = {}
        self._said: set[str] = set()

    def warn_once(self, log: RunLog, text: str) -> None:
        """Warn of something that holds for the run as a whole, in the first of its ops."""
        if text not in self._said:
            self._said.add(text)
            log.warning(text)

    def join(self, project: str, kind: type[StateT], end: Callable[[StateT], None]) -> StateT:
        """An op of the run works on a project.

        Args:
            project: The project.
            kind: Makes what its project runs share, where this op is the first.
            end: Ends the project's part when the run is over, should a later op never come: given
                what its project runs share.

        Returns:
            What the project runs of the project share.
        """
        known = self._states.get(project)
        state = known[0] if known is not None and isinstance(known[0], kind) else kind()
        self._states[project] = (state, lambda: end(state))
        return state

    def end(self) -> list[TransformError]:
        """End what the op that should have done it did not come to; what went wrong in that.

        Dagster skips an op whose Python asset upstream has failed.
        """
        problems: list[TransformError] = []
        for state, end in self._states.values():
            if state.due:
                try:
                    end()
                except TransformError as error:
                    problems.append(error)
        return problems
