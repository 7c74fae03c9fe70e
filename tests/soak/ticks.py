"""Two days of ticks and looks of the sensor, with an injected time: `make ticks`.

Runs are slow, tables are held, models fail until somebody mends them and builds them by hand, runs
are lost and the daemon restarts. In the end each due interval is built exactly once, nothing is
held and nothing pending. Where nothing goes wrong, what is launched is what part 8 simulates.

Not a `test_` file: only `make ticks` runs it.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.driven_ticks import START, assert_all_is_done, driven, launches, simulated

pytestmark = pytest.mark.timeout(7200)
HOURS = int(os.environ.get("TICKS_HOURS", "48"))
SEEDS = [int(seed) for seed in os.environ.get("TICKS_SEEDS", "1").split()]


@pytest.mark.parametrize("seed", SEEDS)
def test_each_due_interval_is_built_exactly_once(tmp_path: Path, seed: int) -> None:
    with driven(tmp_path, HOURS, seed) as (driver, scheduler, transform):
        print(dict(driver.happened))
        assert_all_is_done(driver, scheduler, transform, HOURS)


def test_what_is_launched_is_what_is_simulated(tmp_path: Path) -> None:
    with driven(tmp_path, HOURS, None) as (driver, scheduler, transform):
        assert_all_is_done(driver, scheduler, transform, HOURS)
        end = START + timedelta(hours=HOURS + 3)
        assert launches(scheduler) == simulated(transform, START, end + timedelta(seconds=1))
