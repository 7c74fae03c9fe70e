"""Jobs that are resolved against assets of their own."""

from __future__ import annotations

import dagster as dg

from dagster_transform.dagster._compat_jobs import job_of_its_own

NAMES = ("a", "b", "c")


def op_of(name: str, *keys: str) -> dg.AssetsDefinition:
    specs = [dg.AssetSpec(key, deps=[chr(ord(key) - 1)] if key != "a" else []) for key in keys]

    checks = [dg.AssetCheckSpec("c", asset=key) for key in keys]

    @dg.multi_asset(name=name, specs=specs, can_subset=True, check_specs=checks)
    def materialize(context):  # type: ignore[no-untyped-def]  # Dagster reads annotations
        for key in sorted(context.selected_asset_keys):
            yield dg.MaterializeResult(key, metadata={"by": name})

    return materialize


class Location:
    """A code location whose job `part` has an op of its own for b and c."""

    def __init__(self) -> None:
        self.made = 0
        selection = dg.AssetSelection.assets("b", "c")
        job = dg.define_asset_job("part", selection=selection, run_tags={"x": "y"})
        own = job_of_its_own(job, self.make)
        self.repository = dg.Definitions(
            assets=[op_of("everything", *NAMES)],
            jobs=[own, dg.define_asset_job("other", selection=["a"])],
            schedules=[dg.ScheduleDefinition(job=own, cron_schedule="@daily")],
            executor=dg.in_process_executor,
        ).get_repository_def()

    def make(self) -> dg.AssetsDefinition:
        self.made += 1
        return op_of("part_of_it", "b", "c")


def test_it_has_its_own_assets_and_what_they_read() -> None:
    layer = Location().repository.get_job("part").asset_layer
    executable = {key.to_user_string() for key in layer.executable_asset_keys}
    assert executable == {"b", "c"}
    known = {key.to_user_string() for key in layer.asset_graph.get_all_asset_keys()}
    assert known == {"a", "b", "c"}


def test_it_is_made_when_it_is_needed() -> None:
    location = Location()
    location.repository.get_job("other")
    assert location.made == 0
    location.repository.get_job("part")
    assert location.made == 1


def test_it_executes_its_own_op_also_for_a_part_of_its_assets() -> None:
    job = Location().repository.get_job("part")
    with dg.DagsterInstance.ephemeral() as instance:
        done = job.execute_in_process(instance=instance, asset_selection=[dg.AssetKey("c")])
        (event,) = done.get_asset_materialization_events()
        assert event.asset_key == dg.AssetKey("c")
        assert event.materialization.metadata["by"].value == "part_of_it"
        assert done.dagster_run.tags["x"] == "y"


def test_the_code_location_tells_the_web_server_of_it() -> None:
    from dagster._core.remote_representation.external_data import RepositorySnap

    snap = RepositorySnap.from_def(Location().repository)
    jobs = {node.asset_key.to_user_string(): set(node.job_names) for node in snap.asset_nodes}
    assert jobs["a"] == {"__ASSET_JOB", "other"}
    assert jobs["b"] == jobs["c"] == {"__ASSET_JOB", "part"}
    assert {schedule.job_name for schedule in snap.schedules} == {"part"}


def test_others_of_the_code_location_go_along_with_their_checks() -> None:
    @dg.asset(deps=["raw"])
    def a() -> None: ...

    @dg.multi_asset(specs=[dg.AssetSpec("raw"), dg.AssetSpec("twin")])
    def both():  # type: ignore[no-untyped-def]  # Dagster reads annotations
        yield dg.MaterializeResult("raw")
        yield dg.MaterializeResult("twin")

    @dg.asset_check(asset="a")
    def is_well() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True)

    job = dg.define_asset_job("part", selection=dg.AssetSelection.assets("b", "c"))
    keys = [dg.AssetKey("a"), dg.AssetKey("raw")]
    own = job_of_its_own(job, lambda: op_of("part_of_it", "b", "c"), lambda _assets: keys)
    shared = job_of_its_own(dg.define_asset_job("all", selection=["b"]), None, lambda _assets: keys)
    repository = dg.Definitions(
        assets=[op_of("everything", "b", "c"), a, both],
        asset_checks=[is_well],
        jobs=[own, shared],
        executor=dg.in_process_executor,
    ).get_repository_def()
    for name, more in (("part", {"b", "c"}), ("all", {"b"})):
        layer = repository.get_job(name).asset_layer
        found = {key.to_user_string() for key in layer.executable_asset_keys}
        assert found == {"a", "raw", "twin", *more}, "what is made only together comes together"
        assert dg.AssetCheckKey(dg.AssetKey("a"), "is_well") in layer.asset_graph.asset_check_keys
    with dg.DagsterInstance.ephemeral() as instance:
        done = repository.get_job("part").execute_in_process(instance=instance)
        order = [e.asset_key.to_user_string() for e in done.get_asset_materialization_events()]
        assert order.index("raw") < order.index("a") < order.index("b")
