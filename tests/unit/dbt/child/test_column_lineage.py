"""Column lineage of a query: what is told is certain, and what is not is named and left out."""

from __future__ import annotations

import subprocess
import sys

import pytest
import sqlglot
from sqlglot.lineage import Node as Step

from dagster_transform.dbt.child.column_lineage import Query, _ends
from dagster_transform.dbt.errors import ColumnLineageError

KNOWN = {("w", "s", "t"): ["a", "b", "c", "d"], ("w", "s", "u"): ["a", "x"]}
"""Of `w.s.o`, nobody knows the columns."""


def follow(sql: str) -> tuple[dict[str, str], set[str]]:
    """By column what it is computed from, and the columns that were lost."""
    query = Query.read(sql, "duckdb")
    known = {table: names for table, names in KNOWN.items() if table in query.tables}
    found = query.follow(known)
    columns = {
        column: " ".join(f"{table[-1]}.{name}" for table, name in ends)
        for column, ends in found.columns.items()
    }
    return columns, set(found.lost)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select a as k, b + c as s, 1 as one from w.s.t", {"k": "t.a", "s": "t.b t.c"}),
        ("select t.b, x from w.s.t join w.s.u on t.a = u.a", {"b": "t.b", "x": "u.x"}),
        ("select * exclude (c, d) from w.s.t", {"a": "t.a", "b": "t.b"}),
        ("with q as (select * from w.s.t) select a, c as \"C2\" from q", {"a": "t.a", "c2": "t.c"}),
        ("with t as (select a as b from w.s.t) select b from t", {"b": "t.a"}),
        # An alias of the same SELECT, unless a table has such a column.
        ("select a + 1 as y, y as z from w.s.t", {"y": "t.a", "z": "t.a"}),
        ("select a + 1 as b, b as z from w.s.t", {"b": "t.a", "z": "t.b"}),
        ("select a, b from w.s.t union all select b, c from w.s.t",
         {"a": "t.a t.b", "b": "t.b t.c"}),
        ("select u.x, e.e from w.s.u, w.s.t, unnest(t.d) as e(e)", {"x": "u.x", "e": "t.d"}),
        ("select (select max(x) from w.s.u where u.a = t.a) as m from w.s.t", {"m": "u.x"}),
        ("select A, \"B\" as q from W.S.T", {"a": "t.a", "q": "t.b"}),
        ("select concat(d, c, b, a) as k from w.s.t", {"k": "t.a t.b t.c t.d"}),
    ],
)  # fmt: skip
def test_columns_are_followed_to_their_ends(sql: str, expected: dict[str, str]) -> None:
    assert follow(sql) == (expected, set())


@pytest.mark.parametrize(
    ("sql", "certain", "lost"),
    [
        # A relation whose columns nobody knows, and what could be its.
        ("select o.q, t.a from w.s.o join w.s.t on true", {"a": "t.a"}, {"q"}),
        ("select q, t.a from w.s.o join w.s.t on true", {"a": "t.a"}, {"q"}),
        ("select t.a as x, x as y from w.s.o join w.s.t on true", {"x": "t.a"}, {"y"}),
        ("with q as (select o.*, t.a from w.s.o, w.s.t) select a from q", {}, {"a"}),
        # Two columns of one name: the database calls one of them otherwise.
        ("select t.a, t.b, u.a from w.s.t, w.s.u", {"b": "t.b"}, {"a"}),
        # Which source has the column is not known; the only one without columns is no answer.
        ("select unnest as e, a from w.s.t, unnest(t.d) as v", {"a": "t.a"}, {"e"}),
        # Of which sqlglot takes every column to be made of all that is in it.
        ("select t.a, l.x from w.s.t, lateral (select t.a as x, t.b as y) l", {"a": "t.a"}, {"x"}),
        ("select t.a, v.x from w.s.t, (values (t.b, t.c)) as v(x, y)", {"a": "t.a"}, {"x"}),
        ("select t.a, e.x from w.s.t, unnest(t.c, t.d) as e(x, y)", {"a": "t.a"}, {"x"}),
        # Of the relation without columns, whatever else has none that sqlglot knows.
        ("select zz from w.s.t, lateral (select * from w.s.o) as l", {}, {"zz"}),
        # What is no column of the relation.
        ("select rowid as r, a from w.s.t", {"a": "t.a"}, {"r"}),
        ("select k from (select b, a from w.s.t) pivot (sum(b) for a in (1 as k))", {}, {"k"}),
        ("with recursive r as (select a from w.s.t union all select a from r) select a from r",
         {}, {"a"}),
    ],
)  # fmt: skip
def test_what_is_not_certain_is_left_out(sql: str, certain: dict[str, str], lost: set[str]) -> None:
    assert follow(sql) == (certain, lost)


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("select * from w.s.o", "not known"),
        ("select t.a, o.* from w.s.t, w.s.o", "not known"),
        ("select columns('a|b') from w.s.t", "not known"),
        ("select a, b from w.s.t union all by name select b, a from w.s.t", "by name"),
        ("select s.b from w.s.t as s(b, a)", "other names"),
        ("select s.b from w.s.u join (w.s.t as s(b, a)) on true", "other names"),
        ("with q as (select a, b from w.s.t) select z.b from q as z(b, a)", "other names"),
        ("select 1 as a; select 2 as a", "not one query"),
        ("create table x as select a from w.s.t", "not one query"),
        ("select a from (w.s.t", "can't read"),
        ("select t.nowhere from w.s.t", "can't follow"),
    ],
)
def test_a_query_that_can_not_be_followed_says_why(sql: str, why: str) -> None:
    with pytest.raises(ColumnLineageError, match=why):
        follow(sql)


def test_a_whole_query_in_the_place_of_a_column_is_no_lineage() -> None:
    """What sqlglot falls back to where it does not find a column in a query."""
    query = sqlglot.parse_one("select a, b from w.s.t")
    assert _ends(Step("x", query, query), KNOWN) is None


def test_an_adapter_that_sqlglot_does_not_know() -> None:
    with pytest.raises(ColumnLineageError, match="no SQL of vertigo"):
        Query.read("select 1 as a", "vertigo")


def test_names_are_compared_as_the_engine_does() -> None:
    duckdb, postgres = (Query.read("select 1 as a", name) for name in ("duckdb", "postgres"))
    assert (duckdb.name("Id"), postgres.name("Id")) == ("id", "Id")
    assert duckdb.table('"W"."s"."T"') == ("w", "s", "t")
    assert postgres.table('W."S".t') == ("w", "S", "t")


def test_a_run_that_does_not_ask_for_it_does_not_import_sqlglot() -> None:
    code = "import sys, dagster_transform.dbt.child; assert 'sqlglot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
