"""dbt's tests, unit tests and freshness rules as checks of the graph."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from dagster_transform.dbt.files.arguments import arguments_of, call_of
from dagster_transform.dbt.files.crons import build_after
from dagster_transform.dbt.files.lineage import Lineage
from dagster_transform.dbt.files.manifest import (
    Manifest,
    Resource,
    is_built,
    is_ephemeral,
    parents,
)
from dagster_transform.dbt.files.meta import meta_error, meta_of
from dagster_transform.dbt.unique_ids import UniqueId
from dagster_transform.graph import (
    RAW_CODE,
    Check,
    Graph,
    InputId,
    Location,
    NodeId,
    Position,
    check_id,
    node_id,
)

TEST, UNIT_TEST, FRESHNESS = "test", "unit_test", "freshness"
"""The kinds of dbt's checks. Their `reference` is the unique id of the test or unit test; of a
freshness rule, that of the source or model that has it."""

Locate = Callable[[Resource], Location | None]
"""Where a resource is written."""

_NOT_A_NAME = re.compile(r"[^A-Za-z0-9_]+")
_TESTED_SOURCE = re.compile(r"source\(\s*['\"]([^'\"]+)['\"]\s*,\s*['\"]([^'\"]+)['\"]\s*\)")


@dataclass(frozen=True, slots=True)
class Checks:
    """The checks of a project.

    Attributes:
        shown: Those that have a node or source to be shown on.
        homeless: Names of those that have none: their project has neither nodes nor sources.
    """

    shown: tuple[Check, ...]
    homeless: tuple[str, ...]


def read_checks(manifest: Manifest, lineage: Lineage, graph: Graph, locate: Locate) -> Checks:
    """The tests, unit tests and freshness rules of a manifest.

    A test is shown on the node that it is attached to; on the only one that it reads; or where
    `meta.dagster.ref` says. One that reads several and says nothing is shown on the one furthest
    downstream: when that one is built, the others are. A test of an ephemeral model is shown on
    what the model reads, or on what reads it if it reads nothing. One that reads nothing at all
    is shown on the node of its package furthest downstream, as if it read all of them.

    What it holds back is what dbt holds back: whatever is below all that it reads. A test of an
    ephemeral model holds back what reads that, one without a reference nothing, and a unit test
    its model. Severity `warn` makes no difference there: whether dbt calls it a failure, the run
    finds out (`warn_error` may say so).

    Args:
        manifest: The manifest.
        lineage: Its lineage.
        graph: Its nodes and sources, without checks.
        locate: Finds where a test is written.

    Raises:
        NodeConfigError: A test's `meta.dagster` can't be understood.
        UnknownNodeError: A test reads what the manifest does not have.
    """
    reader = _Reader(manifest, lineage, graph, locate)
    found: list[Check] = []
    homeless: list[str] = []
    for read, resource_type in ((reader.test, "test"), (reader.unit_test, "unit_test")):
        for resource in filter(manifest.selects, manifest.of_type(resource_type)):
            check = read(resource)
            if check is None:
                homeless.append(str(resource["name"]))
            else:
                found.append(check)
    found += reader.freshness()
    return Checks(tuple(_uniquely_named(found)), tuple(homeless))


class _Reader:
    def __init__(self, manifest: Manifest, lineage: Lineage, graph: Graph, locate: Locate) -> None:
        self._manifest = manifest
        self._lineage = lineage
        self._graph = graph
        self._locate = locate
        self._depths = graph.depths()

    def test(self, test: Resource) -> Check | None:
        """A generic or singular test; None where there is nothing to show it on."""
        reads = self._lineage.reads(test["unique_id"])
        target, position = self._target(test, reads), self._position(parents(test))
        if target is not None and not reads:
            position = Position(after=self._ids([target]))  # the project says where it belongs
        elif target is None and (home := self._home(test, position)):
            target, position = home
        if target is None:
            return None
        config = test["config"]
        severity = str(config.get("severity") or "error").lower()
        return self._check(
            test,
            TEST,
            target,
            also=tuple(read for read in reads if read != target),
            position=position,
            description=(test.get("meta") or {}).get("description")
            or test.get("description")
            or call_of(test),
            properties={**arguments_of(test), **_own(test, severity)},
        )

    def unit_test(self, unit_test: Resource) -> Check | None:
        """A unit test; None where there is nothing to show it on.

        Its failure says that the model's code is wrong, so the model is not built. What it is given
        stands in it; of what the model reads it needs the columns.
        """
        model = parents(unit_test)[0]
        if self._lineage.nearest([model]) == (model,):
            behind = self._ids(self._lineage.reads(model))
            target = model
            position = Position(behind=behind, before=(node_id(self._manifest.project, model),))
        else:
            found = self._position([model]) or Position()
            above = self._lineage.nearest([model])
            home = (self._furthest(above), found) if above else self._home(unit_test, found)
            if home is None:
                return None
            target, position = home
        description = unit_test.get("description")
        return self._check(unit_test, UNIT_TEST, target, position=position, description=description)

    def freshness(self) -> Iterator[Check]:
        """Freshness rules. They never block: what is old is not wrong."""
        for source in filter(self._manifest.selects, self._manifest.of_type("source")):
            rule = source.get("freshness") or {}
            limits = {
                limit: _every(rule.get(limit))
                for limit in ("warn_after", "error_after")
                if _every(rule.get(limit))
            }
            if limits:
                yield self._freshness(
                    source,
                    "Its newest row is not too old: " + _listed(limits),
                    {
                        **limits,
                        "loaded_at_field": source.get("loaded_at_field") or "",
                        "loaded_at_query": source.get("loaded_at_query") or "",
                        "filter": rule.get("filter") or "",
                    },
                )
        for model in self._manifest.of_type("model"):
            rule = build_after(model) if self._manifest.is_asset(model) else None
            if rule is not None:
                every = _every(rule)
                yield self._freshness(
                    model,
                    f"It was built within the last {every}.",
                    {"build_after": every, "updates_on": str(rule.get("updates_on") or "")},
                )

    def _freshness(
        self, resource: Resource, description: str, properties: Mapping[str, str]
    ) -> Check:
        return self._check(
            resource,
            FRESHNESS,
            resource["unique_id"],
            name=FRESHNESS,
            blocking=False,
            description=description,
            properties=properties,
        )

    def _target(self, test: Resource, reads: Sequence[UniqueId]) -> UniqueId | None:
        """The unique id of the node or source that a test is shown on."""
        ref = meta_of(test, "dagster").get("ref")
        chosen = self._referred(test, ref) if ref else None
        if chosen is None and len(parents(test)) > 1:
            chosen = test.get("attached_node") or self._tested_source(test)
        # An ephemeral model is no asset: what it reads stands for it, as it does in the lineage.
        candidates = (self._lineage.nearest([chosen]) if chosen else ()) or reads
        return self._furthest(candidates) if candidates else None

    def _home(self, test: Resource, position: Position | None) -> tuple[UniqueId, Position] | None:
        """Where a test that reads no node and no source is shown, and its position; None: nowhere.

        It may read what it does not refer to, tables by their names.
        """
        if position is not None and position.before:
            return UniqueId(self._graph.nodes[position.before[0]].reference), position
        nodes = [found for found in self._manifest.resources.values() if is_built(found)]
        own = [node for node in nodes if node["package_name"] == test["package_name"]]
        shown = own or nodes or self._manifest.of_type("source")
        if not shown:
            return None
        return self._furthest([UniqueId(found["unique_id"]) for found in shown]), Position()

    def _position(self, reads: Sequence[UniqueId]) -> Position | None:
        """The position of a test that reads these; None: none of them is an ephemeral model."""
        ephemeral = [read for read in reads if is_ephemeral(self._manifest.get(read))]
        if not ephemeral:
            return None
        below = frozenset.intersection(*(self._below(model) for model in ephemeral))
        others = [read for read in reads if read not in ephemeral]
        return Position(
            after=self._ids(self._lineage.nearest(others)),
            behind=self._ids(self._lineage.nearest(ephemeral)),
            before=tuple(
                sorted(n for n in below if all(d not in below for d in self._graph.upstream(n)))
            ),
        )

    def _below(self, ephemeral: UniqueId) -> frozenset[NodeId]:
        """All nodes below an ephemeral model."""
        project = self._manifest.project
        readers = [node_id(project, reader) for reader in self._lineage.readers(ephemeral)]
        return self._graph.descendants(readers).union(readers)

    def _ids(self, unique_ids: Sequence[UniqueId]) -> tuple[InputId, ...]:
        return tuple(self._manifest.input_id(unique_id) for unique_id in unique_ids)

    def _referred(self, test: Resource, ref: object) -> UniqueId:
        if not isinstance(ref, dict) or not isinstance(ref.get("name"), str):
            raise meta_error(test, "dagster.ref", ref, "a mapping with `name`")
        wanted = (ref["name"], ref.get("package") or self._manifest.package, ref.get("version"))
        for node in self._manifest.of_type("model", "seed", "snapshot"):
            if wanted == (node["name"], node["package_name"], node.get("version")):
                return UniqueId(node["unique_id"])
        raise meta_error(test, "dagster.ref", ref, "the name of a model, seed or snapshot")

    def _tested_source(self, test: Resource) -> UniqueId | None:
        """The source that a generic test of a source is written at: dbt attaches it to none."""
        kwargs = (test.get("test_metadata") or {}).get("kwargs") or {}
        found = _TESTED_SOURCE.search(str(kwargs.get("model") or ""))
        if found is None:
            return None
        for source in self._manifest.of_type("source"):
            if found.groups() == (source["source_name"], source["name"]):
                return UniqueId(source["unique_id"])
        return None

    def _furthest(self, unique_ids: Sequence[UniqueId]) -> UniqueId:
        """The one furthest downstream, of several the first by id."""
        return min(
            unique_ids, key=lambda each: (-self._depths[self._manifest.input_id(each)], each)
        )

    def _check(
        self,
        resource: Resource,
        kind: str,
        target: UniqueId,
        *,
        name: str | None = None,
        also: Sequence[UniqueId] = (),
        blocking: bool = True,
        position: Position | None = None,
        description: Any = None,
        properties: Mapping[str, str] | None = None,
    ) -> Check:
        judged = self._manifest.input_id(target)
        name = name or _NOT_A_NAME.sub("_", resource["name"])
        return Check(
            id=check_id(judged, name),
            project=self._manifest.project,
            name=name,
            target=judged,
            also=self._ids(also),
            kind=kind,
            reference=resource["unique_id"],
            blocking=blocking,
            position=position,
            description=description or None,
            location=self._locate(resource),
            properties={key: value for key, value in (properties or {}).items() if value},
        )


def _own(test: Resource, severity: str) -> dict[str, str]:
    """What there is to say of a test beside its arguments; what is empty hides none of those."""
    config, metadata = test["config"], test.get("test_metadata") or {}
    found = {
        "test": _dotted(metadata.get("namespace"), metadata.get("name")),
        "column": test.get("column_name") or "",
        "severity": "" if severity == "error" else severity,
        **{
            key: str(config[key])
            for key in ("warn_if", "error_if")
            if config.get(key) not in (None, "!= 0")
        },
        # Of a generic test it only names its macro.
        RAW_CODE: "" if metadata else str(test.get("raw_code") or "").strip(),
    }
    return {key: value for key, value in found.items() if value}


def _uniquely_named(checks: Sequence[Check]) -> Iterator[Check]:
    """The checks with their ids. Of two with one name on one node the second (tests come first,
    of them those that are called exactly so, else by unique id) has another: its kind at the end,
    or a number."""
    taken: set[tuple[InputId, str]] = set()
    for check in sorted(checks, key=lambda check: (check.kind != TEST, _spelled_otherwise(check))):
        name = next(name for name in _names(check) if (check.target, name) not in taken)
        taken.add((check.target, name))
        yield replace(check, id=check_id(check.target, name), name=name)


def _spelled_otherwise(check: Check) -> bool:
    """Whether a test's name has characters that the check's has not: `a b`, not `a_b`."""
    return check.kind == TEST and f".{check.name}." not in f"{check.reference}."


def _names(check: Check) -> Iterator[str]:
    yield check.name
    if check.kind != TEST:
        yield f"{check.name}_{check.kind}"
    yield from (f"{check.name}_{number}" for number in count(2))


def _every(rule: Mapping[str, Any] | None) -> str:
    """`6 hours` of a rule with `count` and `period`, or ""."""
    if not rule or not rule.get("count") or not rule.get("period"):
        return ""
    plural = "s" if rule["count"] != 1 else ""
    return f"{rule['count']} {rule['period']}{plural}"


def _listed(limits: Mapping[str, str]) -> str:
    words = {"warn_after": "warns after", "error_after": "fails after"}
    return ", ".join(f"{words[limit]} {every}" for limit, every in limits.items())


def _dotted(namespace: object, name: object) -> str:
    return f"{namespace}.{name}" if namespace else str(name or "")
