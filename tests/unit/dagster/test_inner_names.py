"""Names that Dagster takes."""

from __future__ import annotations

import dagster as dg
from hypothesis import given
from hypothesis import strategies as st

from dagster_transform.dagster._compat import is_inner_name
from dagster_transform.dagster.translation.inner_names import (
    distinct,
    input_names,
    op_name,
    output_names,
)

PARTS = st.lists(
    st.text(max_size=6) | st.sampled_from(["a", "b", "a_b", "type"]), min_size=1, max_size=3
)
KEYS = PARTS.map(dg.AssetKey)
CHECKS = st.builds(dg.AssetCheckKey, KEYS, st.text(min_size=1, max_size=6))


@given(st.lists(KEYS, unique=True, max_size=8), st.lists(CHECKS, unique=True, max_size=8))
def test_outputs_have_legal_names_of_their_own(
    assets: list[dg.AssetKey], checks: list[dg.AssetCheckKey]
) -> None:
    of_assets, of_checks = output_names(assets, checks)
    names = [*of_assets.values(), *of_checks.values()]
    assert len(set(names)) == len(assets) + len(checks)
    assert all(is_inner_name(name) for name in names)
    half = len(assets) // 2
    inputs = input_names(assets[:half], {key: of_assets[key] for key in assets[half:]})
    assert len(set(inputs.values())) == len(assets)
    assert all(is_inner_name(name, an_input=True) for name in inputs.values())


@given(st.lists(KEYS, unique=True, max_size=8))
def test_names_depend_on_nothing_but_what_there_is(assets: list[dg.AssetKey]) -> None:
    assert output_names(assets, [])[0] == output_names(assets[::-1], [])[0]


def test_what_dagster_takes_is_called_as_dagster_calls_it() -> None:
    keys = [dg.AssetKey(path) for path in (["db", "marts", "delays"], ["my-db", "b.c"], ["plain"])]
    check = dg.AssetCheckKey(keys[0], "not_null")
    assets, checks = output_names(keys, [check])
    assert assets == {key: key.to_python_identifier() for key in keys}
    assert checks == {check: dg.AssetCheckSpec("not_null", asset=keys[0]).get_python_identifier()}
    assert input_names(keys, {})[keys[0]] == "db_marts_delays"
    assert input_names([], assets)[keys[2]] == "__subset_input__plain"


def test_who_is_called_so_keeps_the_name() -> None:
    plain, parts = dg.AssetKey("a__b"), dg.AssetKey(["a", "b"])
    names, _ = output_names([parts, plain], [])
    assert names[plain] == "a__b"
    assert names[parts].startswith("a__b_")
    names, checks = output_names(
        [dg.AssetKey("a"), dg.AssetKey("a_b")], [dg.AssetCheckKey(dg.AssetKey("a"), "b")]
    )
    assert sorted(names.values()) == ["a", "a_b"]
    assert next(iter(checks.values())).startswith("a_b_")


def test_words_of_python_are_no_names() -> None:
    assert [op_name(word) for word in ("type", "class", "transform")] == [
        "type_", "class_", "transform",
    ]  # fmt: skip
    assert distinct({"type": "type_", "type_": "type_"})["type_"] == "type_"


@given(st.dictionaries(st.text(), st.text(alphabet="ab_", min_size=1, max_size=63), max_size=6))
def test_distinct_names_are_as_long_as_they_may_be(spelled: dict[str, str]) -> None:
    names = distinct(spelled, longest=63)
    assert len(set(names.values())) == len(spelled)
    assert all(len(name) <= 63 for name in names.values())
