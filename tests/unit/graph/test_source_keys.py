"""Asset keys that people give to sources."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dagster_transform.graph import (
    Graph,
    Node,
    Relation,
    Source,
    SourceNameError,
    node_id,
    same_key,
    source_id,
    with_keys,
)

SERVER = "postgres:db:5432/w"


def source(catalog: str, schema: str, table: str, **fields: object) -> Source:
    reference = f'"{catalog}"."{schema}"."{table}"'
    name = f"{catalog}.{schema}.{table}"
    relation = Relation(SERVER, catalog, schema, table)
    return replace(Source(source_id("p", reference), "p", reference, name, relation), **fields)


FLIGHTS = source("w", "raw", "flights")
PLANES = source("w", "raw", "planes")
OTHER = source("x", "raw", "planes")


@pytest.mark.parametrize(
    "name", ["w.raw.flights", "raw.flights", '"w"."raw"."flights"', "RAW.Flights"]
)
def test_a_source_is_known_by_its_names(name: str) -> None:
    given, other = with_keys([FLIGHTS, PLANES], {name: ("landing", "flights")})
    assert given == replace(FLIGHTS, key=("landing", "flights"))
    assert other == PLANES


def test_the_name_of_a_dbt_source_comes_before_a_relation() -> None:
    shop = source("w", "raw", "a", name="raw.flights")
    given, other = with_keys([shop, FLIGHTS], {"raw.flights": ("k",)})
    assert (given.key, other.key) == (("k",), ())


def test_a_key_that_is_given_is_no_default() -> None:
    default = replace(FLIGHTS, key=("raw", "flights"), key_is_default=True)
    (given,) = with_keys([default], {"raw.flights": ("k",)})
    assert given == replace(FLIGHTS, key=("k",), key_is_default=False)


def test_an_unknown_name_is_told_with_what_is_like_it() -> None:
    with pytest.raises(SourceNameError) as raised:
        with_keys([FLIGHTS, PLANES], {"raw.flihts": ("k",)})
    assert "raw.flights" in str(raised.value)
    with pytest.raises(SourceNameError, match=r"sources: w\.raw\.flights"):
        with_keys([FLIGHTS], {"qqqq": ("k",)})
    with pytest.raises(SourceNameError, match="sources: none"):
        with_keys([], {"qqqq": ("k",)})


def test_a_name_of_several_is_refused() -> None:
    with pytest.raises(SourceNameError, match=r"Say w\.raw\.planes or x\.raw\.planes"):
        with_keys([PLANES, OTHER], {"raw.planes": ("k",)})
    given, other = with_keys([PLANES, OTHER], {"x.raw.planes": ("k",)})
    assert (given.key, other.key) == ((), ("k",))


def test_one_source_has_one_key() -> None:
    keys = {"raw.flights": ("a",), "w.raw.flights": ("a",)}
    with_keys([FLIGHTS], keys)
    with pytest.raises(SourceNameError, match="has another key"):
        with_keys([FLIGHTS], keys | {"w.raw.flights": ("b",)})


def test_keys_that_two_things_have() -> None:
    one, two = replace(PLANES, key=("raw", "planes")), replace(OTHER, key=("raw", "planes"))
    assert same_key([one, two]) == (one, two)
    assert same_key([PLANES, OTHER]) is None
    assert same_key([one, replace(one, id=source_id("p", "@other gateway"))]) is None


def test_a_default_key_gives_way_to_a_key_of_another_project() -> None:
    """As a SQLMesh source does whose key has no catalog, where a dbt project reads the table."""
    default = replace(FLIGHTS, key=("raw", "flights"), key_is_default=True)
    dbt = replace(FLIGHTS, id=source_id("d", "s"), project="d", key=("shop", "flights"))
    reader = Node(
        node_id("p", "n"), "p", "sqlmesh", "n", "n", "FULL",
        Relation(SERVER, "w", "m", "n"), deps=(default.id,),
    )  # fmt: skip
    parts = [Graph.of([reader], [default]), Graph.of([], [dbt])]
    for graph in (Graph.combine(parts), Graph.combine(parts[::-1])):
        assert list(graph.sources) == [dbt.id]
        assert graph.nodes[reader.id].deps == (dbt.id,)
