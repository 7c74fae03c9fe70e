"""Checks that run apart are not planned where somebody presses Materialize.

Dagster's UI plans every check of an asset that is in the job which it launches, and all checks are
in the base job of a code location. What does not run then is shown as skipped, over the result
that it has, and as failed where the run fails of something else. So of checks that have a job of
their own the UI is told that they are in that job, and not in the base job. The base job has them
as ever: whoever selects them in it gets them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dagster import AssetCheckKey
from dagster._core.definitions.assets.job.asset_job import IMPLICIT_ASSET_JOB_NAME
from dagster._core.remote_representation import external_data
from dagster_shared.record import copy

_snaps_from_repo = external_data.asset_check_node_snaps_from_repo
_own: dict[AssetCheckKey, str] = {}
"""The job of each check that runs apart."""


def told_of_jobs(names: Sequence[str], own: str | None) -> list[str]:
    """The jobs that the UI is told a check is in. It launches the first one to run the check alone.

    Args:
        names: The jobs that it is in.
        own: The one that runs checks of its project apart; None: there is none.
    """
    if own is None or own not in names:  # the definitions of somebody else, or older ones
        return list(names)
    return [own, *(name for name in names if name not in (own, IMPLICIT_ASSET_JOB_NAME))]


def plan_apart(job: str, checks: Iterable[AssetCheckKey]) -> None:
    """From now on the UI plans these checks with this job only, where definitions have it."""
    _own.update(dict.fromkeys(checks, job))
    external_data.asset_check_node_snaps_from_repo = _snaps


def _snaps(repo: Any) -> Sequence[Any]:
    found = []
    for snap in _snaps_from_repo(repo):
        own = _own.get(AssetCheckKey(snap.asset_key, snap.name))
        found.append(copy(snap, job_names=told_of_jobs(snap.job_names, own)))
    return found
