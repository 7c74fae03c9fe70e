"""The private parts of Dagster that dagster_transform/dagster/_compat.py reaches into.

A test that fails here names the part that a new version of Dagster has moved.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterEventType as Kind
from dagster._core.definitions.reconstruct import ReconstructableRepository

from dagster_transform.dagster import _compat


def run(*assets: Any) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(list(assets), instance=instance, raise_on_error=False)


def keys(result: dg.ExecuteInProcessResult, kind: Kind) -> list[str]:
    found = [e for e in result.all_events if e.event_type is kind]
    return [e.asset_key.to_user_string() for e in found if e.asset_key is not None]


def two_assets(body: Callable[[], Any]) -> dg.AssetsDefinition:
    @dg.multi_asset(
        specs=[dg.AssetSpec(n, skippable=True) for n in ("quiet", "silent")],
        check_specs=[
            dg.AssetCheckSpec("gate", asset="quiet", blocking=True),
            dg.AssetCheckSpec("note", asset="quiet"),
        ],
        can_subset=True,
    )
    def both():  # type: ignore[no-untyped-def]
        yield from body()

    return both


@dg.asset(deps=["quiet"])
def reads_quiet() -> None: ...


@dg.asset(deps=["silent"])
def reads_silent() -> None: ...


def test_an_output_without_an_event_lets_downstream_run_and_stores_nothing() -> None:
    both = two_assets(lambda: [_compat.output_without_event("quiet")])
    gate = next(iter(_compat.check_outputs(both)))
    both = two_assets(
        lambda: [_compat.output_without_event("quiet"), _compat.output_without_event(gate)]
    )
    result = run(both, reads_quiet, reads_silent)
    assert result.success
    assert keys(result, Kind.ASSET_MATERIALIZATION) == ["reads_quiet"]
    assert keys(result, Kind.ASSET_OBSERVATION) == []
    assert keys(result, Kind.ASSET_CHECK_EVALUATION) == []


def test_an_ordinary_output_would_store_an_event() -> None:
    """What the metadata key is for."""
    result = run(two_assets(lambda: [dg.Output(None, "quiet")]), reads_silent)
    assert keys(result, Kind.ASSET_MATERIALIZATION) == ["quiet"]


def test_the_outputs_of_blocking_checks_are_known_by_name() -> None:
    both = two_assets(list)
    outputs = _compat.check_outputs(both)
    assert list(outputs.values()) == [dg.AssetCheckKey(dg.AssetKey("quiet"), "gate")]
    assert set(outputs) <= set(both.node_def.output_dict)


def test_an_asset_has_one_output_of_a_name_that_dagster_tells() -> None:
    both = two_assets(list)
    name = both.get_output_name_for_asset_key(dg.AssetKey("quiet"))
    assert name in both.node_def.output_dict


def test_a_summary_is_stored_without_a_warning() -> None:
    @dg.asset
    def tells(context) -> None:  # type: ignore[no-untyped-def]  # Dagster reads annotations
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            keys_ = dg.MetadataValue.json(["a"])
            context.log_event(_compat.summary_event("up_to_date", "1 is", {"keys": keys_}))

    result = run(tells)
    (event,) = [e for e in result.all_events if e.event_type is Kind.STEP_EXPECTATION_RESULT]
    told: Any = event.event_specific_data
    assert told.expectation_result.label == "up_to_date"
    assert told.expectation_result.metadata["keys"].value == ["a"]
    assert result.success


def test_a_link_to_code_is_made_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value = _compat.code_references("/a/b.sql", 3)
    (reference,) = value.code_references
    assert isinstance(reference, dg.LocalFileCodeReference)
    assert (reference.file_path, reference.line_number) == ("/a/b.sql", 3)
    with pytest.warns(dg.BetaWarning):  # else _compat need not silence it any more
        dg.LocalFileCodeReference(file_path="/a/b.sql", line_number=3)


JOB = """
import dagster as dg
from dagster_transform import transform_executor

@dg.multi_asset(specs=[dg.AssetSpec(n, skippable=True) for n in "ab"], can_subset=True)
def both():
    yield dg.MaterializeResult(asset_key="a")
    raise dg.Failure("b")

@dg.asset(deps=["a"])
def reads_a(): ...

@dg.asset(deps=["b"])
def reads_b(): ...

defs = dg.Definitions(assets=[both, reads_a, reads_b], executor=transform_executor())
"""


def test_the_executor_goes_on_after_a_failed_step(tmp_path: Path) -> None:
    """`require_upstream_step_success` is a setting that Dagster does not document."""
    (tmp_path / "contract_job.py").write_text(JOB, encoding="utf-8")
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}", encoding="utf-8")
    repository = ReconstructableRepository.for_file(str(tmp_path / "contract_job.py"), "defs")
    job = repository.get_reconstructable_job("__ASSET_JOB")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        result = dg.execute_job(job, instance)
    assert not result.success
    found = [e.asset_key.path[-1] for e in result.all_events if e.is_step_materialization]
    assert found == ["a", "reads_a"]
