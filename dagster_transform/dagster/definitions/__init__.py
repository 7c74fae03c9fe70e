"""From transform.yaml and graph files to Dagster's definitions."""

from __future__ import annotations
