"""When Dagster was last told that assets were built, and the mutation that reloads a location."""

from __future__ import annotations

from datetime import datetime, timezone

import dagster as dg
import graphql
import pytest
from dagster_graphql.schema import create_schema

from dagster_transform.dagster._compat_synced import last_told
from dagster_transform.dagster.watching import reloading

AT = "at"


@pytest.mark.parametrize("ahead", [-60.0, 60.0])
def test_the_later_of_when_it_was_stored_and_what_it_says(ahead: float) -> None:
    keys = [dg.AssetKey(["a", str(number)]) for number in range(3)]
    now = datetime.now(timezone.utc).timestamp()
    said = dg.MetadataValue.timestamp(now + ahead)
    with dg.DagsterInstance.ephemeral() as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization(keys[0], metadata={AT: said}))
        instance.report_runless_asset_event(dg.AssetMaterialization(keys[1], metadata={AT: 1}))
        found = last_told(instance, keys, AT)
    assert set(found) == set(keys[:2])
    assert found[keys[0]] == pytest.approx(max(now, now + ahead), abs=30.0)
    assert found[keys[1]] == pytest.approx(now, abs=30.0)


def test_the_webserver_knows_the_mutation() -> None:
    schema = create_schema().graphql_schema
    assert graphql.validate(schema, graphql.parse(reloading._MUTATION)) == []
