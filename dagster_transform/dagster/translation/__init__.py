"""How nodes, sources and checks look in Dagster: keys, groups, tags, metadata."""

from __future__ import annotations
