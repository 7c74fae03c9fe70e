"""Freshness policies, where Dagster has them."""

from __future__ import annotations

from datetime import timedelta

import dagster as dg
import pytest

from dagster_transform.dagster._compat_freshness import (
    deadline,
    has_freshness_policies,
    time_window,
)


def test_dagster_has_them_from_one_version_on() -> None:
    version = tuple(map(int, dg.__version__.split(".")[:2]))
    assert has_freshness_policies() == (version >= (1, 12))


@pytest.mark.skipif(not has_freshness_policies(), reason="this Dagster has none")
def test_it_takes_those_that_are_made_and_warns_of_nothing() -> None:
    spec = dg.AssetSpec("a")
    window = time_window(timedelta(hours=30))
    assert spec.replace_attributes(freshness_policy=window).freshness_policy == window
    # At most the least time between two ticks: on weekdays a day.
    late = deadline("0 8 * * 1-5", timedelta(hours=24), "Europe/Zurich")
    assert late.deadline_cron == "0 8 * * 1-5"
    with pytest.raises(Exception, match="smallest cron interval"):
        deadline("0 8 * * 1-5", timedelta(hours=25), "Europe/Zurich")
