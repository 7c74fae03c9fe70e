"""Which store the claims of an instance's runs are kept in."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import dagster as dg

from dagster_transform.claims import RunId, Store, open_store
from dagster_transform.config import TransformConfig, url_from
from dagster_transform.dagster._compat import sqlite_folder, storage_url
from dagster_transform.runs.claiming.policy import timing_of

CLAIMS_VARIABLE = "DAGSTER_TRANSFORM_CLAIMS_URL"
_FILE = "dagster_transform_claims.db"


def open_claims(instance: dg.DagsterInstance, config: TransformConfig) -> Store:
    """The claims store of a Dagster instance.

    Raises:
        ClaimsError: It can't be used, or the timing in transform.yaml is wrong.
    """
    return open_store(claims_url(instance, config), timing_of(config))


def claims_of_instance(config: TransformConfig) -> tuple[Store, Callable[[RunId], str]]:
    """The claims store of the instance that DAGSTER_HOME names, and what Dagster says of a run.

    Returns:
        The store; and a function of a run's id that gives its status (`STARTED`) while it is
        alive, "" where it has ended or Dagster does not know it.

    Raises:
        ClaimsError: The store can't be used.
    """
    home = os.environ.get("DAGSTER_HOME", "").strip()
    instance = dg.DagsterInstance.get() if home else dg.DagsterInstance.ephemeral()

    def status(run_id: RunId) -> str:
        run = instance.get_run_by_id(run_id)
        return run.status.value if run is not None and not run.is_finished else ""

    return open_claims(instance, config), status


def claims_url(instance: dg.DagsterInstance, config: TransformConfig) -> str | None:
    """Where claims are kept: `claims_url` of transform.yaml, else DAGSTER_TRANSFORM_CLAIMS_URL,
    else the PostgreSQL of Dagster's storage, else a SQLite file beside Dagster's.

    Returns:
        None for an instance that keeps its runs in memory: so are its claims.
    """
    if config.claims_url:
        return config.claims_url
    if given := os.environ.get(CLAIMS_VARIABLE, "").strip():
        # Not from the working directory: processes with another one would not see these claims.
        return url_from(config.root, given)
    if url := storage_url(instance):
        return url
    folder = sqlite_folder(instance)
    return f"sqlite:///{Path(folder).resolve() / _FILE}" if folder is not None else None
