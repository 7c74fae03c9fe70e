"""What Dagster's own freshness daemon says of assets that have policies by their crons."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.test_utils import freeze_time
from dagster._daemon.freshness import FreshnessDaemon

from dagster_transform import build_transform_definitions, load_config
from dagster_transform.dagster._compat_freshness import has_freshness_policies
from dagster_transform.dagster.translation import freshness
from tests.support.grouped import grouped
from tests.support.scheduler import scheduler_of
from tests.support.sqlmesh_projects import utc
from tests.support.transforms import Transform

MODELS = {
    "mart.often": "kind FULL, cron '*/5 * * * *'\n---\nSELECT 1 AS n",
    "mart.days": "kind FULL, cron '@daily'\n---\nSELECT n FROM mart.often",
    "mart.weekdays": "kind FULL, cron '0 6 * * 1-5'\n---\nSELECT n FROM mart.often",
    "mart.levels": "kind SEED (path '../seeds/levels.csv'), cron '@hourly'\n---\n",
    "mart.never": "kind FULL, cron '@daily'\n---\nSELECT n FROM mart.often",
}
NAMES = [name.partition(".")[2] for name in MODELS]


def transform_in(folder: Path, **settings: Any) -> Transform:
    transform = grouped(folder, models=MODELS, file="job_groups: {}", **settings)
    seeds = transform.projects[0].folder / "seeds"
    seeds.mkdir()
    (seeds / "levels.csv").write_text("level\n1\n", encoding="utf-8")
    return transform


def policies(transform: Transform) -> dict[str, Any]:
    specs = build_transform_definitions(load_config(transform.folder)).resolve_all_asset_specs()
    return {spec.key.path[-1]: spec.freshness_policy for spec in specs}


def states(transform: Transform, process: Any, now: datetime) -> dict[str, str]:
    keys = {dg.AssetKey(["w", "mart", name]): name for name in NAMES}
    with freeze_time(now):
        list(FreshnessDaemon().run_iteration(process))
        found = transform.instance.get_freshness_state_records(list(keys))
    return {keys[key]: record.freshness_state.value for key, record in found.items()}


@pytest.mark.skipif(not has_freshness_policies(), reason="this Dagster has none")
def test_what_was_not_built_in_time_is_shown_as_late(tmp_path: Path) -> None:
    transform = transform_in(tmp_path, freshness_grace=3600)
    transform.projects[0].plan_natively(utc("2026-11-02 20:10"))
    transform.prepare()
    built = ["mart.often", "mart.days", "mart.weekdays"]
    assert len(transform.run(built, ignore_cron=True).materialized) == 3
    # Of a seed SQLMesh builds nothing at its ticks; nothing is known of what was never built.
    always = {"levels": "NOT_APPLICABLE", "never": "UNKNOWN"}
    now = datetime.now(timezone.utc)
    with scheduler_of(transform) as scheduler:
        for later, late in (
            (timedelta(minutes=59), ()),
            (timedelta(minutes=66), ("often",)),
            (timedelta(hours=24, minutes=59), ("often",)),
            (timedelta(hours=25, minutes=1), ("often", "days")),
            (timedelta(days=4), ("often", "days")),
        ):
            found = states(transform, scheduler.process, now + later)
            weekdays = found.pop("weekdays")
            if later < timedelta(hours=1):
                assert weekdays == "PASS"
            if later == timedelta(days=4):  # whatever day it is now, one was a weekday
                assert weekdays == "FAIL"
            expected = {name: "FAIL" if name in late else "PASS" for name in ("often", "days")}
            assert found == expected | always
    transform.close()


def test_nobody_who_has_not_asked_has_any(tmp_path: Path) -> None:
    transform = transform_in(tmp_path)
    transform.prepare()
    assert set(policies(transform)) == {*NAMES}
    assert set(policies(transform).values()) == {None}


def test_a_dagster_that_has_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    transform = transform_in(tmp_path, freshness_grace=60)
    transform.prepare()
    monkeypatch.setattr(freshness, "has_freshness_policies", lambda: False)
    with caplog.at_level(logging.WARNING, logger="dagster_transform"):
        assert set(policies(transform).values()) == {None}
    assert f"Dagster {dg.__version__} has no freshness policies" in caplog.text
