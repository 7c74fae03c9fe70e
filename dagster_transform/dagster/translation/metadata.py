"""What Dagster stores beside a materialisation, an observation or a check's evaluation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from dagster_transform.graph import RAW_CODE, Check, InputId, Node

if TYPE_CHECKING:
    from dagster_transform.walk import CheckResult, Report

_FENCES = re.compile("`{3,}")
OUTCOME = "dagster_transform/outcome"
REASON = "dagster_transform/reason"
COLUMN_LINEAGE = "dagster/column_lineage"
COLUMNS = "dagster/column_schema"
COMPUTED_FROM = "dagster_transform/computed_from"
CODE_VERSION = "dagster_transform/code_version"
"""Of a check's result: of the node that it judged."""


def with_code(text: str | None, properties: Mapping[str, str], language: str = "sql") -> str | None:
    """A description, and below it the code of a node or check, where it has some."""
    code = properties.get(RAW_CODE)
    if not code:
        return text
    fence = max(["```", *(f"{found}`" for found in _FENCES.findall(code))], key=len)
    title = "Raw SQL" if language == "sql" else f"Raw {language.capitalize()}"
    return f"{text or ''}\n\n#### {title}:\n{fence}{language}\n{code}\n{fence}".lstrip()


def arguments(check: Check) -> dict[str, str]:
    """What is said of a check apart from its code: its arguments, its column, its severity."""
    return {key: value for key, value in check.properties.items() if key != RAW_CODE}


def report_metadata(
    report: Report, node: Node, keys: Mapping[InputId, dg.AssetKey]
) -> dict[str, Any]:
    """What a node's report says.

    Args:
        report: It.
        node: The node, for the descriptions of its columns.
        keys: Asset keys of all nodes and sources, by id.
    """
    metadata: dict[str, Any] = {OUTCOME: report.outcome.value}
    if report.seconds:
        metadata["dagster_transform/duration_seconds"] = round(report.seconds, 3)
    if report.rows is not None:
        metadata["dagster_transform/rows_written"] = report.rows
    if report.table_rows is not None:
        metadata["dagster/row_count"] = report.table_rows
    if report.columns:
        # Databases write names in their own case.
        described = {c.name.lower(): c.description for c in node.columns}
        metadata[COLUMNS] = dg.TableSchema(
            columns=[
                dg.TableColumn(name, type, description=described.get(name.lower()))
                for name, type in report.columns.items()
            ]
        )
    if (lineage := column_lineage(report.column_lineage, keys)) is not None:
        metadata |= shown_lineage(lineage)
    details: Mapping[str, Any] = report.details
    return metadata | {f"dagster_transform/{key}": value for key, value in details.items()}


def column_lineage(
    columns: Mapping[str, Iterable[tuple[InputId, str]]], keys: Mapping[InputId, dg.AssetKey]
) -> dg.TableColumnLineage | None:
    """What columns are computed from, as Dagster shows it; None where nothing is known.

    Args:
        columns: By column: (id of a node or source, column there).
        keys: Asset keys of all nodes and sources, by id.
    """
    found = {
        column: [
            dg.TableColumnDep(asset_key=key, column_name=name)
            # Sources on two connections may have one key.
            for key, name in dict.fromkeys((keys[id], name) for id, name in sources)
        ]
        for column, sources in columns.items()
    }
    return dg.TableColumnLineage(deps_by_column=found) if found else None


def shown_lineage(lineage: dg.TableColumnLineage) -> dict[str, Any]:
    """A lineage of columns as metadata: for Dagster+, which draws it, and as a table in Markdown,
    which Dagster OSS shows too."""
    rows = ["| column | computed from |", "| --- | --- |"]
    for column, deps in lineage.deps_by_column.items():
        read = ", ".join(f"{d.asset_key.to_user_string()}.{d.column_name}" for d in deps)
        rows.append(f"| {_cell(column)} | {_cell(read)} |")
    return {COLUMN_LINEAGE: lineage, COMPUTED_FROM: dg.MetadataValue.md("\n".join(rows))}


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def check_metadata(
    result: CheckResult, check: Check, judged: Node | None
) -> dict[str, dg.MetadataValue[Any]]:
    """What a check's result says, and what it judged.

    Args:
        result: It.
        check: Of which check it is.
        judged: The node that the check is on; None: it is on a source.
    """
    found = dict(result.details)
    if result.failed_rows is not None:
        found = {"failed_rows": result.failed_rows, **found}
    if asked := arguments(check):
        found["arguments"] = ", ".join(f"{key}={value}" for key, value in asked.items())
    metadata: dict[str, dg.MetadataValue[Any]] = {
        f"dagster_transform/{key}": _shown(key, value) for key, value in found.items()
    }
    if judged is not None and judged.code_version and CODE_VERSION not in metadata:
        metadata[CODE_VERSION] = dg.MetadataValue.text(judged.code_version)
    if result.sample:
        records = [dg.TableRecord(dict(row)) for row in result.sample]
        columns = [dg.TableColumn(name, "any") for name in result.sample[0]]
        metadata["dagster_transform/sample"] = dg.MetadataValue.table(
            records, dg.TableSchema(columns)
        )
    return metadata


def _shown(key: str, value: Any) -> dg.MetadataValue[Any]:
    if isinstance(value, int):
        return dg.MetadataValue.int(value)
    if isinstance(value, float):
        return dg.MetadataValue.float(value)
    if key == "query":
        return dg.MetadataValue.md(f"```sql\n{value}\n```")
    text = str(value)  # the UI hides markdown behind a link
    return dg.MetadataValue.md(text) if "\n" in text else dg.MetadataValue.text(text)
