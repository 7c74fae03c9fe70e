"""Who reads whom, looking through what no run builds: ephemeral models, metrics, functions."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from dagster_transform.dbt.files.manifest import Manifest, is_built, parents
from dagster_transform.dbt.unique_ids import UniqueId


class Lineage:
    """The lineage of one manifest, in which there are only sources and what is built."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._stands = {
            unique_id
            for unique_id, resource in manifest.resources.items()
            if resource["resource_type"] == "source" or is_built(resource)
        }

    def nearest(self, unique_ids: Iterable[UniqueId]) -> tuple[UniqueId, ...]:
        """These nodes and sources; in the place of each other resource its nearest ancestors that
        are a node or a source. In dbt's order, no repeats. Raises UnknownNodeError."""
        found: dict[UniqueId, None] = {}
        seen: set[UniqueId] = set()
        stack = list(unique_ids)[::-1]
        while stack:
            unique_id = stack.pop()
            if unique_id in seen:
                continue
            seen.add(unique_id)
            resource = self._manifest.get(unique_id)
            if unique_id in self._stands:
                found[unique_id] = None
            else:
                stack.extend(parents(resource)[::-1])
        return tuple(found)

    def reads(self, unique_id: UniqueId) -> tuple[UniqueId, ...]:
        """What a resource reads, itself looked through. Raises UnknownNodeError."""
        return self.nearest(parents(self._manifest.get(unique_id)))

    def readers(self, unique_id: UniqueId) -> tuple[UniqueId, ...]:
        """The first nodes that are built below a resource, sorted."""
        found: set[UniqueId] = set()
        seen: set[UniqueId] = set()
        stack = list(self._children.get(unique_id, ()))
        while stack:
            below = stack.pop()
            if below in seen:
                continue
            seen.add(below)
            if below in self._stands:
                found.add(below)
            else:
                stack.extend(self._children.get(below, ()))
        return tuple(sorted(found))

    @cached_property
    def _children(self) -> dict[UniqueId, list[UniqueId]]:
        found: dict[UniqueId, list[UniqueId]] = {}
        for unique_id, resource in self._manifest.resources.items():
            for parent in parents(resource):
                found.setdefault(parent, []).append(unique_id)
        return found

    def beyond(self, read: Iterable[UniqueId]) -> tuple[UniqueId, ...]:
        """The assets that these read only through nodes that are left out, sorted: what is below
        must still wait for what is above. Raises UnknownNodeError."""
        found: set[UniqueId] = set()
        seen: set[UniqueId] = set()
        stack = list(read)
        while stack:
            above = self._manifest.get(stack.pop())
            if not is_built(above) or self._manifest.selects(above):
                continue
            for unique_id in self.reads(above["unique_id"]):
                if self._manifest.is_asset(self._manifest.get(unique_id)):
                    found.add(unique_id)
                elif unique_id not in seen:
                    seen.add(unique_id)
                    stack.append(unique_id)
        return tuple(sorted(found))

    def functions(self, unique_id: UniqueId) -> tuple[UniqueId, ...]:
        """The functions that must be there before a node is built, also through ephemeral models
        and other functions, sorted. Raises UnknownNodeError."""
        found: set[UniqueId] = set()
        seen: set[UniqueId] = set()
        stack = parents(self._manifest.get(unique_id))
        while stack:
            above = stack.pop()
            if above in seen or above in self._stands:
                continue
            seen.add(above)
            resource = self._manifest.get(above)
            if resource["resource_type"] == "function":
                found.add(above)
            stack.extend(parents(resource))
        return tuple(sorted(found))
