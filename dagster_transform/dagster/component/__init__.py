"""`TransformComponent`: a transform as one of Dagster's components, in YAML."""

from __future__ import annotations

from dagster_transform.dagster.component.component import TransformComponent

__all__ = ["TransformComponent"]
