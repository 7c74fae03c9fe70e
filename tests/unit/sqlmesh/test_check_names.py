from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_transform.sqlmesh.check_names import check_names

DAGSTERS_ALPHABET = re.compile(r"^[A-Za-z0-9_]+$")


def test_an_audit_that_a_model_has_once_keeps_its_name() -> None:
    audits = [("not_null", {"columns": "[id]"}), ("unique_values", {}), ("no_flight_lost", {})]
    assert check_names(audits) == ["not_null", "unique_values", "no_flight_lost"]
    assert check_names([]) == []


def test_audits_of_one_name_are_told_apart_by_the_arguments_that_differ() -> None:
    audits = [
        ("accepted_range", {"column": "delay", "max_v": "100"}),
        ("not_null", {}),
        ("accepted_range", {"column": "distance", "min_v": "0"}),
    ]
    assert check_names(audits) == [
        "accepted_range_column_delay_max_v_100",
        "not_null",
        "accepted_range_column_distance_min_v_0",
    ]


def test_arguments_that_are_equal_or_missing_are_not_in_the_name() -> None:
    audits = [("range", {"column": "x", "min_v": "0"}), ("range", {"column": "x"})]
    assert check_names(audits) == ["range_min_v_0", "range"]
    audits = [("range", {"column": c, "min_v": "0"}) for c in ("x", "y")]
    assert check_names(audits) == ["range_column_x", "range_column_y"]


def test_audits_with_equal_arguments_are_numbered() -> None:
    audits = [("not_null", {"columns": "id"})] * 3
    assert check_names(audits) == ["not_null", "not_null_2", "not_null_3"]
    assert check_names([("twice", {}), ("twice", {})]) == ["twice", "twice_2"]


def test_names_are_in_dagsters_alphabet() -> None:
    assert check_names([("schema.my audit!", {})]) == ["schema_my_audit_"]
    audits = [("a", {"criteria": "[x > 0, y <> 'ä']"}), ("a", {"criteria": "(SELECT 1)"})]
    assert check_names(audits) == ["a_criteria__x_0_y", "a_criteria__SELECT_1"]


def test_names_that_only_differ_in_what_dagster_does_not_allow_are_numbered() -> None:
    assert check_names([("a.b", {}), ("a-b", {})]) == ["a_b", "a_b_2"]


def test_a_long_argument_is_cut_off_and_names_stay_unique() -> None:
    audits = [("a", {"c": "x" * 100 + str(i)}) for i in range(3)]
    names = check_names(audits)
    assert names[0] == "a_" + ("c_" + "x" * 100)[:60]
    assert names[1:] == [f"{names[0]}_2", f"{names[0]}_3"]


def test_another_audit_renames_none_of_those_that_have_suffixes() -> None:
    audits = [("range", {"column": "delay"}), ("range", {"column": "distance"}), ("unique", {})]
    before = check_names(audits)
    for place in range(4):
        added = [*audits]
        added.insert(place, ("range", {"column": "speed"}))
        after = check_names(added)
        assert after.pop(place) == "range_column_speed"
        assert after == before


NAMES = st.sampled_from(("a", "b", "a.b", "not_null", "ä"))
ARGUMENTS = st.dictionaries(st.sampled_from(("column", "max")), st.text(max_size=70), max_size=2)


@given(st.lists(st.tuples(NAMES, ARGUMENTS), max_size=6))
def test_one_legal_name_for_each_audit(audits: list[tuple[str, dict[str, str]]]) -> None:
    names = check_names(audits)
    assert len(names) == len(audits)
    assert all(DAGSTERS_ALPHABET.match(name) for name in names)
    assert names == check_names(audits)


@pytest.mark.parametrize(
    "audits",
    [
        [("a", {}), ("a", {}), ("a_2", {})],
        [("a_2", {}), ("a", {}), ("a", {})],
        [("a_x_1", {}), ("a", {"x": "1"}), ("a", {"x": "2"}), ("a_x_1_2", {})],
    ],
)
def test_a_number_does_not_make_a_name_that_another_audit_has(
    audits: list[tuple[str, dict[str, str]]],
) -> None:
    names = check_names(audits)
    assert len(set(names)) == len(names)
