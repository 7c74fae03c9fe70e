"""The explanation of a plan as a value, and as plain data."""

from __future__ import annotations

import json

import pytest

from dagster_transform.sqlmesh.plans.explanation import PlanRequest, from_json
from tests.support.explanations import SHOWN


def test_an_explanation_survives_json() -> None:
    written = json.dumps(SHOWN.to_json())
    found = from_json(json.loads(written))
    assert found == SHOWN
    assert found.digest == SHOWN.digest


@pytest.mark.parametrize("spoil", ["missing", "unknown", "shape", "tampered"])
def test_what_is_no_explanation_is_not_taken_for_one(spoil: str) -> None:
    data = SHOWN.to_json()
    if spoil == "missing":
        del data["target"]
    elif spoil == "unknown":
        data["changes"][0]["colour"] = "blue"
    elif spoil == "shape":
        data["backfill"] = 3
    else:
        data["changes"][0]["category"] = "metadata"
    with pytest.raises(ValueError, match="explanation of a plan"):
        from_json(data)


def test_only_what_was_asked_for_is_written_into_run_config() -> None:
    assert PlanRequest().given == {}
    given = PlanRequest(start="2024-03-01", run=True, allow_additive_models=("a",)).given
    assert given == {"start": "2024-03-01", "run": True, "allow_additive_models": ["a"]}


def test_a_request_takes_its_own_of_run_config() -> None:
    config = {"apply": True, "run": True, "start": None, "allow_additive_models": ["a", "b"]}
    assert PlanRequest.of(config) == PlanRequest(run=True, allow_additive_models=("a", "b"))
    assert PlanRequest.of({}) == PlanRequest()
    assert PlanRequest.of(SHOWN.request.given) == SHOWN.request
