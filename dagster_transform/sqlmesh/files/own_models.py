"""Which models and audits are a project's own, and what they read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlmesh.core.model import Model

from dagster_transform.sqlmesh.files.sources import Read
from dagster_transform.sqlmesh.gateways import Gateways


class OwnModels:
    """The models and standalone audits that a project's folders have.

    Where several projects share a state, SQLMesh shows each the models of the others; to this one
    they are sources, as are its own models that transform.yaml leaves out.

    Args:
        context: A loaded sqlmesh Context.
        chosen: Fully qualified names of the models that are not left out; None: all.

    Attributes:
        all: All models that the Context has, by fully qualified name.
        built: The project's own that are built, by fully qualified name.
        left_out: Those that are left out, likewise.
        declared: Its own external models.
        audits: Its own standalone audits.
    """

    def __init__(self, context: Any, chosen: Collection[str] | None = None) -> None:
        own = {config.project for config in context.configs.values()}
        self.all: Mapping[str, Model] = context.models
        mine = [model for model in self.all.values() if model.project in own]
        building = {m.fqn: m for m in mine if not (m.kind.is_external or m.kind.is_embedded)}
        self.built = {f: m for f, m in building.items() if chosen is None or f in chosen}
        self.left_out = {f: m for f, m in building.items() if f not in self.built}
        self.declared = [m for m in mine if m.kind.is_external]
        self.audits = [a for a in context.standalone_audits.values() if a.project in own]
        if chosen is not None:
            read = {fqn for model in self.built.values() for fqn in self.parents(model)}
            shown = {*chosen, *read} - self.left_out.keys()
            self.declared = [m for m in self.declared if m.fqn in shown]
            self.audits = [a for a in self.audits if not shown.isdisjoint(self.parents(a))]

    def parents(self, thing: Any) -> list[str]:
        """Fully qualified names that a model or audit reads; embedded models are looked through."""
        found: dict[str, None] = {}
        stack = sorted(thing.depends_on or (), reverse=True)
        seen = {thing.fqn}
        while stack:
            fqn = stack.pop()
            if fqn in seen:
                continue
            seen.add(fqn)
            parent = self.all.get(fqn)
            if parent is not None and parent.kind.is_embedded:
                stack.extend(sorted(parent.depends_on or (), reverse=True))
            else:
                found[fqn] = None
        return list(found)

    def beyond(self, read: Iterable[str]) -> list[str]:
        """Fully qualified names of the models that are built and that these read only through
        models that are left out: what is below must still wait for what is above."""
        found: dict[str, None] = {}
        stack = [fqn for fqn in read if fqn in self.left_out]
        seen = set(stack)
        while stack:
            for fqn in self.parents(self.left_out[stack.pop()]):
                if fqn in self.built:
                    found[fqn] = None
                elif fqn in self.left_out and fqn not in seen:
                    seen.add(fqn)
                    stack.append(fqn)
        return sorted(found)

    def reads(self, gateways: Gateways) -> set[Read]:
        """Everything that a model or audit reads and no model here builds, and through which
        gateway; also what is declared and not read."""
        readers: list[tuple[Any, str]] = [(m, gateways.of(m)) for m in self.built.values()]
        readers += [(audit, gateways.default) for audit in self.audits]
        found = {
            Read(fqn, gateway)
            for reader, gateway in readers
            for fqn in self.parents(reader)
            if fqn not in self.built
        }
        read = {fqn for fqn, _ in found}
        for model in self.declared:
            if model.fqn not in read:
                found.add(Read(model.fqn, gateways.of(model)))
        return found
