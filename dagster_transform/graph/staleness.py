"""Whether a graph file still fits what it was made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from dagster_transform.graph.graph_file import GraphFile
from dagster_transform.graph.source_files import difference, fingerprint

_SHOWN = 5


def why_stale(
    found: GraphFile,
    root: Path,
    folders: Sequence[Path],
    environment: str | None,
    settings: Mapping[str, str],
) -> str | None:
    """Why a graph file does not fit its project any more.

    Args:
        found: Its content.
        root: The folder of transform.yaml.
        folders: The project's folders.
        environment: The environment that transform.yaml names for it; None where it names none.
        settings: What transform.yaml has for it now, as `GraphFile.settings`.

    Returns:
        Words that may follow the file's path; None if it fits.

    Raises:
        SourceFileError: A file of the project can't be read.
    """
    if found.environment != environment:
        return f"is about environment {found.environment}, but transform.yaml says {environment}"
    names = sorted(found.settings.keys() | settings.keys())
    if others := [name for name in names if found.settings.get(name) != settings.get(name)]:
        return f"was made with other {' and '.join(others)} than transform.yaml says"
    changes = difference(
        found.sources_digest, fingerprint(root, list(folders), found.sources_digest)
    )
    if not changes:
        return None
    listing = ", ".join(changes[:_SHOWN]) + (", ..." * (len(changes) > _SHOWN))
    return f"is older than the files of project {found.project}: {listing}"
