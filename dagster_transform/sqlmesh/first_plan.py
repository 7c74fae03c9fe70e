"""What to do where nobody has planned a project's environment: the one place that words it.

`prepare`, `init`, `doctor`, `job-groups generate` and runs say it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagster_transform.sqlmesh.configs import shell_command


@dataclass(frozen=True, slots=True)
class FirstPlan:
    """What to do once, so that runs have something to build.

    Attributes:
        command: What plans it in a shell.
        ways: Each way, in words.
    """

    command: str
    ways: tuple[str, ...]

    @property
    def remedy(self) -> str:
        """All ways in a sentence."""
        return f"Plan it once: {'; '.join(self.ways)}."


def first_plan(
    name: str,
    environment: str,
    paths: Sequence[str | Path],
    gateway: str | None = None,
    reads: Sequence[str] = (),
) -> FirstPlan:
    """What to do for a project.

    Args:
        name: Its name in transform.yaml.
        environment: The environment that nobody has planned.
        paths: Its folders.
        gateway: The gateway, if it is not the project's default one.
        reads: Projects of which it reads what they build.
    """
    command = shell_command(paths, f"plan {environment} --auto-apply", gateway)
    order = f"it reads what {' and '.join(reads)} builds: let that be built before a plan, or plan "
    before = [f"{order}and build in one run, with `plan: auto`"] if reads else []
    config = f"{{ops: {{plan_{name}: {{config: {{apply: true}}}}}}}}"
    ways = (
        *before,
        f"in Dagster, launch the job {name}_plan with the run config {config}",
        f"or run `{command}`",
        "or set `plan: auto` for the project in transform.yaml: then runs plan by themselves",
    )
    return FirstPlan(command, ways)


def first_plan_of(context: Any, name: str, environment: str) -> FirstPlan:
    """The same for an open project (a sqlmesh Context)."""
    return first_plan(name, environment, [*context.configs], context.gateway)
