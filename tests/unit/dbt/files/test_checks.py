from __future__ import annotations

from typing import Any

import pytest

from dagster_transform.dagster.translation.dbt_translation import check_blocking
from dagster_transform.dbt.errors import NodeConfigError
from dagster_transform.dbt.files.checks import Checks, read_checks
from dagster_transform.dbt.files.lineage import Lineage
from dagster_transform.dbt.files.manifest import Manifest, is_built
from dagster_transform.graph import Check, Graph, Node, Position, Relation, Source


def built(unique_id: str, *reads: str, materialized: str = "table", **fields: Any) -> Any:
    kind, package, name, *version = unique_id.split(".")
    return {
        "unique_id": unique_id, "resource_type": kind, "name": name, "package_name": package,
        "version": int(version[0][1:]) if version else None, "original_file_path": f"{name}.sql",
        "config": {"materialized": materialized}, "depends_on": {"nodes": list(reads)}, **fields,
    }  # fmt: skip


def source(name: str, **fields: Any) -> Any:
    return {
        "unique_id": f"source.p.till.{name}", "resource_type": "source", "name": name,
        "source_name": "till", "package_name": "p", "original_file_path": "s.yml", **fields,
    }  # fmt: skip


def data_test(name: str, *reads: str, on: str | None = None, **fields: Any) -> Any:
    severity = fields.pop("severity", "ERROR")
    return {
        "unique_id": f"test.p.{name}", "resource_type": "test", "name": name, "package_name": "p",
        "original_file_path": "t.sql", "attached_node": on, "depends_on": {"nodes": list(reads)},
        "config": {"severity": severity, **fields.pop("config", {})}, **fields,
    }  # fmt: skip


def unit_test(name: str, model: str) -> Any:
    return {
        "unique_id": f"unit_test.p.{name}", "resource_type": "unit_test", "name": name,
        "package_name": "p", "original_file_path": "u.yml", "description": "why",
        "depends_on": {"nodes": [model, "source.p.till.raw"]},
    }  # fmt: skip


PROJECT = (
    source("raw"),
    source("far"),
    built("seed.p.s"),
    built("model.p.a", "source.p.till.raw"),
    built("model.p.e", "model.p.a", "seed.p.s", materialized="ephemeral"),
    built("model.p.lonely", materialized="ephemeral"),
    built("model.p.b", "model.p.e"),
    built("model.p.v.v1", "model.p.a"),
    built("model.q.a", "seed.p.s"),
)


def read(*resources: Any) -> Checks:
    found = {r["unique_id"]: r for r in (*PROJECT, *resources)}
    manifest = Manifest("d", "p", "duckdb", dict(sorted(found.items())), {})
    lineage = Lineage(manifest)

    def relation(unique_id: str) -> Relation:
        return Relation("c", None, None, unique_id)

    nodes = [
        Node(
            f"d:{u}", "d", "dbt", u, u, "table", relation(u),
            deps=tuple(f"d:{r}" for r in lineage.reads(u)),
        )
        for u, r in found.items()
        if is_built(r)
    ]  # fmt: skip
    sources = [Source(f"d:{u}", "d", u, u, relation(u)) for u in found if u.startswith("source.")]
    return read_checks(manifest, lineage, Graph.of(nodes, sources), lambda _: None)


def only(*resources: Any) -> Check:
    (check,) = read(*resources).shown
    return check


@pytest.mark.parametrize(
    ("test", "target", "also"),
    [
        # Attached; the attached node counts for more than how far downstream another one is.
        (data_test("t", "model.p.b", "model.p.a", on="model.p.a"), "model.p.a", ["model.p.b"]),
        # The only one that it reads counts for more than the one that it is attached to.
        (data_test("t", "model.p.b", on="model.p.a"), "model.p.b", []),
        (data_test("t", "source.p.till.raw"), "source.p.till.raw", []),
        # Furthest downstream; of equals the first by id.
        (
            data_test("t", "model.p.a", "model.p.b", "seed.p.s"),
            "model.p.b",
            ["model.p.a", "seed.p.s"],
        ),
        (data_test("t", "model.p.v.v1", "model.p.b"), "model.p.b", ["model.p.v.v1"]),
        (data_test("t", "model.q.a", "model.p.v.v1"), "model.p.v.v1", ["model.q.a"]),
        (
            data_test("t", "source.p.till.raw", "source.p.till.far"),
            "source.p.till.far",
            ["source.p.till.raw"],
        ),
        # An ephemeral model: the one furthest downstream that it reads, also where it is attached.
        (data_test("t", "model.p.e", on="model.p.e"), "model.p.a", ["seed.p.s"]),
        (
            data_test("t", "model.p.e", "model.q.a", on="model.p.e"),
            "model.p.a",
            ["seed.p.s", "model.q.a"],
        ),
    ],
)
def test_a_test_is_shown_on_one_node_and_reads_the_others(
    test: Any, target: str, also: list[str]
) -> None:
    check = only(test)
    assert (check.target, list(check.also)) == (f"d:{target}", [f"d:{each}" for each in also])
    assert check.id == f"d:{target}:t"
    assert (check.kind, check.reference) == ("test", "test.p.t")


@pytest.mark.parametrize("where", ["meta", "config"])
@pytest.mark.parametrize(
    ("ref", "target"),
    [
        ({"name": "a"}, "model.p.a"),
        ({"name": "a", "package": "q"}, "model.q.a"),
        ({"name": "v", "version": 1}, "model.p.v.v1"),
        ({"name": "s"}, "seed.p.s"),
        ({"name": "e"}, "model.p.a"),  # ephemeral
    ],
)
def test_meta_says_where_a_test_is_shown(ref: Any, target: str, where: str) -> None:
    meta = {"dagster": {"ref": ref}}
    fields: Any = {"meta": meta} if where == "meta" else {"config": {"meta": meta}}
    assert only(data_test("t", "model.p.b", on="model.p.b", **fields)).target == f"d:{target}"


def test_a_ref_without_a_package_is_meant_in_the_project_itself() -> None:
    test = data_test("t", "model.q.a", meta={"dagster": {"ref": {"name": "a"}}})
    assert only(test | {"package_name": "q"}).target == "d:model.p.a"


@pytest.mark.parametrize("ref", ["a", {"version": 1}, {"name": "a", "package": "r"}])
def test_a_ref_that_leads_nowhere_names_the_test(ref: Any) -> None:
    with pytest.raises(NodeConfigError, match=r"test\.p\.t \(t\.sql\): meta\.dagster\.ref is"):
        read(data_test("t", "model.p.b", meta={"dagster": {"ref": ref}}))


def test_a_generic_test_of_a_source_is_shown_on_the_source_that_it_is_written_at() -> None:
    metadata = {
        "name": "relationships", "namespace": "utils",
        "kwargs": {"model": "{{ get_where_subquery(source('till', \"raw\")) }}"},
    }  # fmt: skip
    check = only(
        data_test("t", "model.p.b", "source.p.till.raw", test_metadata=metadata, column_name="id")
    )
    assert (check.target, check.also) == ("d:source.p.till.raw", ("d:model.p.b",))
    assert dict(check.properties) == {"test": "utils.relationships", "column": "id"}
    assert check.description == "dbt test utils.relationships(column_name := id)"


def test_the_arguments_of_a_generic_test_are_shown() -> None:
    kwargs = {
        "model": "{{ get_where_subquery(ref('a')) }}", "column_name": "id",
        "to": "ref('b')", "values": ["ä", 2], "column": "mine", "endless": "x" * 5_000,
    }  # fmt: skip
    metadata = {"name": "agree", "kwargs": kwargs}
    test = data_test("t", "model.p.a", test_metadata=metadata, column_name="id", raw_code="{{ t }}")
    check = only(test)
    shown = dict(check.properties)
    assert len(shown.pop("endless")) == 1_003
    assert shown == {
        # What we say ourselves goes before an argument of the same name.
        "test": "agree", "column": "id", "to": "ref('b')", "values": '["ä", 2]',
    }  # fmt: skip
    assert (check.description or "").startswith(
        "dbt test agree(column_name := id, column := mine, endless := xxx"
    )


def test_an_own_description_of_a_test_goes_before_its_call() -> None:
    metadata = {"name": "unique", "kwargs": {"column_name": "id"}}
    given = {"test_metadata": metadata, "column_name": "id"}
    assert only(data_test("t", "model.p.a", description="why", **given)).description == "why"
    in_meta = data_test("t", "model.p.a", meta={"description": "because"}, **given)
    assert only(in_meta).description == "because"


def test_a_singular_test_shows_its_sql() -> None:
    check = only(data_test("t", "model.p.a", raw_code="\nselect 1 where false\n"))
    assert dict(check.properties) == {"raw_code": "select 1 where false"}
    assert check.description is None


@pytest.mark.parametrize(
    ("severity", "known"), [("ERROR", True), ("error", True), ("warn", False), ("WARN", False)]
)
def test_a_test_may_hold_back_and_with_severity_warn_the_run_finds_out(
    severity: str, known: bool
) -> None:
    check = only(data_test("t", "model.p.a", severity=severity, config={"warn_if": "> 5"}))
    assert check.blocking
    assert check_blocking(check) is known
    assert check.properties.get("severity") == (None if known else "warn")
    assert check.properties["warn_if"] == "> 5"


def test_a_description_is_that_of_meta_or_the_tests_own() -> None:
    own = data_test("t", "model.p.a", description="own")
    assert only(own).description == "own"
    assert only({**own, "meta": {"description": "of meta"}}).description == "of meta"
    assert only(data_test("t", "model.p.a", description="")).description is None


@pytest.mark.parametrize(
    "test",
    [
        data_test("t"),
        data_test("t", "model.p.lonely", on="model.p.lonely"),
        unit_test("t", "model.p.lonely"),
    ],
)
def test_what_reads_nothing_is_shown_downstream_of_all_and_holds_nothing(test: Any) -> None:
    check = only(test)
    assert (check.target, check.also, check.position) == ("d:model.p.b", (), Position())
    assert check.blocking, "it fails the run"
    assert not check.holds_readers
    assert not check.needs_target
    assert not check_blocking(check)


def test_what_reads_nothing_is_shown_where_the_project_says() -> None:
    check = only(data_test("t", meta={"dagster": {"ref": {"name": "a"}}}))
    assert (check.target, check.position) == ("d:model.p.a", Position(after=("d:model.p.a",)))


def test_what_reads_nothing_is_shown_in_its_own_package() -> None:
    assert only(data_test("t") | {"package_name": "q"}).target == "d:model.q.a"
    assert only(data_test("t") | {"package_name": "without_models"}).target == "d:model.p.b"


def test_a_project_without_nodes_and_sources_has_nowhere_to_show_a_test() -> None:
    manifest = Manifest("d", "p", "duckdb", {"test.p.t": data_test("t")}, {})
    found = read_checks(manifest, Lineage(manifest), Graph.of(), lambda _: None)
    assert (found.shown, found.homeless) == ((), ("t",))


def test_a_test_of_an_ephemeral_model_holds_back_what_reads_it() -> None:
    check = only(data_test("t", "model.p.e", on="model.p.e"))
    position = Position(behind=("d:model.p.a", "d:seed.p.s"), before=("d:model.p.b",))
    assert check.position == position
    assert not check.holds_readers
    assert not check_blocking(check)


def test_a_test_of_two_ephemeral_models_holds_back_what_is_below_both() -> None:
    more = (
        built("model.p.f", "model.p.v.v1", materialized="ephemeral"),
        built("model.p.g", "model.p.f", materialized="ephemeral"),
        built("model.p.h", "model.p.g"),
        built("model.p.both", "model.p.b", "model.p.h"),
        built("model.p.below", "model.p.both"),
    )
    found = read(*more, data_test("t", "model.p.e", "model.p.f", "model.q.a")).shown
    assert [check.position for check in found] == [
        Position(
            after=("d:model.q.a",),
            behind=("d:model.p.a", "d:seed.p.s", "d:model.p.v.v1"),
            before=("d:model.p.both",),
        )
    ]


def test_a_test_of_a_model_that_reads_nothing_is_shown_on_what_reads_that() -> None:
    reader = built("model.p.x", "model.p.lonely")
    check = only(reader, data_test("t", "model.p.lonely"))
    assert (check.target, check.position) == ("d:model.p.x", Position(before=("d:model.p.x",)))


def test_a_unit_test_is_its_models_and_comes_before_it() -> None:
    check = only(unit_test("u", "model.p.b"))
    assert (check.kind, check.target, check.also) == ("unit_test", "d:model.p.b", ())
    assert (check.blocking, check.description) == (True, "why")
    assert check.reference == "unit_test.p.u"
    position = Position(behind=("d:model.p.a", "d:seed.p.s"), before=("d:model.p.b",))
    assert check.position == position
    assert check.holds_readers
    # Of an ephemeral model: before what reads it.
    of_ephemeral = only(unit_test("u", "model.p.e"))
    assert (of_ephemeral.target, of_ephemeral.position) == ("d:model.p.a", position)
    assert not of_ephemeral.holds_readers


def test_names_are_unique_on_a_node_and_in_dagsters_alphabet() -> None:
    other_package = data_test("x-y", "model.p.a") | {"unique_id": "test.q.x-y"}
    found = read(
        data_test("x-y", "model.p.a"),
        other_package,
        unit_test("x_y", "model.p.a"),
        unit_test("x y", "model.p.a") | {"unique_id": "unit_test.q.x"},
        data_test("x-y", "model.p.b") | {"unique_id": "test.p.z"},
    )
    assert [(c.reference, c.id) for c in found.shown] == [
        ("test.p.x-y", "d:model.p.a:x_y"),
        ("test.p.z", "d:model.p.b:x_y"),
        ("test.q.x-y", "d:model.p.a:x_y_2"),
        ("unit_test.p.x_y", "d:model.p.a:x_y_unit_test"),
        ("unit_test.q.x", "d:model.p.a:x_y_3"),
    ]


def test_freshness_of_a_source() -> None:
    rule = {
        "warn_after": {"count": 1, "period": "hour"},
        "error_after": {"count": 2, "period": "day"},
        "filter": "x > 1",
    }
    check = only(source("raw", freshness=rule, loaded_at_field="at"))
    assert (check.id, check.kind) == ("d:source.p.till.raw:freshness", "freshness")
    assert (check.reference, check.blocking) == ("source.p.till.raw", False)
    assert dict(check.properties) == {
        "warn_after": "1 hour",
        "error_after": "2 days",
        "filter": "x > 1",
        "loaded_at_field": "at",
    }
    assert "warns after 1 hour, fails after 2 days" in (check.description or "")


@pytest.mark.parametrize(
    "rule",
    [None, {}, {"warn_after": None, "error_after": {"count": None, "period": None}}],
)
def test_a_source_without_a_limit_has_no_freshness(rule: Any) -> None:
    assert read(source("raw", freshness=rule)).shown == ()


def test_freshness_of_a_model() -> None:
    rule = {"build_after": {"count": 4, "period": "hour", "updates_on": "all"}}
    model = built("model.p.a", "source.p.till.raw")
    model["config"]["freshness"] = rule
    check = only(model)
    assert (check.id, check.kind, check.blocking) == ("d:model.p.a:freshness", "freshness", False)
    assert dict(check.properties) == {"build_after": "4 hours", "updates_on": "all"}
    model["config"]["materialized"] = "ephemeral"
    assert read(model).shown == ()
