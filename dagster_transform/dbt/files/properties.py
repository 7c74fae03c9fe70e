"""Further properties of a dbt node, as strings: what no other field of a node holds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dagster_transform.dbt.errors import NodeConfigError
from dagster_transform.dbt.files.crons import build_after
from dagster_transform.dbt.files.manifest import Resource
from dagster_transform.dbt.files.meta import meta_error, meta_of
from dagster_transform.dbt.files.relations import table_name
from dagster_transform.dbt.unique_ids import UniqueId
from dagster_transform.graph import Relation
from dagster_transform.planning import CONCURRENCY

_OURS = frozenset({"dagster", "dagster_transform"})
_OF_INCREMENTAL = ("incremental_strategy", "on_schema_change")
_OF_MICROBATCH = ("batch_size", "lookback", "begin", "concurrent_batches")
_OF_SNAPSHOT = ("strategy", "updated_at", "check_cols")


def properties_of(
    node: Resource, *, adapter: str, relation: Relation, functions: Sequence[UniqueId]
) -> dict[str, str]:
    """The further properties of a node; what does not apply is omitted.

    `adapter`, `package`, `language` (of Python models), `raw_code`, `table_name` (where it is not
    what the relation says), `access`, `version`, `latest_version`, `deprecation_date`, `contract`,
    `constraints`, `columns` (JSON: tags and constraints by column), `automation` (`eager` or
    `lazy`), `build_after`, `functions` (unique ids, by comma), `meta` (JSON), `concurrency` (of
    `meta.dagster_transform.tags`: what building it takes of what is counted), and of the
    materialisation `unique_key`, `event_time`, `incremental_strategy`, `on_schema_change`,
    `batch_size`, `lookback`, `begin`, `concurrent_batches`, `strategy`, `updated_at`, `check_cols`.
    `access` is omitted where it is the default, `protected`.

    Raises:
        NodeConfigError: `meta.dagster` or `meta.dagster_transform` can't be understood.
    """
    config: Mapping[str, Any] = node["config"]
    name = table_name(node)
    found = {
        "adapter": adapter,
        "package": node["package_name"],
        "language": language if (language := node.get("language")) != "sql" else None,
        "raw_code": node.get("raw_code"),
        "table_name": name if name != str(relation) else None,
        "access": access if (access := node.get("access")) != "protected" else None,
        **{key: node.get(key) for key in ("version", "latest_version", "deprecation_date")},
        "contract": "enforced" if (node.get("contract") or {}).get("enforced") else None,
        "constraints": ", ".join(map(_constraint, node.get("constraints") or ())),
        "columns": _columns(node),
        "automation": _automation(node),
        "build_after": _build_after(node),
        "functions": ", ".join(functions),
        "meta": _meta(node),
        CONCURRENCY: _concurrency(node),
        **{key: config.get(key) for key in _of_kind(config)},
    }
    return {key: _text(value) for key, value in found.items() if value not in (None, "", [], {})}


def _of_kind(config: Mapping[str, Any]) -> tuple[str, ...]:
    match config.get("materialized"):
        case "incremental":
            batches = config.get("incremental_strategy") == "microbatch"
            return ("unique_key", "event_time", *_OF_INCREMENTAL, *_OF_MICROBATCH * batches)
        case "snapshot":
            return ("unique_key", "event_time", *_OF_SNAPSHOT)
    return ("event_time",)


def _automation(node: Resource) -> str | None:
    policy = meta_of(node, "dagster").get("auto_materialize_policy") or {}
    if not isinstance(policy, dict):
        raise meta_error(node, "dagster.auto_materialize_policy", policy, "a mapping with `type`")
    kind = policy.get("type")
    return kind if kind in ("eager", "lazy") else None


def _concurrency(node: Resource) -> str:
    """`meta.dagster_transform.tags`, a mapping of names to weights or a list of names."""
    tags = meta_of(node, "dagster_transform").get("tags")
    if tags is None:
        return ""
    weights = dict.fromkeys(tags, 1) if _is_names(tags) else tags
    if not isinstance(weights, dict) or not _is_names(list(weights)):
        raise _no_tags(node, tags)
    for weight in weights.values():
        if not isinstance(weight, int) or isinstance(weight, bool) or weight < 1:
            raise _no_tags(node, tags)
    return " ".join(f"{name}:{weight}" if weight > 1 else name for name, weight in weights.items())


def _is_names(found: object) -> bool:
    return isinstance(found, list) and all(
        isinstance(name, str) and name.split() == [name] for name in found
    )


def _no_tags(node: Resource, tags: object) -> NodeConfigError:
    expected = "a mapping of tags to numbers above 0, or a list of tags, without spaces in them"
    return meta_error(node, "dagster_transform.tags", tags, expected)


def _build_after(node: Resource) -> str | None:
    rule = build_after(node)
    if rule is None:
        return None
    return f"{rule['count']} {rule['period']}, updates on {rule.get('updates_on') or 'any'}"


def _meta(node: Resource) -> str | None:
    meta = {key: value for key, value in (node.get("meta") or {}).items() if key not in _OURS}
    return json.dumps(meta, sort_keys=True, default=str) if meta else None


def _columns(node: Resource) -> str | None:
    found: dict[str, dict[str, Any]] = {}
    for column in (node.get("columns") or {}).values():
        kinds = {
            "tags": sorted(column.get("tags") or ()),
            "constraints": [_constraint(c) for c in column.get("constraints") or ()],
        }
        kept = {key: value for key, value in kinds.items() if value}
        if kept:
            found[column["name"]] = kept
    return json.dumps(found, sort_keys=True) if found else None


def _constraint(constraint: Mapping[str, Any]) -> str:
    """`primary_key (a, b)`, `check (a > 0)`, `foreign_key (a) references shop.b (c)`."""
    parts = [str(constraint["type"])]
    if columns := constraint.get("columns"):
        parts.append(f"({', '.join(columns)})")
    if expression := constraint.get("expression"):
        parts.append(f"({expression})" if constraint["type"] == "check" else str(expression))
    if to := constraint.get("to"):
        columns = ", ".join(constraint.get("to_columns") or ())
        parts.append(f"references {to}" + (f" ({columns})" if columns else ""))
    return " ".join(parts)


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)
