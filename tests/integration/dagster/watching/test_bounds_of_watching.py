"""The watching sensors ask databases a number of times that does not depend on how many nodes and
runs there are, and import no framework."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from dagster_transform import build_transform_definitions
from dagster_transform.config import load_config
from dagster_transform.dagster.execution.claims_store import open_claims
from dagster_transform.dagster.execution.transform import Transform
from dagster_transform.dagster.translation.keys import keys_of
from dagster_transform.dagster.translation.translator import TransformTranslator
from dagster_transform.dagster.watching.reloading import Reload, reload_location
from dagster_transform.dagster.watching.synced import ProjectNodes, tell_builds
from dagster_transform.graph import Graph
from tests.support.job_group_graphs import node
from tests.support.queries import statements


def queries(folder: Path, nodes: int, runs: int) -> int:
    """How often databases are asked where nothing is new."""
    (folder / "home").mkdir(parents=True)
    (folder / "transform.yaml").write_text("projects: {}", encoding="utf-8")
    graph = Graph.of([node(f"a{number}", "@hourly") for number in range(nodes)])
    translator = TransformTranslator(folder)
    keys = keys_of(graph, translator)
    transform = Transform(graph, load_config(folder), keys, translator)
    with dg.DagsterInstance.local_temp(str(folder / "home")) as instance:
        for number in range(runs):
            create_run_for_test(
                instance,
                run_id=str(uuid.uuid4()),
                status=dg.DagsterRunStatus.STARTED,
                asset_selection=frozenset({keys.assets[list(graph.nodes)[number]]}),
            )
        store = open_claims(instance, transform.config)
        store.holders()
        with statements() as found:
            mine = ProjectNodes.of(transform, "p")
            busy = mine.busy(instance, store, "here", None)
            built = dict.fromkeys(mine.by_reference.values(), 0.0)
            tell_builds(instance, mine, built, busy, metadata=lambda _: {}, by="SQLMesh")
        assert len(busy) == runs
        return len(found)


def test_the_number_of_queries(tmp_path: Path) -> None:
    few = queries(tmp_path / "few", 8, 1)
    assert few <= 8
    assert queries(tmp_path / "many", 500, 50) == few


def test_the_sensors_of_a_transform(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "transform.yaml").write_text(
        "projects:\n"
        "  marts: {framework: sqlmesh, path: p}\n"
        "  dev: {framework: sqlmesh, path: p, watch: {sensor: stopped, interval: 5}}\n"
        "  staging: {framework: dbt, path: p, watch: artifacts}\n"
        "  other: {framework: dbt, path: p}\n",
        encoding="utf-8",
    )
    found = build_transform_definitions(tmp_path).sensors or ()
    sensors = [each for each in found if isinstance(each, dg.SensorDefinition)]
    running, stopped = dg.DefaultSensorStatus.RUNNING, dg.DefaultSensorStatus.STOPPED
    assert {
        each.name: (each.default_status, each.minimum_interval_seconds) for each in sensors
    } == {
        "marts_environment_sensor": (running, 60),
        "dev_environment_sensor": (stopped, 5),
        "staging_artifacts_sensor": (running, 60),
    }
    folder = load_config(tmp_path).projects["staging"].watch
    assert getattr(folder, "folder", None) == tmp_path / "artifacts"


MODULES = "print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"


def test_neither_imports_a_framework() -> None:
    code = (
        "import json, sys\n"
        "import dagster_transform.dagster.watching.environment\n"
        "import dagster_transform.dagster.watching.artifacts\n" + MODULES
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert not set(json.loads(done.stdout)) & {"sqlmesh", "sqlglot", "dbt", "pandas", "duckdb"}


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://u:secret@127.0.0.1:1/x"])
def test_a_webserver_that_does_not_answer(url: str) -> None:
    found = reload_location(url, "here", wait=30.0)
    assert not found.done
    assert "has not reloaded code location here" in found.said
    assert "secret" not in found.said
    assert isinstance(found, Reload)
