"""What reads a dbt project's files: its manifest becomes the graph."""

from __future__ import annotations
