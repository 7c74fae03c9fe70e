"""The asset keys that transform.yaml gives to the sources of a project."""

from __future__ import annotations

from collections.abc import Iterable

from dagster_transform.config import DbtProject, SettingError, SqlmeshProject
from dagster_transform.graph import Source, SourceNameError, with_keys


def keyed_sources(
    sources: Iterable[Source], project: SqlmeshProject | DbtProject
) -> tuple[Source, ...]:
    """The sources with the keys that the project's `source_keys` say.

    Raises:
        SettingError: A name there is that of no source, or of several.
    """
    try:
        return with_keys(sources, project.source_keys)
    except SourceNameError as error:
        raise SettingError(("source_keys", error.name), error.cause, remedy=error.remedy) from None
