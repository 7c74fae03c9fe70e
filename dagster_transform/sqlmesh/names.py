"""How SQLMesh's names become ours: relations, connection identities, check names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlglot import exp

from dagster_transform.graph import Relation

_NOT_A_NAME = re.compile(r"[^A-Za-z0-9_]+")
_MAX_SUFFIX = 60


def connection_identity(connection: Any) -> str:
    """The database that a SQLMesh connection config leads to; never a user name or a password.

    Args:
        connection: A sqlmesh ConnectionConfig.

    Returns:
        `duckdb:<resolved path>` for a file (one process only can hold it), else
        `<type>:<host>:<port>/<database>` with what the config has of these.
    """
    kind = str(connection.type_)
    if path := duckdb_file(connection):
        return f"duckdb:{path}"
    place = next(
        (str(v) for k in ("host", "server", "account", "server_hostname", "project", "region_name")
         if (v := getattr(connection, k, None))),
        "",
    )  # fmt: skip
    port = getattr(connection, "port", None)
    database = connection.get_catalog()
    return f"{kind}:{place}{f':{port}' if port else ''}{f'/{database}' if database else ''}"


def duckdb_file(connection: Any) -> str | None:
    """The resolved path of the DuckDB file that a connection config names, if it names one."""
    if str(connection.type_) != "duckdb":
        return None
    database = connection.database
    if database is None and connection.catalogs:
        first = next(iter(connection.catalogs.values()))
        database = first if isinstance(first, str) else first.path
    if not database or str(database).startswith(":memory:"):
        return None
    return str(Path(str(database)).resolve())


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
    suffix = _NOT_A_NAME.sub("_", suffix).strip("_")[:_MAX_SUFFIX].strip("_")
    return _NOT_A_NAME.sub("_", f"{name}_{suffix}" if suffix else name)


def is_blocking(audit: Any, arguments: Mapping[str, Any]) -> bool:
    """SQLMesh's rule: the model's `blocking` argument, else the audit's own."""
    override = arguments.get("blocking")
    return bool(override == exp.true()) if override else bool(audit.blocking)
