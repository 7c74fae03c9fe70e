"""What dbt's nodes and sources are called here: their asset keys and their names."""

from __future__ import annotations

from dagster_transform.dbt.files.manifest import Resource
from dagster_transform.dbt.files.meta import meta_error, meta_of


def asset_key(resource: Resource) -> tuple[str, ...]:
    """The asset key of a model, seed, snapshot or source.

    The first that applies: `meta.dagster.asset_key`; of a source, its name and its table's; of a
    versioned model, its alias; the schema that is configured for the node, and its name; its name.

    Raises:
        NodeConfigError: `asset_key` is neither a text nor a list of texts.
    """
    given = meta_of(resource, "dagster", config_first=True).get("asset_key")
    if given:
        parts = [given] if isinstance(given, str) else given
        if not isinstance(parts, list) or not all(isinstance(p, str) and p for p in parts):
            raise meta_error(resource, "dagster.asset_key", given, "a list of texts")
        return tuple(parts)
    if resource["resource_type"] == "source":
        return resource["source_name"], resource["name"]
    if resource.get("version"):
        return (resource["alias"],)
    schema = (resource.get("config") or {}).get("schema")
    return (resource["name"],) if schema is None else (schema, resource["name"])


def name_of(resource: Resource) -> str:
    """The name as dbt's users write it: `orders`, `orders.v2`, of a source `shop.orders`."""
    if resource["resource_type"] == "source":
        return f"{resource['source_name']}.{resource['name']}"
    version = resource.get("version")
    return str(resource["name"]) + ("" if version is None else f".v{version}")
