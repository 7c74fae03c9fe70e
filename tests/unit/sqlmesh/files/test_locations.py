from __future__ import annotations

from pathlib import Path

import pytest

from dagster_transform.graph import Location
from dagster_transform.sqlmesh.files.locations import Locations


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "root" / "models" / "a.sql"
    path.parent.mkdir(parents=True)
    path.write_text("MODEL (\n  name mart.ab,\n);\n-- mart.a is beside it\nSELECT 1\n")
    return path


def test_a_name_is_found_as_a_word_below_the_root(file: Path) -> None:
    locations = Locations(file.parent.parent)
    assert locations.find(file, "mart.ab") == Location("models/a.sql", 2)
    assert locations.find(file, "mart.a") == Location("models/a.sql", 4)


def test_a_name_that_is_made_of_parts_is_on_the_first_line(file: Path) -> None:
    assert Locations(file.parent.parent).find(file, "mart.b") == Location("models/a.sql", 1)


def test_a_file_elsewhere_has_its_whole_path(file: Path) -> None:
    elsewhere = Locations(file.parent.parent.parent / "other")
    assert elsewhere.find(file, "mart.ab") == Location(str(file.resolve()), 2)


def test_what_no_file_has_is_nowhere(file: Path) -> None:
    locations = Locations(file.parent)
    assert locations.find(None, "not_null") is None
    assert locations.find(Path(), "not_null") is None
