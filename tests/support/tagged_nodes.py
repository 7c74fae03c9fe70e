"""Nodes with concurrency tags."""

from __future__ import annotations

from dagster_transform.graph import Node, Relation
from dagster_transform.planning import CONCURRENCY

PLACE = "postgres:db:5432/shop"


def node(*tags: str, concurrency: str = "") -> Node:
    properties = {CONCURRENCY: concurrency} if concurrency else {}
    return Node(
        "p:m", "p", "dbt", "m", "mart.m", "table", Relation(PLACE, "shop", "mart", "m"),
        tags=tags, properties=properties,
    )  # fmt: skip
