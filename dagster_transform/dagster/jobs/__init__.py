"""Jobs that are no runs of models: a SQLMesh project's plan, and its janitor."""

from __future__ import annotations
