"""The plan job from the command line, cancelled, loaded, and composed by hand."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.support.plan_jobs import JOB, OP, apply, edit, metadata
from tests.support.transforms import Transform

# -- the command line, cancelling, loading --------------------------------------------------------


def test_the_command_line_explains_and_applies(planned: Transform) -> None:
    edit(planned)
    arguments = ["dagster", "job", "execute", "-f", str(planned.module), "-a", "defs", "-j", JOB]
    arguments += ["-d", str(planned.folder)]
    done = planned.command(*arguments)
    assert done.returncode == 0, done.stderr
    assert "## Plan of p for environment prod" in done.stderr
    (story,) = planned.stories()
    config = metadata(story)["apply_with"].removeprefix("```yaml\n").removesuffix("\n```")
    (planned.folder / "apply.yaml").write_text(config)
    done = planned.command(*arguments, "-c", str(planned.folder / "apply.yaml"))
    assert done.returncode == 0, done.stderr
    assert "Plan applied: environment prod is equal to the files." in done.stderr


@pytest.mark.crash
def test_a_cancelled_application_tells_what_became_of_everything(planned: Transform) -> None:
    project = planned.projects[0]
    project.database.execute("CREATE TABLE src.many AS SELECT i FROM RANGE(20000) AS r(i)")
    slow = (
        "SELECT COUNT(*) AS n FROM src.many AS a, src.many AS b, src.many AS c "
        "WHERE HASH(a.i, b.i, c.i) % 7 = 3"
    )
    project.model("mart.slow", f"kind FULL\n---\n{slow}")
    plan_id = project.environment().plan_id
    with planned.launched(job=JOB, ops={OP: {"config": {"apply": True}}}) as run_id:
        _wait(lambda: "mart.slow" in planned.story(run_id).started)
        time.sleep(0.5)  # so that its statement runs
        assert planned.instance.run_launcher.terminate(run_id)
        _wait(lambda: planned.story(run_id).status.name == "CANCELED")
    story = planned.story(run_id)
    assert story.observed["slow"] == ["cancelled"]
    # What a shell has planned before is told, and nothing else.
    assert story.materialized == ["a", "b", "c", "words"]
    told = [story.materialization(name).metadata for name in story.materialized]
    assert {metadata["dagster_transform/outcome"].value for metadata in told} == {"synced"}
    assert project.environment().plan_id == plan_id  # and nobody holds the file


def _wait(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_two_jobs_per_project_are_loaded_without_sqlmesh(transform: Transform) -> None:
    probe = (
        "import sys, runpy; defs = runpy.run_path(sys.argv[1])['defs']; "
        "print(sorted(j.name for j in defs.get_repository_def().get_all_jobs() "
        "if j.name.startswith('p_'))); print('sqlmesh' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", probe, str(transform.module)],
        cwd=transform.folder, env=transform.environment(), capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert ran.stdout.splitlines() == ["['p_janitor', 'p_plan']", "False"], ran.stderr


def test_the_jobs_can_be_composed_by_hand(planned: Transform) -> None:
    planned.define(
        module="""
        import dagster as dg
        from pathlib import Path
        from dagster_transform import TransformResource, build_sqlmesh_jobs

        defs = dg.Definitions(
            jobs=build_sqlmesh_jobs("p", Path(__file__).parent),
            resources={"transform": TransformResource()},
        )
        """
    )
    edit(planned)
    assert apply(planned).success
