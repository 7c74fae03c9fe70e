"""Entries of a manifest."""

from __future__ import annotations

from typing import Any


def resource(**fields: Any) -> dict[str, Any]:
    """A model, as a manifest has it."""
    return {
        "unique_id": "model.shop.orders", "resource_type": "model", "name": "orders",
        "alias": "orders", "package_name": "shop", "original_file_path": "models/orders.sql",
        "database": "db", "schema": "main", "relation_name": '"db"."main"."orders"',
        "config": {}, "meta": {}, **fields,
    }  # fmt: skip


def source(**fields: Any) -> dict[str, Any]:
    given = {"resource_type": "source", "source_name": "till", "identifier": "orders", **fields}
    return resource(**given)
