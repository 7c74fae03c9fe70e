"""Peers: our versions of what is not theirs, and left out where they can't be installed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench import peers
from bench.peers import PEERS, Peer
from tests.support.folders import REPOSITORY

SHARED = ("dagster", "sqlmesh", "dbt-core", "dbt-duckdb", "duckdb", "sqlalchemy", "pydantic")


def pins(lock: Path) -> dict[str, str]:
    lines = lock.read_text(encoding="utf-8").splitlines()
    return dict(m.groups() for line in lines if (m := re.match(r"([\w.-]+)==([^ ;]+)", line)))  # type: ignore[misc]


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_the_integration_is_what_differs(peer: Peer) -> None:
    """Else: python -m bench.peers"""
    ours, theirs = pins(REPOSITORY / "requirements.lock"), pins(peer.lock)
    shared = {name: ours[name] for name in SHARED if name in theirs}
    assert {"dagster", "duckdb"} <= shared.keys()
    assert {name: theirs[name] for name in shared} == shared
    assert peer.versions()[peer.name] == theirs[peer.name]


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_locks_name_no_address_and_no_path(peer: Peer) -> None:
    lines = peer.lock.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if re.search(r"://|^ *-|@|^[^;#]*/", line)] == []


def test_what_can_not_be_installed_is_left_out_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "LOCKS", tmp_path)
    monkeypatch.setattr(peers, "ENVIRONMENTS", tmp_path / "environments")
    (tmp_path / "nowhere.lock").write_text("./no/such/package\n", encoding="utf-8")
    said: list[str] = []
    peer = Peer("nowhere", ("nowhere",))
    assert not peer.installed(said.append)
    assert len(said) == 2
    assert said[1].startswith("nowhere is left out, it can't be installed here: ")
    assert "\n" not in said[1]

    (tmp_path / "nowhere.lock").write_text("# nothing\n", encoding="utf-8")
    assert peer.installed(said.append)
    assert peer.installed(said.append)
    assert len(said) == 3, "an environment that is there is not made again"
