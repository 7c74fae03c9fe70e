"""The component's state in Dagster: the graph files of its projects as one text, a line each.

What reads graph files reads them where they are (`.dagster_transform`): the state is how they get
there in an image, or on a machine, on which nobody has prepared.
"""

from __future__ import annotations

import logging
from pathlib import Path

from dagster_transform.config import TransformConfig
from dagster_transform.dagster.definitions.errors import PrepareFailedError
from dagster_transform.dagster.definitions.loading import prepare
from dagster_transform.graph import GraphFileError, write_graph_text

_log = logging.getLogger("dagster_transform")
_SEPARATOR = "\t"
"""Between a project's name, which has letters, digits and underscores, and its graph file, which is
one line of JSON."""


def prepare_leniently(config: TransformConfig) -> None:
    """Prepare; what can't be read is shown in Dagster as what it is."""
    try:
        prepare(config, list(config.projects))
    except PrepareFailedError as error:
        _log.error("%s", error)


def write_state(config: TransformConfig, path: Path) -> None:
    """Copy the graph files of all projects that have one into the state."""
    lines = []
    for project in config.projects:
        file = config.graph_path(project)
        if file.exists():
            lines.append(f"{project}{_SEPARATOR}{file.read_text(encoding='ascii').strip()}\n")
    path.write_text("".join(lines), encoding="ascii")


def restore(config: TransformConfig, path: Path) -> None:
    """Put the graph files of a state where they are read, but for those that are newer there.

    Raises:
        GraphFileError: One can't be written, and there is none.
    """
    written_at = path.stat().st_mtime
    for line in path.read_text(encoding="ascii").splitlines():
        project, _, text = line.partition(_SEPARATOR)
        if project not in config.projects:
            continue  # it was taken out of the attributes since
        file = config.graph_path(project)
        there = file.exists()
        if there and (
            file.stat().st_mtime > written_at or file.read_text(encoding="ascii").strip() == text
        ):
            continue
        try:
            write_graph_text(config.graph_target(project), text, project)
        except GraphFileError as error:
            if not there:
                raise
            _log.warning("%s The one that is there is used.", error.cause)
