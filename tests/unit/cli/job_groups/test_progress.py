"""A bar for work that takes long, and none for work that does not."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from dagster_transform.cli.job_groups import progress
from dagster_transform.cli.job_groups.progress import steps


def shown(seconds: float, *, terminal: bool, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(progress, "_AFTER", 0.05)
    out = io.StringIO()
    with steps(Console(file=out, force_terminal=terminal, width=80), 2) as begin:
        begin("one")
        begin("two")
        time.sleep(seconds)
    return out.getvalue()


def test_it_is_shown_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    said = shown(0.4, terminal=True, monkeypatch=monkeypatch)
    assert "two" in said
    assert "1/2" in said


def test_it_is_not_shown_before(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(0, terminal=True, monkeypatch=monkeypatch) == ""


def test_it_is_not_shown_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(0.2, terminal=False, monkeypatch=monkeypatch) == ""
