"""What tests ask of the files in deploy/."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from tests.support.folders import REPOSITORY

DEPLOY = REPOSITORY / "deploy"
Stage = list[tuple[str, str]]


def helm_values() -> dict[str, Any]:
    """The values for Dagster's chart."""
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "helm-values.yaml").read_text("utf-8"))
    return found


def snake(values: dict[str, Any], levels: int) -> dict[str, Any]:
    """Keys with underscores, so many levels down, as the chart writes them."""
    if levels == 0:
        return values
    return {
        re.sub(r"(?<!^)(?<![A-Z0-9])([A-Z])", r"_\1", key).lower(): (
            snake(value, levels - 1) if isinstance(value, dict) else value
        )
        for key, value in values.items()
    }


def dockerfile() -> tuple[list[Stage], list[str]]:
    """Its instructions by stage, and what it copies from the repository."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    stages: list[Stage] = []
    copied: list[str] = []
    for line in joined.splitlines():
        if not line.strip():
            continue
        instruction, rest = line.split(None, 1)
        if instruction == "FROM":
            stages.append([])
        stages[-1].append((instruction, " ".join(rest.split())))
        if instruction == "COPY" and "--from=" not in rest:
            copied += [word for word in rest.split() if not word.startswith("--")][:-1]
    return stages, copied


def command_of(stage: Stage) -> list[str]:
    """The command with which a container of the image starts."""
    (found,) = [rest for instruction, rest in stage if instruction == "CMD"]
    command: list[str] = json.loads(found)
    return command
