"""Asset keys of SQLMesh's models and tables, where transform.yaml wants other ones."""

from __future__ import annotations

from sqlglot import exp

from dagster_transform.config import SqlmeshProject

_WITHOUT_CATALOG = 2
"""Schema and name."""


def asset_key(fqn: str, config: SqlmeshProject, *, prefixed: bool) -> tuple[str, ...]:
    """The asset key of what has a fully qualified name; empty where it is `[catalog, schema,
    model]`, which can be read from the name.

    Args:
        fqn: The name.
        config: The project's configuration.
        prefixed: Whether it is a model of the project, so that its key has the project's prefix.
    """
    prefix = config.key_prefix if prefixed else ()
    if not prefix and config.catalog_in_key:
        return ()
    parts = tuple(part.name for part in exp.to_table(fqn).parts)
    return (*prefix, *(parts if config.catalog_in_key else parts[-_WITHOUT_CATALOG:]))
