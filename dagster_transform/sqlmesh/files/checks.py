"""Audits as checks of the graph: which there are, what they are called, where they are shown."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dagster_transform.graph import RAW_CODE, Check, Graph, InputId, Location, check_id
from dagster_transform.sqlmesh.check_names import (
    EXTERNAL_AUDIT,
    STANDALONE_AUDIT,
    check_name,
    named_audits,
)
from dagster_transform.sqlmesh.files.code import code_of

_log = logging.getLogger("dagster_transform")

Locate = Callable[[Path | None, str], Location | None]
"""Where a name is written in a file."""


def model_checks(project: str, target: InputId, model: Any, locate: Locate) -> Iterator[Check]:
    """The audits of a model; skipped ones are left out.

    Those of an external model are never a part of a build, as there is none. Blocking ones hold
    back what reads it, as in SQLMesh's own runs.

    Args:
        project: The project's name.
        target: Id of the model's node; of an external model's source.
        model: A sqlmesh Model.
        locate: Finds where an audit is written.
    """
    external = model.kind.is_external
    for named in named_audits(model):
        audit, name = named.audit, named.name
        call = ", ".join(f"{key} := {value}" for key, value in named.texts.items())
        yield Check(
            id=check_id(target, name),
            project=project,
            name=name,
            target=target,
            kind=EXTERNAL_AUDIT if external else "audit",
            reference=f"{model.fqn}:{name}" if external else name,
            blocking=named.blocks,
            in_build=named.blocks and not external,
            description=f"SQLMesh audit {audit.name}({call})",
            location=locate(getattr(audit, "_path", None) or model._path, audit.name),
            properties=_with_code(named.texts, audit),
        )


def standalone_checks(
    project: str,
    audits: Iterable[tuple[Any, Collection[InputId]]],
    graph: Graph,
    locate: Locate,
) -> Iterator[Check]:
    """Standalone audits as checks.

    Each is shown on the node furthest downstream of those that it reads: when that one is built,
    the others are. One that reads no node is shown on a source, and one that reads nothing at all
    can't be shown: a warning says so.

    Args:
        project: The project's name.
        audits: Each audit with the ids of the nodes and sources that it reads.
        graph: The project's nodes, sources and other checks, which keep their names.
        locate: Finds where an audit is written.

    Yields:
        Checks of kind `standalone_audit`. They never block and are no part of a build.
    """
    used = {(check.target, check.name) for check in graph.checks.values()}
    depths = graph.depths()
    for audit, reads in sorted(audits, key=lambda found: str(found[0].name)):
        if audit.skip:
            continue
        if not reads:
            _log.warning("Audit %s reads nothing: there is no asset to show it on", audit.name)
            continue
        # The deepest, of several the first by name; a source has no depth.
        target = min(reads, key=lambda read: (-depths.get(read, 0), read))
        name = _free_name(check_name(audit.name), target, used)
        used.add((target, name))
        yield Check(
            id=check_id(target, name),
            project=project,
            name=name,
            target=target,
            also=tuple(sorted(set(reads) - {target})),
            kind=STANDALONE_AUDIT,
            reference=audit.fqn,
            blocking=False,
            in_build=False,
            description=audit.description or f"SQLMesh standalone audit {audit.name}",
            location=locate(audit._path, audit.name),
            properties=_with_code(_properties(audit), audit),
        )


def _free_name(name: str, target: InputId, used: Collection[tuple[InputId, str]]) -> str:
    """`name`, changed where an audit of the model has it: that one was there first."""
    free, number = name, 1
    while (target, free) in used:
        free = f"{name}_standalone" + (f"_{number}" if number > 1 else "")
        number += 1
    return free


def _with_code(properties: Mapping[str, str], audit: Any) -> dict[str, str]:
    code = code_of(audit)
    return {**properties, RAW_CODE: code} if code else dict(properties)


def _properties(audit: Any) -> dict[str, str]:
    found = {
        "cron": audit.cron,
        "cron_tz": str(audit.cron_tz or ""),
        "owner": audit.owner or "",
    }
    return {key: value for key, value in found.items() if value}
