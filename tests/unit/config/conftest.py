"""An empty folder as the current one."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DAGSTER_TRANSFORM_CONFIG", raising=False)
    monkeypatch.delenv("NOT_SET", raising=False)
    for name in ("marts", "more", "staging", "profiles"):
        (tmp_path / name).mkdir()
    return tmp_path
