"""The private parts of dbt that `dagster_transform.dbt.child._compat_warm` touches.

In a process of its own: what is done there stays done.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from packaging.version import Version

from tests.support.dbt_projects import DbtProject
from tests.support.sqlmesh_projects import Database

READ_AHEAD = """
import json, sys
from multiprocessing import resource_tracker
from pathlib import Path

import psutil
from dagster_transform.dbt.child import _compat_warm

parsed = Path(sys.argv[1]).read_bytes()
_compat_warm.import_dbt()
_compat_warm.read_ahead(parsed)
_compat_warm.read_ahead(parsed)
_compat_warm.make_methods()

from dbt.contracts.graph.manifest import Manifest
from dbt.parser import manifest

decode = {"decoder": manifest.extended_mashumuro_decoder}
ahead = list(_compat_warm._made.values())
alone = resource_tracker._resource_tracker._fd is None
_compat_warm._made[b"of another project"] = object()
before = _compat_warm.has_threads()
_compat_warm.end_threads()
found = {
    "read": len(ahead),
    "is taken": Manifest.from_msgpack(parsed, **decode) is ahead[0],
    "is taken once": Manifest.from_msgpack(parsed, **decode) is not ahead[0],
    "equal": Manifest.from_msgpack(parsed, **decode).nodes.keys() == ahead[0].nodes.keys(),
    "has a lock like any other": type(ahead[0]._lock).__module__,
    "and none that processes share, before": alone,
    "threads": (before, psutil.Process().num_threads()),
}
import duckdb
found["default connection"] = duckdb.sql("select 1").fetchall()
_compat_warm.read_ahead(parsed)
_compat_warm.forget()
found["forgotten"] = Manifest.from_msgpack(parsed, **decode) is not None and not _compat_warm._made
print(json.dumps(found))
"""


def test_a_project_that_was_read_ahead_is_what_dbt_takes(tmp_path: Path) -> None:
    files = {"models/one.sql": "select 1 as n"}
    project = DbtProject(tmp_path / "d", Database.in_file(tmp_path / "w.duckdb"), files)
    project.read()
    command = [sys.executable, "-c", READ_AHEAD, str(project.artifacts / "partial_parse.msgpack")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "read": 1,
        "is taken": True,
        "is taken once": True,
        "equal": True,
        "has a lock like any other": "multiprocessing.synchronize",
        "and none that processes share, before": True,
        "threads": [Version(version("duckdb")) >= Version("1.4"), 1],
        "default connection": [[1]],
        "forgotten": True,
    }
