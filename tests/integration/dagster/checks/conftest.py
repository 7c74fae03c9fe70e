"""A transform with checks of every sort, with nothing built or with everything."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.judged import NOW, Judged


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judged]:
    """Its files; nothing is built."""
    transform = Judged(tmp_path_factory.mktemp("judged"))
    transform.begin_anew()
    transform.prepare()
    yield transform
    transform.close()


@pytest.fixture(scope="module")
def warehouse(judged: Judged) -> Path:
    """A database in which everything is built, and no check has run."""
    judged.begin_anew()
    judged.say("apart")
    assert judged.run(execution_time=NOW).success
    return shutil.copy(judged.folder / "w.duckdb", judged.folder / "built.duckdb")


@pytest.fixture
def empty(judged: Judged) -> Judged:
    """Nothing is built, and transform.yaml says nothing of checks."""
    judged.begin_anew()
    judged.say()
    return judged


@pytest.fixture
def built(judged: Judged, warehouse: Path) -> Judged:
    """Everything is built, no check has run, and transform.yaml says nothing of checks."""
    judged.begin_anew(warehouse)
    judged.say()
    return judged
