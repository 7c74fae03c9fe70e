"""The private parts of Dagster that the doctor looks at."""

from __future__ import annotations

import time
from pathlib import Path

import dagster as dg
import pytest
from dagster._daemon.types import DaemonHeartbeat

from dagster_transform import transform_executor
from dagster_transform.dagster import _compat_doctor as compat

LIMITS = """
run_monitoring: {enabled: true}
concurrency:
  runs:
    max_concurrent_runs: 7
    tag_concurrency_limits:
      - {key: a, limit: 1}
      - {key: b, value: "true", limit: 2}
      - {key: c, value: other, limit: 3}
      - {key: d, value: {applyLimitPerUniqueValue: true}, limit: 4}
"""


def test_what_an_instance_is_told(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text(LIMITS)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert compat.run_limits(instance) == (7, {"a": 1, "b": 2})
        assert compat.monitors_runs(instance)
        assert compat.silent_daemons(instance)["SENSOR"] == (None, "")
        instance.add_daemon_heartbeat(DaemonHeartbeat(time.time(), "SENSOR", None, None))
        assert "SENSOR" not in compat.silent_daemons(instance)


def test_definitions_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "of_contract.py").write_text("import dagster as dg\ndefs = dg.Definitions()\n")
    (found,) = compat.definitions_in("of_contract.py", tmp_path)
    assert isinstance(found, dg.Definitions)


def test_definitions_that_are_made_when_dagster_asks_for_them(tmp_path: Path) -> None:
    made = (
        "@dg.definitions\ndef defs():\n    return dg.Definitions(executor=dg.in_process_executor)"
    )
    (tmp_path / "lazy_of_contract.py").write_text(f"import dagster as dg\n\n{made}\n")
    (found,) = compat.definitions_in("lazy_of_contract.py", tmp_path)
    assert found.executor is dg.in_process_executor


def test_definitions_are_resolved_as_a_code_location_does(tmp_path: Path) -> None:
    made = "dg.Definitions(jobs=[dg.define_asset_job('a', 'nowhere')])"
    (tmp_path / "broken_of_contract.py").write_text(f"import dagster as dg\ndefs = {made}\n")
    with pytest.raises(dg.DagsterError):
        compat.definitions_in("broken_of_contract.py", tmp_path)


def test_the_executor_that_goes_on() -> None:
    assert compat.goes_on_after_failures(transform_executor())
    for other in (None, dg.in_process_executor, dg.multiprocess_executor):
        assert not compat.goes_on_after_failures(other)
