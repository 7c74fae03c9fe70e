"""Nodes that are not built over what has failed its checks in an earlier run."""

from __future__ import annotations

from tests.support.judged import NOW, Judged


def test_nodes_wait_for_passing_checks_of_earlier_runs(built: Judged) -> None:
    built.say("apart")
    judged = built.run([], ["mart.a:small"], execution_time=NOW)
    assert built.run(["mart.b"], [], execution_time=NOW).success
    asked = {"require_passing_checks": True}
    run = built.run(["mart.b", "mart.other"], [], execution_time=NOW, **asked)
    assert not run.success
    assert run.materialized == ["other"]
    assert run.observed["b"] == ["blocked"]
    assert "w/mart/a:small failed at " in run.reason("b")
    assert f"in run {judged.run_id}" in run.reason("b")
    built.database.execute("UPDATE src.raw SET id = 1")
    restate = {"start": "2024-03-03", "end": "2024-03-04", "downstream": "leave"}
    assert built.run(["mart.a"], [], execution_time=NOW, restate=restate).success
    # Built anew, and not judged anew.
    assert not built.run(["mart.b"], [], execution_time=NOW, **asked).success
    assert built.run([], ["mart.a:small"], execution_time=NOW).success
    built.say("apart", require_passing=True)
    assert built.run(["mart.b"], [], execution_time=NOW).materialized == ["b"]


def test_warnings_and_what_never_ran_hold_nothing_back(built: Judged) -> None:
    built.say("apart")
    built.run([], ["mart.a:small_warned"], execution_time=NOW)
    run = built.run(["mart.b"], [], execution_time=NOW, require_passing_checks=True)
    assert run.materialized == ["b"]


def test_what_this_run_judges_anew_counts_in_its_place(built: Judged) -> None:
    built.run([], ["mart.a:small"], execution_time=NOW)
    built.database.execute("UPDATE src.raw SET id = 1")
    restate = {"start": "2024-03-03", "end": "2024-03-04", "downstream": "include"}
    run = built.run(
        ["mart.a", "mart.b"], execution_time=NOW, restate=restate, require_passing_checks=True
    )
    assert {"a", "b"} <= {*run.materialized}
