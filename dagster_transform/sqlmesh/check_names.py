"""SQLMesh's audits as checks: what they are called, of which kind they are, which of them block."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlglot import exp

STANDALONE_AUDIT = "standalone_audit"
"""The kind of a check that is a standalone audit; its `reference` is the audit's own name, under
which the state has its snapshot."""

EXTERNAL_AUDIT = "external_audit"
"""The kind of a check that is an audit of an external model; its `reference` is the model's fully
qualified name, under which the state has its snapshot, a colon, and the name of the check."""

_NOT_A_NAME = re.compile(r"[^A-Za-z0-9_]+")
_MAX_SUFFIX = 60


class NamedAudit(NamedTuple):
    """An audit as a model calls it.

    Attributes:
        name: The name of its check.
        audit: SQLMesh's audit.
        arguments: Its arguments as SQLMesh has them, `blocking` included.
        texts: Its arguments as SQL, without `blocking`.
    """

    name: str
    audit: Any
    arguments: dict[str, Any]
    texts: Mapping[str, str]

    @property
    def blocks(self) -> bool:
        """Whether its failure keeps an interval from being recorded."""
        return is_blocking(self.audit, self.arguments)


def named_audits(node: Any) -> list[NamedAudit]:
    """The audits of a model with the names of their checks, skipped ones left out; of a standalone
    audit, itself.

    Args:
        node: SQLMesh's Model or StandaloneAudit.
    """
    audits = [(audit, arguments) for audit, arguments in node.audits_with_args if not audit.skip]
    texts = [argument_texts(arguments, node.dialect) for _, arguments in audits]
    names = check_names(
        [(audit.name, text) for (audit, _), text in zip(audits, texts, strict=True)]
    )
    return [
        NamedAudit(name, audit, arguments, text)
        for name, (audit, arguments), text in zip(names, audits, texts, strict=True)
    ]


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
    # Who is called exactly so comes first: `a_b` keeps its name when an audit "a b" is added.
    by_exactness = sorted(range(len(plain)), key=lambda i: plain[i] != audits[i][0])
    for i in by_exactness:
        unique, number = plain[i], 1
        while unique in given or (number > 1 and unique in taken):
            number += 1
            unique = f"{plain[i]}_{number}"
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
