"""A run as the project means it, without Dagster: plan, claim, open, walk, settle, summarise."""

from __future__ import annotations
