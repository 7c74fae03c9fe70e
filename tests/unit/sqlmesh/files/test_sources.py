from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations

from dagster_transform.databases.identity import ConnectionIdentity, server_identity
from dagster_transform.graph import Relation
from dagster_transform.sqlmesh.files.sources import Read, name_sources

SERVERS = {name: server_identity("postgres", name) for name in ("main", "other", "third")}
SAME = {**SERVERS, "other": SERVERS["main"]}


def names(
    reads: list[Read], servers: Mapping[str, ConnectionIdentity] = SERVERS
) -> dict[Read, str]:
    def relation(read: Read) -> Relation:
        return Relation(servers[read.gateway], None, "raw", read.fqn)

    return {read: name for read, (name, _) in name_sources(reads, relation, "main").items()}


def test_a_table_of_two_servers_is_two_sources_of_which_one_names_its_gateway() -> None:
    main, other, third = Read("a", "main"), Read("a", "other"), Read("a", "third")
    alone = Read("b", "other")
    for reads in permutations([main, other, third, alone]):
        found = names(list(reads))
        assert found == {main: "a", other: "a@other", third: "a@third", alone: "b"}


def test_one_table_through_two_gateways_is_one_source() -> None:
    found = names([Read("a", "other"), Read("a", "main")], SAME)
    assert set(found.values()) == {"a"}


def test_without_the_default_gateway_the_first_by_name_has_the_name() -> None:
    found = names([Read("a", "third"), Read("a", "other")])
    assert found == {Read("a", "other"): "a", Read("a", "third"): "a@third"}
