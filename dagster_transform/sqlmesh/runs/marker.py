"""Remembers from which files an environment was planned, so that asking again is cheap."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from dagster_transform.graph import fingerprint
from dagster_transform.process.private_files import write_private
from dagster_transform.sqlmesh.settings import SqlmeshSettings

_KEPT = 20
"""Selections that are remembered, newest last: a job, a person's usual choice, two halves of an
op."""


class Marker:
    """What is known of one selection: the files it was planned from, and the plan.

    The project's files are read when this is made, so make it before SQLMesh loads them: a file
    that changes while the plan is carried out must not count as planned.

    The marker's own file only saves time. One that is missing, old or damaged costs a load of the
    models.
    """

    def __init__(self, settings: SqlmeshSettings, selected: Iterable[str]) -> None:
        self._path = settings.marker
        self._files = _digest([Path(path) for path in settings.paths])
        chosen = "\n".join([settings.environment, *sorted(selected)])
        self._selection = sha256(chosen.encode()).hexdigest()[:16]
        self._record = self._read().get(self._selection, {})

    @property
    def plan_id(self) -> str | None:
        """The plan that the environment had when this selection was last found to be equal."""
        plan_id = self._record.get("plan_id")
        return str(plan_id) if plan_id else None

    def files_are_unchanged(self) -> bool:
        """Whether the project's files, when this was made, were those of then."""
        return bool(self._record) and self._record.get("files") == self._files

    def write(self, plan_id: str) -> None:
        """Remember that the environment, as `plan_id` has made it, equals the files."""
        if self._path is None:
            return
        records = self._read()
        records.pop(self._selection, None)
        records[self._selection] = {"plan_id": plan_id, "files": self._files}
        kept = dict(list(records.items())[-_KEPT:])
        with suppress(OSError):  # a place that can't be written: the next run loads the models
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_private(self._path, json.dumps(kept))

    def _read(self) -> dict[str, Any]:
        if self._path is None:
            return {}
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def _digest(folders: Sequence[Path]) -> str:
    found = fingerprint(folders[0], folders)
    text = "\n".join(f"{path} {file.sha256}" for path, file in found.items())
    return sha256(text.encode()).hexdigest()
