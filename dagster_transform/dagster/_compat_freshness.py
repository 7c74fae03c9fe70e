"""Freshness policies, which Dagster has from 1.12 on; see `_compat`."""

from __future__ import annotations

import warnings
from datetime import timedelta
from typing import Any

import dagster as dg


def has_freshness_policies() -> bool:
    """Whether this Dagster has them; an earlier one raises where it is asked for the name, or has
    something else that is called so."""
    try:
        return hasattr(dg.FreshnessPolicy, "time_window")
    except (AttributeError, ImportError):
        return False


def time_window(window: timedelta) -> Any:
    """A policy: fails where the last materialisation is longer ago."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.FreshnessPolicy.time_window(fail_window=window)


def deadline(cron: str, lower_bound: timedelta, time_zone: str) -> Any:
    """A policy: fails where there was no materialisation from so long before the last tick on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.FreshnessPolicy.cron(
            deadline_cron=cron, lower_bound_delta=lower_bound, timezone=time_zone
        )
