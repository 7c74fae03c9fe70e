"""What is wrong with the claims of an instance's runs."""

from __future__ import annotations

from collections.abc import Callable, Collection

import dagster as dg

from dagster_transform.claims import ClaimsError, RunId
from dagster_transform.claims.doctor import backend_findings, claim_findings
from dagster_transform.config import TransformConfig
from dagster_transform.dagster._compat_schedules import instigators, runs_under_way
from dagster_transform.dagster.execution.claims_store import open_claims
from dagster_transform.databases.backends import BackendId
from dagster_transform.planning.findings import Code, Finding, of_error


def instance_claim_findings(
    instance: dg.DagsterInstance,
    config: TransformConfig,
    there: Callable[[], Collection[BackendId]],
) -> list[Finding]:
    """What is in the way of runs, in the store that the instance's runs use.

    Args:
        instance: Not one in memory.
        config: The transform's configuration.
        there: Asks which backends of runs there are on the projects' database servers.
    """
    # A sensor that looks at a state claims it under its own name.
    sensors = {each.name for each in instigators(instance) if each.is_sensor}

    def alive(run_id: RunId) -> bool | None:
        if run_id in sensors:
            return True
        run = instance.get_run_by_id(run_id)
        return None if run is None else not run.is_finished

    try:
        store = open_claims(instance, config)
        found = claim_findings(store, alive)
        # Asked before: a run that begins in between is under way then.
        backends = there()
        under_way = bool(runs_under_way(instance))
        return [*found, *backend_findings(store, backends, runs_under_way=under_way)]
    except ClaimsError as error:
        return [of_error(Code.CLAIMS_UNUSABLE, "The claims store can't be used.", error)]
