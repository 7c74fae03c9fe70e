"""How SQLMesh's names become ours: relations, connection identities, check names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlglot import exp

from dagster_transform.graph import Relation

STANDALONE_AUDIT = "standalone_audit"
"""The kind of a check that is a standalone audit; its `reference` is the audit's own name, under
which the state has its snapshot."""

EXTERNAL_AUDIT = "external_audit"
"""The kind of a check that is an audit of an external model; its `reference` is the model's fully
qualified name, under which the state has its snapshot, a colon, and the name of the check."""

_NOT_A_NAME = re.compile(r"[^A-Za-z0-9_]+")
_MAX_SUFFIX = 60


def connection_identity(connection: Any, catalog: str | None = None) -> str:
    """The database that a SQLMesh connection config leads to; never a user name or a password.

    Args:
        connection: A sqlmesh ConnectionConfig.
        catalog: A catalog there: DuckDB can have several files open, one for each. None, and one
            that the config does not name, are the connection's default.

    Returns:
        `duckdb:<resolved path>` for a file (one process only can hold it), else
        `<type>:<host>:<port>/<database>` with what the config has of these.
    """
    kind = str(connection.type_)
    # What is no file (a server that DuckDB attaches) is told apart by the file beside it.
    if path := duckdb_file(connection, catalog) or duckdb_file(connection):
        return f"duckdb:{path}"
    place = next(
        (str(v) for k in ("host", "server", "account", "server_hostname", "project", "region_name")
         if (v := getattr(connection, k, None))),
        "",
    )  # fmt: skip
    port = getattr(connection, "port", None)
    database = connection.get_catalog()
    return f"{kind}:{place}{f':{port}' if port else ''}{f'/{database}' if database else ''}"


def duckdb_file(connection: Any, catalog: str | None = None) -> str | None:
    """The resolved path of the DuckDB file that a connection config names, if it names one.

    Args:
        connection: A sqlmesh ConnectionConfig.
        catalog: Which of its catalogs; None, and one that it does not name, are its default.
    """
    if str(connection.type_) != "duckdb":
        return None
    if connection.database is not None or not connection.catalogs:
        return _file(connection.database)
    catalogs = connection.catalogs
    return _file(catalogs.get(catalog, next(iter(catalogs.values()))))


def duckdb_files(connection: Any) -> list[str]:
    """The resolved paths of all DuckDB files that a connection holds while it is open."""
    found = [duckdb_file(connection)]
    if str(connection.type_) == "duckdb":
        found += [_file(attached) for attached in (connection.catalogs or {}).values()]
    return list(dict.fromkeys(path for path in found if path))


def _file(attached: Any) -> str | None:
    """The path of what a DuckDB connection opens; None where it is no file of DuckDB's."""
    if getattr(attached, "type", "duckdb") != "duckdb":
        return None
    path = str(getattr(attached, "path", attached) or "")
    # Drivers take `md:cloud`, `ducklake:...` and the like where a path may stand.
    if not path or re.match(r"[A-Za-z]{2,}:|:memory:", path):
        return None
    return str(Path(path).resolve())


def relation_of(connection: str, table: exp.Table) -> Relation:
    """A normalised sqlglot table as a relation."""
    return Relation(connection, table.catalog or None, table.db or None, table.name)


def argument_texts(arguments: Mapping[str, Any], dialect: str | None) -> dict[str, str]:
    """An audit's arguments as SQL, without `blocking`, which is not one of the audit's own."""
    return {
        key: value.sql(dialect=dialect) if isinstance(value, exp.Expr) else str(value)
        for key, value in sorted(arguments.items())
        if key != "blocking"
    }


def check_names(audits: Sequence[tuple[str, Mapping[str, str]]]) -> list[str]:
    """Unique check names for a model's audits, in their order.

    The audit's name where the model has it once; else with the arguments in which the audits of
    that name differ; else (equal arguments, or endless ones) with a number.

    Args:
        audits: Name and arguments (as from `argument_texts`) of each audit.

    Returns:
        Names in Dagster's alphabet (letters, digits, underscore).
    """
    together: dict[str, list[Mapping[str, str]]] = {}
    for name, arguments in audits:
        together.setdefault(name, []).append(arguments)
    plain = [_suffixed(name, arguments, together[name]) for name, arguments in audits]
    taken = set(plain)  # a number must not make a name that another audit has by itself
    given: set[str] = set()
    for i, text in enumerate(plain):
        unique, number = text, 1
        while unique in given or (number > 1 and unique in taken):
            number += 1
            unique = f"{text}_{number}"
        given.add(unique)
        plain[i] = unique
    return plain


def _suffixed(name: str, arguments: Mapping[str, str], others: Sequence[Mapping[str, str]]) -> str:
    differing = {
        key: value
        for key, value in arguments.items()
        if any(other.get(key) != value for other in others)
    }
    suffix = "_".join(f"{key}_{value}" for key, value in differing.items())
    suffix = check_name(suffix).strip("_")[:_MAX_SUFFIX].strip("_")
    return check_name(f"{name}_{suffix}" if suffix else name)


def check_name(name: str) -> str:
    """A name in Dagster's alphabet for checks: letters, digits, underscore."""
    return _NOT_A_NAME.sub("_", name)


def is_blocking(audit: Any, arguments: Mapping[str, Any]) -> bool:
    """SQLMesh's rule: the model's `blocking` argument, else the audit's own."""
    override = arguments.get("blocking")
    return bool(override == exp.true()) if override else bool(audit.blocking)
