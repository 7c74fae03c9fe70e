"""warm-one-of-1000, warm-dbt-one-of-1000: one model of a thousand in a run that a code server with
`warm: true` starts."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from bench import dbt_one_of, launch, one_of
from bench.measure import Result
from bench.project import ROOT, prepare

_FILE = "definitions_warm.py"


@dataclass(frozen=True)
class Warm:
    """One of them.

    Attributes:
        cold: The benchmark of the same in a process of its own.
        prepared: Makes its project.
        asset: The key of the model, with slashes.
        options: Of the launch.
    """

    cold: ModuleType
    prepared: Callable[[Path, int, Callable[[str], None]], Any]
    asset: Callable[[Any], str]
    options: Sequence[str] = ()

    @property
    def NAME(self) -> str:  # noqa: N802 - as a module has it
        return f"warm-{self.cold.NAME}"

    @property
    def ABOUT(self) -> str:  # noqa: N802
        return f"{self.cold.ABOUT}; ours from the launch to the run's end, `warm: true`"

    def compare(self, project: Any) -> Result:
        """A run that is launched, against the native command."""
        cold = self.cold.compare(project)
        ours, theirs = cold.sides
        (ours.cwd / _FILE).write_text(launch.DEFINITIONS, encoding="utf-8")
        command = [sys.executable, "-m", "bench.launch", _FILE, self.asset(project), *self.options]

        def verify(began: float, output: str) -> dict[str, Any]:
            measured = next(line for line in output.splitlines() if line.startswith('{"wall"'))
            return {**ours.after(began, output), **json.loads(measured)}

        warm = replace(
            ours,
            label="launched by a warm code server",
            command=command,
            env={**ours.env, "PYTHONPATH": str(ROOT)},
            after=verify,
        )
        return Result(self.NAME, self.ABOUT, [warm, theirs], cold.facts)


SQLMESH = Warm(one_of, prepare, one_of.key_of, ["--config-json", json.dumps(one_of.IGNORE_NO_CRON)])
DBT = Warm(dbt_one_of, dbt_one_of.prepared, lambda project: str(project.model))
