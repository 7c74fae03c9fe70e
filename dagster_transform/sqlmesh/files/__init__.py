"""From the files of a project to the graph."""

from __future__ import annotations
