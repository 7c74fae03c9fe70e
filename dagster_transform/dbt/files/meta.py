"""What the `meta` of a dbt resource says for Dagster (`dagster`) and us (`dagster_transform`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster_transform.dbt.errors import NodeConfigError
from dagster_transform.dbt.files.manifest import Resource


def meta_of(resource: Resource, word: str, *, config_first: bool = False) -> Mapping[str, Any]:
    """What a resource's meta has under `word` (`dagster`, `dagster_transform`).

    Args:
        resource: A resource of the manifest.
        word: The key in its meta.
        config_first: Whether the meta in its config counts before its own, if it has both.

    Raises:
        NodeConfigError: It is no mapping.
    """
    own, configured = resource.get("meta"), (resource.get("config") or {}).get("meta")
    meta = (configured or own) if config_first else (own or configured)
    found = (meta or {}).get(word)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise meta_error(resource, word, found, "a mapping")
    return found


def meta_error(resource: Resource, key: str, value: object, expected: str) -> NodeConfigError:
    """The error that a value in a resource's meta can't be understood."""
    return NodeConfigError(
        f"{resource['unique_id']} ({resource['original_file_path']}): meta.{key} is {value!r};"
        f" {expected} is expected.",
        remedy="Correct it there, or in the properties file of the node.",
    )
