"""An event about a whole step, as a run's timeline is stored."""

from __future__ import annotations

import dagster as dg

from dagster_transform.dagster._compat_timeline import log_engine_event


def test_an_engine_event_is_stored_with_its_metadata() -> None:
    @dg.op
    def told(context) -> None:  # type: ignore[no-untyped-def]
        log_engine_event(context, "what was", {"text": dg.MetadataValue.md("**x**"), "n": 2})

    @dg.asset
    def telling(context) -> None:  # type: ignore[no-untyped-def]
        log_engine_event(context, "what was", {"text": dg.MetadataValue.md("**x**"), "n": 2})

    @dg.job
    def job() -> None:
        told()

    with dg.DagsterInstance.ephemeral() as instance:
        ran = [
            job.execute_in_process(instance=instance),
            dg.materialize([telling], instance=instance),
        ]
        for step, run in zip(("told", "telling"), ran, strict=True):
            assert run.success
            found = instance.get_records_for_run(
                run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT
            )
            events = [record.event_log_entry.dagster_event for record in found.records]
            (mine,) = [e for e in events if e is not None and e.message == "what was"]
            assert mine.step_key == step
            metadata = mine.engine_event_data.metadata
            assert {key: value.value for key, value in metadata.items()} == {
                "text": "**x**",
                "n": 2,
            }
