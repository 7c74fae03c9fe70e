"""Where tests have their temporary files."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from tests.support import memory_folder
from tests.support.memory_folder import SHARED_MEMORY, keep_temporary_files_in_memory


@pytest.fixture
def nobody_has_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "")  # so that it is put back, whatever it was
    monkeypatch.delenv("TMPDIR")
    monkeypatch.setattr(tempfile, "tempdir", None)


@pytest.mark.usefixtures("nobody_has_chosen")
def test_temporary_files_go_to_a_folder_in_memory_that_has_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_folder, "ROOM", 1)
    assert keep_temporary_files_in_memory(tmp_path) is (memory_folder._available() > 0)
    assert (tempfile.gettempdir() == str(tmp_path)) is ("TMPDIR" in os.environ)


@pytest.mark.usefixtures("nobody_has_chosen")
def test_without_room_without_a_folder_or_where_somebody_has_chosen_they_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not keep_temporary_files_in_memory(tmp_path / "not there")
    monkeypatch.setattr(memory_folder, "ROOM", 2**60)
    assert not keep_temporary_files_in_memory(tmp_path)
    monkeypatch.setattr(memory_folder, "ROOM", 1)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert not keep_temporary_files_in_memory(SHARED_MEMORY)
    assert os.environ["TMPDIR"] == str(tmp_path)
