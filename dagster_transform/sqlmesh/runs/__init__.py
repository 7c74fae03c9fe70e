"""One run of one project: its session, and what it builds, checks, plans, restates and claims."""

from __future__ import annotations
