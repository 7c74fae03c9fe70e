"""Crons as values: spelling, ticks, and which cron's ticks cover another's. Pure."""

from __future__ import annotations

from dagster_transform.planning.cron.cadence import MINIMUM_CADENCE, clamped, coarsest_covering
from dagster_transform.planning.cron.cron import Cron
from dagster_transform.planning.cron.errors import CronError

__all__ = ["MINIMUM_CADENCE", "Cron", "CronError", "clamped", "coarsest_covering"]
