"""When Dagster launches what: schedules."""

from __future__ import annotations
