"""What is wrong with the claims of an instance's runs."""

from __future__ import annotations

import dagster as dg

from dagster_transform.claims import ClaimsError, RunId
from dagster_transform.claims.doctor import claim_findings
from dagster_transform.config import TransformConfig
from dagster_transform.dagster.execution.claims_store import open_claims
from dagster_transform.planning.findings import Code, Finding, of_error


def instance_claim_findings(instance: dg.DagsterInstance, config: TransformConfig) -> list[Finding]:
    """What is in the way of runs, in the store that the instance's runs use.

    Args:
        instance: Not one in memory.
        config: The transform's configuration.
    """

    def alive(run_id: RunId) -> bool | None:
        run = instance.get_run_by_id(run_id)
        return None if run is None else not run.is_finished

    try:
        return claim_findings(open_claims(instance, config), alive)
    except ClaimsError as error:
        return [of_error(Code.CLAIMS_UNUSABLE, "The claims store can't be used.", error)]
