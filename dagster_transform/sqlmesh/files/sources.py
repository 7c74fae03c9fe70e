"""What a project's models and audits read that none of its models builds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from dagster_transform.graph import Relation


class Read(NamedTuple):
    """A table or view as one gateway reads it: its fully qualified name, and the gateway."""

    fqn: str
    gateway: str


def name_sources(
    reads: Collection[Read], relation_of: Callable[[Read], Relation], default: str
) -> Mapping[Read, tuple[str, Relation]]:
    """Names for what is read, one for each relation.

    One name can be two relations: two gateways may lead to two servers which both have that table.
    Then the default gateway's has the name, and the other's ends with `@` and its gateway.

    Args:
        reads: What is read, and through which gateway.
        relation_of: Which relation that is.
        default: The project's default gateway.

    Returns:
        Name and relation of each; the same whatever the order of `reads`.
    """
    relations: dict[str, dict[Relation, str]] = {}
    for read in sorted(reads, key=lambda read: (read.fqn, read.gateway != default, read)):
        relations.setdefault(read.fqn, {}).setdefault(relation_of(read), read.gateway)
    found: dict[Read, tuple[str, Relation]] = {}
    for read in reads:
        relation = relation_of(read)
        first = next(iter(relations[read.fqn]))
        suffix = "" if relation == first else f"@{relations[read.fqn][relation]}"
        found[read] = read.fqn + suffix, relation
    return found
