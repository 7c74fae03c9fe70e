"""warm-one-of-1000, warm-dbt-one-of-1000, warm-audits-200: what other benchmarks do in a process of
its own, in a run that a code server with `warm: true` starts."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from bench import audits_200, dbt_one_of, one_of
from bench.measure import Result
from bench.project import ROOT, prepare

_FILE = "definitions_warm.py"
_COLD = "build_transform_definitions(Path(__file__).parent)"
_IMPORT = "from dagster_transform.config import load_config"
_WARM = (
    "build_transform_definitions("
    'load_config(Path(__file__).parent).model_copy(update={"warm": True}))'
)


@dataclass(frozen=True)
class Warm:
    """One of them.

    Attributes:
        cold: The benchmark of the same in a process of its own.
        prepared: Makes its project.
        launched: Of that project: what is launched, as arguments of `bench.launch`.
    """

    cold: ModuleType
    prepared: Callable[[Path, int, Callable[[str], None]], Any]
    launched: Callable[[Any], Sequence[str]]

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
        _write_definitions(ours.cwd)
        command = [sys.executable, "-m", "bench.launch", _FILE, *self.launched(project)]

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


def _write_definitions(folder: Path) -> None:
    """The same definitions, of the same config but for `warm`."""
    text = (folder / "definitions.py").read_text(encoding="utf-8")
    if text.count(_COLD) != 1:
        raise RuntimeError(f"{folder}/definitions.py has no {_COLD}")
    text = text.replace(_COLD, _WARM)
    (folder / _FILE).write_text(f"{_IMPORT}\n{text}", encoding="utf-8")


def _sqlmesh(project: Any) -> list[str]:
    options = json.dumps(one_of.IGNORE_NO_CRON)
    return ["--asset", one_of.key_of(project), "--config-json", options]


SQLMESH = Warm(one_of, prepare, _sqlmesh)
DBT = Warm(dbt_one_of, dbt_one_of.prepared, lambda project: ["--asset", str(project.model)])
AUDITS = Warm(audits_200, audits_200.prepared, lambda _: ["--job", "checks"])
