"""When checks run in runs that build: with their node, after all, or not."""

from __future__ import annotations

from typing import Any

from tests.support.judged import ALL, BROKEN, MARTS, NOW, Judged, results


def built_by(transform: Judged) -> list[tuple[Any, ...]]:
    return transform.database.rows("SELECT n FROM mart.b")


def test_after_each_only_blocking_ones_hold_back(empty: Judged) -> None:
    run = empty.run(execution_time=NOW)
    assert not run.success
    found = results(run)
    assert found.items() <= ALL.items()
    assert "b:alone" not in found  # what it reads was not built
    assert run.reason("codes") == "blocking check failed: staging/items:none_is_big"
    assert run.reason("b") == "blocking check failed: w/mart/a:small"
    assert "after_a" not in run.materialized
    assert "after_items" not in run.materialized


def test_after_all_models_come_first_and_nothing_is_held_back(empty: Judged) -> None:
    empty.say("after_all")
    run = empty.run(execution_time=NOW)
    assert results(run) == ALL
    # What judges code comes before the node, or it would judge what is there already.
    assert run.reason("wrong") == "blocking check failed: staging/wrong:adds_one"
    assert {*run.materialized} == {"items", "codes", *MARTS, "after_a", "after_items"}
    assert built_by(empty) == [(3,)]  # over what a blocking audit finds wrong
    checks = [n for n, line in enumerate(run.log) if line.endswith(": check started")]
    builds = [n for n, line in enumerate(run.log) if ": built in" in line]
    early = {run.log[n] for n in checks if n < max(builds)}
    assert early <= {f"staging/{name}: check started" for name in ("codes:once", "wrong:adds_one")}
    assert not run.success
    assert all(name in run.failure for name in (*BROKEN, "w/mart/a:small", "staging/items:none_is"))
    assert "small_warned" not in run.failure


def test_apart_they_are_in_no_build(empty: Judged) -> None:
    empty.say("apart")
    run = empty.run(execution_time=NOW)
    assert run.success
    assert results(run) == {}
    assert {*run.materialized} == {"items", "codes", "wrong", *MARTS, "after_a", "after_items"}
    assert built_by(empty) == [(3,)]
    (line,) = [line for line in run.log if "not run: it runs apart" in line]
    assert line.startswith("28 checks: ")


def test_blocking_ones_can_stay_in_band(empty: Judged) -> None:
    empty.say({"when": "apart", "blocking": "after_each"})
    run = empty.run(execution_time=NOW)
    found = results(run)
    assert found.items() <= ALL.items()
    assert {"a:small", "items:none_is_big"} <= found.keys()
    assert not {"a:small_warned", "a:number_of_rows", "items:freshness"} & found.keys()
    assert run.reason("b") == "blocking check failed: w/mart/a:small"


def test_none_runs_none(empty: Judged) -> None:
    empty.say("none")
    run = empty.run(execution_time=NOW)
    assert (run.success, results(run)) == (True, {})


def test_a_run_says_otherwise(empty: Judged) -> None:
    """Dagster has been told that they block: what is downstream goes on all the same."""
    run = empty.run(execution_time=NOW, check_options={"when": "after_all"})
    assert results(run) == ALL
    assert {"b", "after_a", "after_items"} <= {*run.materialized}


def test_a_run_takes_them_back_in_band(empty: Judged) -> None:
    """Dagster has been told that they don't block: what is downstream is held back all the same."""
    empty.say("apart")
    run = empty.run(execution_time=NOW, check_options={"when": "after_each"})
    assert run.reason("b") == "blocking check failed: w/mart/a:small"
    assert not {"b", "codes", "after_a", "after_items"} & {*run.materialized}


def test_a_skipped_audit_has_no_result_and_a_line(empty: Judged) -> None:
    run = empty.run(["mart.a"], execution_time=NOW)
    assert [line for line in run.log if "unwanted" in line] == [
        "Audits that their files skip are not run: unwanted of w/mart/a"
    ]


def test_specs_block_where_checks_do(empty: Judged) -> None:
    def blocking(checks: Any) -> set[str]:
        empty.say(checks)
        found = empty.repository().assets_defs_by_key.values()
        specs = [spec for assets in found for spec in assets.check_specs if spec.blocking]
        return {f"{spec.asset_key.path[-1]}:{spec.name}" for spec in specs}

    assert {"a:small", "a:not_null", "items:none_is_big"} <= blocking(None)
    assert blocking("apart") == blocking("none") == set()
    assert blocking("after_all") == {"codes:once", "wrong:adds_one"}
    mixed = blocking({"when": "apart", "blocking": "after_each"})
    assert "a:small" in mixed
    assert "a:small_warned" not in mixed
