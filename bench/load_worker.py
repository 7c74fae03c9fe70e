"""Child process: load a definitions file as a code server does, and say how long it took."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
import time
from pathlib import Path
from typing import Any


def load_definitions(file: Path) -> Any:
    """The `defs` of a Python file; its bytecode is kept beside it."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.defs


def main() -> None:
    """Argument: the file. Prints JSON; `at` is the moment of the finished snapshot."""
    moments = {"python": time.time()}
    import dagster as dg  # noqa: F401 - what it takes is a phase of its own
    from dagster._core.remote_representation.external_data import RepositorySnap

    moments["import dagster"] = time.time()
    defs = load_definitions(Path(sys.argv[1]))
    moments["definitions"] = time.time()
    repository = defs.get_repository_def()
    moments["repository"] = time.time()
    snapshot = RepositorySnap.from_def(repository)
    moments["snapshot"] = time.time()
    cpu = time.process_time()
    specs = equal_part(snapshot)
    print(
        json.dumps(
            {
                "moments": moments,
                "cpu": cpu,
                "frameworks": sorted({"sqlmesh", "sqlglot", "dbt"} & sys.modules.keys()),
                "modules": len(sys.modules),
                "assets": len(snapshot.asset_nodes),
                "checks": len(snapshot.asset_check_nodes or ()),
                "specs": hashlib.sha256(specs.encode()).hexdigest(),
            }
        )
    )
    if sys.argv[2:]:
        Path(sys.argv[2]).write_text(specs, encoding="utf-8")


def equal_part(snapshot: Any) -> str:
    """What must be equal for the comparison to be fair: all nodes and checks, as they are stored.

    Only what the op itself needs may differ: our op asks for a resource.
    """
    import dagster as dg
    from dagster_shared.record import copy

    lines = [
        dg.serialize_value(copy(node, required_top_level_resources=[]))
        for node in sorted(snapshot.asset_nodes, key=lambda node: node.asset_key)
    ]
    checks = sorted(snapshot.asset_check_nodes or (), key=lambda c: (c.asset_key, c.name))
    lines += [dg.serialize_value(check) for check in checks]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
