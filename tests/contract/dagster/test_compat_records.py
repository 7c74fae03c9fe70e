"""What dagster_transform/dagster/_compat.py asks Dagster of what earlier runs have built.

A test that fails here names the part that a new version of Dagster has moved.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest

from dagster_transform.dagster import _compat


def test_dagster_says_when_assets_were_last_materialized() -> None:
    @dg.asset
    def made() -> None: ...

    with dg.DagsterInstance.ephemeral() as instance:
        before = time.time()
        dg.materialize([made], instance=instance)
        found = _compat.last_materialized(instance, [made.key, dg.AssetKey("never")])
    assert list(found) == [made.key]
    assert before <= found[made.key] <= time.time()


KILLED = """
import os, signal, sys
import dagster as dg

@dg.asset
def made(context):
    if sys.argv[2] == "kill":
        yield dg.MaterializeResult()
        os.kill(os.getpid(), signal.SIGKILL)
    yield dg.MaterializeResult()
    if sys.argv[2] == "fail":
        raise dg.Failure("it was to")

@dg.asset
def whole(): ...

with dg.DagsterInstance.from_config(sys.argv[1]) as instance:
    dg.materialize([made, whole], instance=instance, raise_on_error=False)
"""


@pytest.mark.parametrize("how", ["kill", "fail", "succeed"])
def test_a_run_that_was_killed_has_left_a_step_open(how: str, tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    command = [sys.executable, "-c", KILLED, str(tmp_path), how]
    subprocess.run(command, check=how != "kill", capture_output=True, timeout=60)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        keys = [dg.AssetKey("made"), dg.AssetKey("never")]
        if how != "succeed":  # reported by a sensor, say
            event = dg.AssetMaterialization("seen")
            instance.report_runless_asset_event(event)
            keys.append(event.asset_key)
        found = _compat.last_materializing_runs(instance, keys)
        [run] = instance.get_runs()
        assert found[dg.AssetKey("made")] == run.run_id
        assert found.keys() == {*keys} - {dg.AssetKey("never")}
        assert found.get(dg.AssetKey("seen")) is None
        left = _compat.runs_left_open(instance, [run.run_id])
        assert left == ({run.run_id} if how == "kill" else set())
        # People delete runs that have long ended.
        assert _compat.runs_left_open(instance, ["unknown"]) == set()
        assert _compat.runs_left_open(instance, []) == set()
