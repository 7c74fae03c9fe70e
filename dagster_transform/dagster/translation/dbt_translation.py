"""How dbt's nodes and checks look in Dagster: the names that users of dagster-dbt have.

`TransformTranslator` has a method for each aspect and asks here where a node is dbt's.
"""

from __future__ import annotations

import json
import logging
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg

from dagster_transform.dagster._compat import any_downstream_conditions, code_references
from dagster_transform.dagster.translation.metadata import arguments
from dagster_transform.graph import Check, Node, Source

_log = logging.getLogger("dagster_transform")

_TAG = re.compile(r"([A-Za-z0-9_.-]{1,63}/)?[A-Za-z0-9_.-]{1,63}")
_CHECK_KINDS = frozenset({"test", "unit_test", "freshness"})
# What else a dbt user may want to see, under our own prefix: dagster-dbt has none of it.
_SHOWN = (
    "access", "batch_size", "build_after", "constraints", "contract", "deprecation_date",
    "functions", "language", "latest_version", "meta", "package", "patch_path", "unique_key",
    "version",
)  # fmt: skip


def is_dbt(thing: Node | Source | Check) -> bool:
    """Whether a node, source or check is dbt's."""
    if isinstance(thing, Check):
        return thing.kind in _CHECK_KINDS
    if isinstance(thing, Source):
        return bool(thing.key)
    return thing.framework == "dbt"


def description(node: Node) -> str:
    """The description (else what the node is), and the code as it is written."""
    kind, _, name, *_ = node.reference.split(".")
    code = textwrap.indent(node.properties.get("raw_code", ""), "    ")
    return f"{node.description or f'dbt {kind} {name}'}\n\n#### Raw SQL:\n```sql\n{code}\n```"


def tags(names: Iterable[str]) -> dict[str, str]:
    """The tags as keys without a value. Those that Dagster does not take are left out, and a
    warning says so, once for each."""
    return {name: "" for name in names if _is_tag(name)}


def kinds(node: Node) -> set[str]:
    """`dbt` and the adapter."""
    return {"dbt", node.properties["adapter"]}


def automation_condition(node: Node) -> dg.AutomationCondition[Any] | None:
    """What `meta.dagster.auto_materialize_policy.type` asks for: `eager` or `lazy`."""
    match node.properties.get("automation"):
        case "eager":
            return dg.AutomationCondition.eager()
        case "lazy":  # as Dagster says of AutoMaterializePolicy.lazy()
            return any_downstream_conditions()
    return None


def metadata(node: Node, root: Path | None) -> dict[str, Any]:
    """What dagster-dbt's users look for, by the same keys, and more of it by keys of ours."""
    adapter = node.properties["adapter"]
    found: dict[str, Any] = {
        "dagster_dbt/unique_id": node.reference,
        "dagster-dbt/materialization_type": node.kind,
        "dagster/table_name": node.properties.get("table_name", str(node.relation)),
        "dagster/storage_kind": adapter,
    }
    if node.columns:
        found["dagster/column_schema"] = _table_schema(node)
    if node.location is not None and root is not None:
        path = str(root / node.location.path)
        found["dagster/code_references"] = code_references(path, node.location.line)
    for name in _SHOWN:
        if value := node.properties.get(name):
            found[f"dagster_transform/{name}"] = (
                dg.MetadataValue.json(json.loads(value)) if name == "meta" else value
            )
    if node.cron:
        zone = f" {node.time_zone}" if node.time_zone else ""
        found["dagster_transform/cron"] = f"{node.cron}{zone}"
    return found


def check_metadata(check: Check) -> dict[str, Any]:
    """The unique id of the test, and what dbt's users write of it: column, severity..."""
    return {"dagster_dbt/unique_id": check.reference, **arguments(check)}


def check_blocking(check: Check) -> bool:
    """Whether a failure holds back all that is downstream of the asset, however dbt is run."""
    return check.holds_readers and not check.properties.get("severity")


def _table_schema(node: Node) -> dg.TableSchema:
    of_columns: Mapping[str, Any] = json.loads(node.properties.get("columns", "{}"))
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                column.type or "?",
                description=column.description,
                constraints=_constraints(of_columns.get(column.name, {}).get("constraints", ())),
                tags=tags(of_columns.get(column.name, {}).get("tags", ())),
            )
            for column in node.columns
        ]
    )


def _constraints(words: Sequence[str]) -> dg.TableColumnConstraints | None:
    if not words:
        return None
    names = {"not_null", "unique", "primary_key"} & set(words)
    return dg.TableColumnConstraints(
        nullable=not names & {"not_null", "primary_key"},
        unique=bool(names & {"unique", "primary_key"}),
        other=[word for word in words if word not in {"not_null", "unique"}],
    )


@cache
def _is_tag(name: str) -> bool:
    found = _TAG.fullmatch(name) is not None
    if not found:
        _log.warning("The dbt tag %r is left out: Dagster does not take it.", name)
    return found
