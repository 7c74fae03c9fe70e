"""One run of one project: its three ways, and what it builds, checks and claims."""

from __future__ import annotations
