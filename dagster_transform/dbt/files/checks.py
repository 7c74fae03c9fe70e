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
from dagster_transform.dbt.files.manifest import Manifest, Resource, is_built, parents
from dagster_transform.dbt.files.meta import meta_error, meta_of
from dagster_transform.dbt.unique_ids import UniqueId
from dagster_transform.graph import RAW_CODE, Check, Graph, InputId, Location, check_id

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
        homeless: Names of tests that read neither a node nor a source.
    """

    shown: tuple[Check, ...]
    homeless: tuple[str, ...]


def read_checks(manifest: Manifest, lineage: Lineage, graph: Graph, locate: Locate) -> Checks:
    """The tests, unit tests and freshness rules of a manifest.

    A test is shown on the node that it is attached to; on the only one that it reads; or where
    `meta.dagster.ref` says. One that reads several and says nothing is shown on the one furthest
    downstream: when that one is built, the others are. A test of an ephemeral model is shown on
    what the model reads.

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
        for resource in manifest.of_type(resource_type):
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
        self._locate = locate
        self._depths = graph.depths()

    def test(self, test: Resource) -> Check | None:
        """A generic or singular test; None where nothing that it reads is a node or source."""
        reads = self._lineage.reads(test["unique_id"])
        target = self._target(test, reads)
        if target is None:
            return None
        config = test["config"]
        severity = str(config.get("severity") or "error").lower()
        return self._check(
            test,
            TEST,
            target,
            also=tuple(read for read in reads if read != target),
            blocking=severity == "error",
            description=(test.get("meta") or {}).get("description")
            or test.get("description")
            or call_of(test),
            properties={**arguments_of(test), **_own(test, severity)},
        )

    def unit_test(self, unit_test: Resource) -> Check | None:
        """A unit test: its failure says that the model's code is wrong, so it blocks. What it is
        given stands in it; it reads no table."""
        models = self._lineage.nearest(parents(unit_test)[:1])
        if not models:
            return None
        description = unit_test.get("description")
        return self._check(unit_test, UNIT_TEST, self._furthest(models), description=description)

    def freshness(self) -> Iterator[Check]:
        """Freshness rules. They never block: what is old is not wrong."""
        for source in self._manifest.of_type("source"):
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
            rule = build_after(model) if is_built(model) else None
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
            also=tuple(self._manifest.input_id(unique_id) for unique_id in also),
            kind=kind,
            reference=resource["unique_id"],
            blocking=blocking,
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
    else by unique id) has another: its kind at the end, or a number."""
    taken: set[tuple[InputId, str]] = set()
    for check in checks:
        name = next(name for name in _names(check) if (check.target, name) not in taken)
        taken.add((check.target, name))
        yield replace(check, id=check_id(check.target, name), name=name)


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
