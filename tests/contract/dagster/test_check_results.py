"""The private parts of Dagster that results of checks are stored and found with."""

from __future__ import annotations

import time

import dagster as dg
import pytest

from dagster_transform.dagster import _compat

JUDGED = dg.AssetCheckKey(dg.AssetKey("judged"), "c")


def judge(*, passed: bool, find_target: bool, yields: bool = True) -> dg.AssetsDefinition:
    """A check on another asset, in an op like ours, that logs its result and yields none."""

    @dg.multi_asset(
        specs=[dg.AssetSpec("other", skippable=True)],
        check_specs=[dg.AssetCheckSpec("c", asset="judged")],
        can_subset=True,
        allow_arbitrary_check_specs=True,
    )
    def checks(context):  # type: ignore[no-untyped-def]
        if yields:
            result = dg.AssetCheckResult(passed=passed, asset_key="judged", check_name="c")
            context.log_event(
                _compat.check_evaluation(
                    context, JUDGED, result, blocking=False, find_target=find_target
                )
            )
        yield from ()

    return checks


def carry_out(instance: dg.DagsterInstance, checks: dg.AssetsDefinition) -> str:
    @dg.asset
    def judged() -> None: ...

    job = dg.define_asset_job("check", dg.AssetSelection.checks(JUDGED))
    defs = dg.Definitions([judged, checks], jobs=[job])
    dg.materialize([judged], instance=instance)
    return str(defs.resolve_job_def("check").execute_in_process(instance=instance).run_id)


@pytest.mark.parametrize("find_target", [True, False])
def test_a_result_that_is_logged_aims_at_what_it_judged(find_target: bool) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run_id = carry_out(instance, judge(passed=False, find_target=find_target))
        (record,) = instance.event_log_storage.get_asset_check_execution_history(JUDGED, limit=5)
        assert record.run_id == run_id
        assert record.evaluation is not None
        target = record.evaluation.target_materialization_data
        last = instance.get_latest_materialization_event(JUDGED.asset_key)
        assert last is not None
        assert (target is not None) is find_target
        assert target is None or target.run_id == last.run_id


def test_the_last_result_is_found_also_where_the_check_was_planned_again() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert _compat.last_evaluations(instance, [JUDGED]) == {}
        first = carry_out(instance, judge(passed=False, find_target=True))
        again = carry_out(instance, judge(passed=True, find_target=True, yields=False))
        assert first != again
        planned = instance.event_log_storage.get_latest_asset_check_execution_by_key([JUDGED])
        assert planned[JUDGED].run_id == again
        ((evaluation, at, run_id),) = _compat.last_evaluations(instance, [JUDGED]).values()
        assert (evaluation.passed, run_id) == (False, first)
        assert abs(at - time.time()) < 60
        assert _compat.last_evaluations(instance, []) == {}
