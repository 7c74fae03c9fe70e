"""One transform.yaml in which every key stands once: the examples that the schema shows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from dagster_transform.config.fields import Model

EXAMPLE = """\
projects:
  marts:
    framework: sqlmesh
    path: sqlmesh_project
    environment: prod
    gateway: ${GATEWAY:-}
    plan: never
    column_lineage: true
    catalog_in_key: true
    select: ["marts.*"]
    exclude: ["tag:legacy"]
    key_prefix: flights
    source_keys:
      landing.flights: raw/flights
    checks:
      when: apart
      blocking: after_each
      cron: "0 6 * * *"
      time_zone: Europe/Zurich
      fail_on: error
    require_passing_checks: true
    janitor:
      cron: "17 3 * * *"
      time_zone: Europe/Zurich
      schedule: running
    watch:
      sensor: running
      interval: 60
      prepare: true
  staging:
    framework: dbt
    path: dbt_project
    target: ${DBT_TARGET:-}
    profiles_dir: profiles
    vars:
      since: "2024-01-01"
    state: artifacts/prod
    cron: "@daily"
    time_zone: Europe/Zurich
    watch:
      folder: artifacts/watched
max_concurrent_models: 8
check_concurrency: 8
check_jobs:
  nightly:
    projects: [staging]
    tags: [finance]
    cron: "@daily"
    time_zone: Europe/Zurich
job_groups:
  file: job_groups.yaml
  max_job_groups: 20
  smallest: 10
  largest: 200
  merge_cadences: needed
  keep_apart: [project, "tag:finance"]
  pinned:
    finance: ["tag:finance"]
  jobs: each
  schedules: running
  missed_ticks: launch
  max_wait: 86400
  upstream_assets: wait
  sensor_interval: 30
alerts:
  webserver_url: https://dagster.example.com
  limit: 30
  channels:
    data-team:
      type: slack
      url: ${SLACK_WEBHOOK_URL:-}
      events: [failure, recovery]
      severity: warn
      waiting_after: 3600
      projects: [marts]
      job_groups: [hourly]
      owners: [data@example.com]
      tags: [critical]
      timeout: 10
      retries: 2
    on-call:
      type: webhook
      url: ${PAGER_URL:-}
      headers:
        Authorization: Bearer ${PAGER_TOKEN:-}
    owners:
      type: email
      host: ${SMTP_HOST:-}
      port: 587
      security: starttls
      user: dagster
      password: ${SMTP_PASSWORD:-}
      sender: dagster@example.com
      to: [data@example.com]
      to_owners: true
freshness_grace: 3600
tags:
  heavy: 2
connections:
  marts: 8
artifacts: /var/lib/transform
webserver: http://localhost:3000
claims_url: postgresql://me:${PASSWORD:-}@db.example/dagster
claims_lease: 60
claims_heartbeat: 15
keep_event_log_open: false
warm: true
"""

_VARIABLE = re.compile(r"\$\{[^}]*\}")


def examples_of(model: type[Model]) -> Mapping[str, Any]:
    """How the keys of a model are written in the example, by key; a key of a base as in whatever
    model has it there."""
    found = _examples()
    return {
        name: found[place]
        for name in model.model_fields
        if (place := (_owner(model, name), name)) in found
    }


def _owner(model: type[Model], name: str) -> type[Any]:
    """The class that a key of a model is written in."""
    return next(each for each in model.__mro__ if name in vars(each).get("__annotations__", {}))


@cache
def _examples() -> Mapping[tuple[type[Any], str], Any]:
    import yaml

    from dagster_transform.config.models import TransformConfig

    found: dict[tuple[type[Any], str], Any] = {}

    def look(model: Model, written: Mapping[str, Any]) -> None:
        for name, raw in written.items():
            found.setdefault((_owner(type(model), name), name), raw)
            inside(getattr(model, name), raw)

    def inside(value: Any, raw: Any) -> None:
        if isinstance(value, Model) and isinstance(raw, dict):
            look(value, raw)
        elif isinstance(value, Mapping) and isinstance(raw, dict):
            for key, each in value.items():
                inside(each, raw[key])

    # Typed without its variables: the example is the same whatever the environment has.
    typed = TransformConfig.model_validate(yaml.safe_load(_VARIABLE.sub("", EXAMPLE)))
    look(typed, yaml.safe_load(EXAMPLE))
    return found
