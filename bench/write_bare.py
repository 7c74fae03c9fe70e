"""Child process: write the assets of a definitions.py as bare Dagster, nothing left out.

The data are literals, which Python keeps as bytecode: no file has to be parsed when they are
loaded, so this is the least that Dagster itself can take.
"""

from __future__ import annotations

import sys
from pathlib import Path
from pprint import pformat
from typing import Any

import dagster as dg

from bench.load_worker import load_definitions

_TAIL = """

def metadata(values):
    found = {}
    for name, (kind, value) in values.items():
        if kind == "plain":
            found[name] = value
        elif kind == "markdown":
            found[name] = dg.MetadataValue.md(value)
        elif kind == "columns":
            columns = [dg.TableColumn(n, t, description=d) for n, t, d in value]
            found[name] = dg.TableSchema(columns=columns)
        elif kind == "lineage":
            found[name] = dg.TableColumnLineage(
                {
                    column: [dg.TableColumnDep(dg.AssetKey(key), there) for key, there in deps]
                    for column, deps in value.items()
                }
            )
        else:
            references = [dg.LocalFileCodeReference(file_path=f, line_number=n) for f, n in value]
            found[name] = dg.CodeReferencesMetadataValue(code_references=references)
    return found


@dg.multi_asset(
    name="transform",
    specs=[
        dg.AssetSpec(
            key=dg.AssetKey(key),
            deps=[dg.AssetKey(dep) for dep in deps],
            description=description,
            metadata=metadata(values),
            group_name=group,
            code_version=version,
            owners=owners,
            tags=tags,
            kinds=kinds,
            skippable=True,
        )
        for key, deps, description, values, group, version, owners, tags, kinds in ASSETS
    ],
    check_specs=[
        dg.AssetCheckSpec(
            name=name,
            asset=dg.AssetKey(asset),
            description=description,
            blocking=blocking,
            metadata=metadata(values),
        )
        for name, asset, description, blocking, values in CHECKS
    ],
    can_subset=True,
)
def transform(context):
    raise NotImplementedError


defs = dg.Definitions(assets=[transform], executor=dg.in_process_executor)
"""
_KIND = "dagster/kind/"


def main() -> None:
    """Arguments: the definitions.py to read, the file to write."""
    source, target = (Path(argument) for argument in sys.argv[1:])
    (assets,) = load_definitions(source).assets
    specs = [
        (
            list(spec.key.path), [list(dep.asset_key.path) for dep in spec.deps], spec.description,
            _values(spec.metadata), spec.group_name, spec.code_version, list(spec.owners),
            {k: v for k, v in spec.tags.items() if not k.startswith(_KIND)}, set(spec.kinds),
        )
        for spec in assets.specs
    ]  # fmt: skip
    checks = [
        (c.name, list(c.asset_key.path), c.description, c.blocking, _values(c.metadata))
        for c in assets.check_specs
    ]
    literals = {"ASSETS": specs, "CHECKS": checks}
    text = "import dagster as dg\n"
    for name, values in literals.items():
        text += f"\n{name} = {pformat(values, width=1000, sort_dicts=False)}\n"
    target.write_text(text + _TAIL, encoding="utf-8")


def _values(metadata: Any) -> dict[str, Any]:
    return {name: _value(value) for name, value in metadata.items() if not _of_dagster(name)}


def _of_dagster(name: str) -> bool:
    """What Dagster itself adds to a spec that went through a multi_asset."""
    return name.startswith("dagster/asset_execution_type") or name == "dagster/code_version"


def _value(value: Any) -> tuple[str, Any]:
    if isinstance(value, dg.TableSchema | dg.TableSchemaMetadataValue):
        schema = value.schema if isinstance(value, dg.TableSchemaMetadataValue) else value
        return "columns", [(c.name, c.type, c.description) for c in schema.columns]
    if isinstance(value, dg.TableColumnLineage | dg.TableColumnLineageMetadataValue):
        lineage = getattr(value, "lineage", value)
        return "lineage", {
            column: [(list(dep.asset_key.path), dep.column_name) for dep in deps]
            for column, deps in lineage.deps_by_column.items()
        }
    if isinstance(value, dg.CodeReferencesMetadataValue):
        return "code", [(r.file_path, r.line_number) for r in value.code_references]
    if isinstance(value, dg.MarkdownMetadataValue):
        return "markdown", value.value
    if isinstance(value, dg.MetadataValue):
        value = value.value
    if value is not None and not isinstance(value, str | int | float):
        raise TypeError(f"{value!r}: teach write_bare.py this kind of metadata")
    return "plain", value


if __name__ == "__main__":
    main()
