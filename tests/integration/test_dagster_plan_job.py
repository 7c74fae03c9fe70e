"""The plan job: explains, applies what it explained, and refuses anything else."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from dagster import DagsterEventType as Kind

from dagster_transform.dagster.jobs import plan as plan_job
from dagster_transform.graph import Presence, read_graph_file
from tests.integration.sqlmesh_projects import Database, Project, utc
from tests.integration.transforms import Story, Transform

if TYPE_CHECKING:
    from tests.conftest import PostgresDatabase

JOB = "p_plan"
OP = "plan_p"
FIRST = "2024-03-05 10:30"
NEXT_DAY = "2024-03-06 10:30"
AN_HOUR_LATER = "2024-03-06 11:30"

A = """
kind INCREMENTAL_BY_TIME_RANGE (time_column ds),
audits (not_null(columns := (id)))
---
SELECT id, ds FROM src.raw WHERE ds BETWEEN @start_ds AND @end_ds
"""
B = "kind FULL,\naudits (number_of_rows(threshold := 0))\n---\n{query}"
MODELS = {
    "mart.a": A,
    "mart.b": B.replace("{query}", "SELECT COUNT(*) AS n FROM mart.a"),
    "mart.c": "kind VIEW\n---\nSELECT n FROM mart.b",
    "mart.words": "kind FULL\n---\nSELECT SUM(CAST(word AS INT)) AS n FROM src.words",
}
QUICK = {"infer_python_dependencies": False}
"""SQLMesh looks through all installed packages for each plan, which takes longer than the rest."""
GOOD_WORDS = "UPDATE src.words SET word = '7'"
BAD_WORDS = "UPDATE src.words SET word = 'seven'"


def source_tables(database: Database) -> None:
    rows = ", ".join(f"({i}, DATE '2024-03-{1 + i // 3:02}')" for i in range(42))
    database.execute(
        "CREATE SCHEMA src",
        "CREATE TABLE src.raw (id INT, ds DATE)",
        f"INSERT INTO src.raw VALUES {rows}",
        "CREATE TABLE src.words AS SELECT '7' AS word, DATE '2024-03-03' AS ds",
    )


def transform_of(folder: Path, project: Project, **settings: Any) -> Transform:
    source_tables(project.database)
    transform = Transform(folder, [project], **settings)
    transform.prepare()
    return transform


@pytest.fixture
def transform(tmp_path: Path) -> Iterator[Transform]:
    """A project whose environment prod was never planned."""
    database = Database.in_file(tmp_path / "w.duckdb")
    project = Project(tmp_path / "p", database, MODELS, config=QUICK)
    transform = transform_of(tmp_path, project)
    yield transform
    transform.close()


@pytest.fixture
def planned(transform: Transform) -> Transform:
    """The same, planned by SQLMesh itself."""
    transform.projects[0].plan_natively(utc(FIRST))
    return transform


def at(moment: str) -> dict[str, str]:
    return {"execution_time": moment.replace(" ", "T") + ":00+00:00"}


def explain(transform: Transform, moment: str = NEXT_DAY, **config: Any) -> Story:
    story = transform.job(JOB, config, **at(moment))
    assert story.success, story.failure
    return story


def apply(transform: Transform, digest: str | None = None, **config: Any) -> Story:
    if digest is not None:
        return transform.job(JOB, {"apply": True, "digest": digest, **config})
    return transform.job(JOB, {"apply": True, **config}, **at(NEXT_DAY))


def metadata(story: Story) -> Mapping[str, Any]:
    (event,) = story.of(Kind.STEP_OUTPUT)
    return {
        key.removeprefix("dagster_transform/"): value.value
        for key, value in event.event_specific_data.metadata.items()
    }


def digest(story: Story) -> str:
    return str(metadata(story)["plan_digest"])


def text(story: Story) -> str:
    return str(metadata(story)["plan"])


def edit(transform: Transform, query: str = "SELECT COUNT(*) + 1 AS n FROM mart.a") -> None:
    """Change mart.b, which mart.c reads."""
    transform.projects[0].model("mart.b", B.replace("{query}", query))


def everything(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables and views, the state's included."""
    return database.contents(database.tables())


# -- the digest -----------------------------------------------------------------------------------


def test_an_unchanged_plan_applies_by_digest(planned: Transform) -> None:
    edit(planned)
    database = planned.projects[0].database
    before = everything(database)
    shown = explain(planned)
    assert everything(database) == before  # explaining changes nothing
    assert shown.materialized == []
    assert shown.observed == {}

    # No execution time: this run is years later, and the plan is the same one.
    applied = apply(planned, digest(shown))
    assert applied.success
    assert text(applied) == text(shown)
    # It was live, checked, promoted and told.
    assert applied.observed == {name: ["backfilled"] for name in "abc"}
    assert sorted(applied.materialized) == ["a", "b", "c"]
    assert applied.checks == {"a:not_null": True, "b:number_of_rows": True}
    promoted = applied.ended("p:promotion of prod", "promoted")
    for name in "abc":
        assert applied.stored(Kind.ASSET_OBSERVATION, name) < promoted
        assert applied.stored(Kind.ASSET_MATERIALIZATION, name) > promoted
    assert database.content("mart.c") == [(16,)]  # 15 rows to the end of 2024-03-05, and 1
    assert planned.projects[0].environment().plan_id.startswith(_plan_of(explain(planned)))
    check = planned.check_key("mart.a:not_null")
    stored = planned.instance.event_log_storage.get_latest_asset_check_execution_by_key([check])
    assert stored[check].status.value == "SUCCEEDED"


def _plan_of(story: Story) -> str:
    return str(metadata(story)["plan_json"]["previous_plan"])


def test_one_edited_model_refuses_and_says_what_changed(planned: Transform) -> None:
    edit(planned)
    shown = explain(planned)
    edit(planned, "SELECT COUNT(*) AS n, 1 AS m FROM mart.a")
    before = everything(planned.projects[0].database)
    refused = apply(planned, digest(shown))
    assert not refused.success
    assert refused.failure.splitlines() == [
        f"Project p: nothing was applied. The plan is not what was shown as {digest(shown)}:",
        "- mart.b: has changed since, and is non-breaking now (was breaking)",
        "- mart.c: has changed since, and is indirect non-breaking now (was indirect breaking)",
        f"Look at the new plan in this run's log. Apply it with digest {digest(refused)}.",
    ]
    assert everything(planned.projects[0].database) == before
    assert refused.materialized == []
    # The new plan is there to be looked at, and to be applied.
    assert "`mart.b` (FULL): non-breaking" in text(refused)
    assert apply(planned, digest(refused)).success
    assert planned.projects[0].database.content("mart.b") == [(15, 1)]


def test_another_edited_model_is_named_and_the_first_one_is_not(planned: Transform) -> None:
    edit(planned)
    shown = explain(planned)
    planned.projects[0].model("mart.words", "kind FULL\n---\nSELECT 3 AS n")
    refused = apply(planned, digest(shown))
    assert not refused.success
    assert "\n- mart.words: is breaking now (was not in the plan)\n" in refused.failure
    assert "mart.b" not in refused.failure


def test_a_plan_applied_in_between_refuses(planned: Transform) -> None:
    project = planned.projects[0]
    edit(planned)
    shown = explain(planned)
    project.model("mart.words", "kind FULL\n---\nSELECT 3 AS n")
    project.plan_natively(utc(NEXT_DAY), select_models=["mart.words"])
    refused = apply(planned, digest(shown))
    assert not refused.success
    assert "- environment prod has plan " in refused.failure


def test_ticks_in_between_leave_the_plan_what_it_was(planned: Transform) -> None:
    """What is due of other models is no part of the plan; what is due of what its models read is,
    and when it has been built by then, only the rest is left to do."""
    edit(planned)
    shown = explain(planned)
    assert "| `mart.a` | 2024-03-05 (unchanged, but due) |" in text(shown)
    assert "mart.words" not in text(shown)
    planned.projects[0].run_natively(utc(AN_HOUR_LATER))
    applied = apply(planned, digest(shown))
    assert applied.success
    assert "A part of what was shown has been built since: the rest is applied." in applied.log
    assert sorted(applied.materialized) == ["b", "c"]
    assert planned.projects[0].database.content("mart.c") == [(16,)]


def test_a_digest_that_nobody_has_shown_refuses_and_says_so(planned: Transform) -> None:
    edit(planned)
    refused = apply(planned, "20240306T103000Z-0123456789ab")
    assert not refused.success
    assert "can't be told: this Dagster instance does not have the run that showed it" in (
        refused.failure
    )
    assert digest(refused) in refused.failure


def test_a_digest_needs_no_memory_when_the_plan_is_the_same(planned: Transform) -> None:
    """The run that explained may have been deleted, or have had another Dagster."""
    edit(planned)
    shown = explain(planned)
    planned.instance.delete_run(shown.run_id)
    assert apply(planned, digest(shown)).success


def test_a_digest_whose_plan_was_applied_has_nothing_to_do(planned: Transform) -> None:
    edit(planned)
    shown = explain(planned)
    assert apply(planned, digest(shown)).success
    again = apply(planned, digest(shown))
    assert again.success
    assert f"Plan {digest(shown)} has been applied already: nothing to do." in again.log
    assert again.started == []


def test_files_that_are_what_they_were_refuse_a_digest(planned: Transform) -> None:
    """Nothing to do, but not because the plan was applied."""
    edit(planned)
    shown = explain(planned)
    edit(planned, "SELECT COUNT(*) AS n FROM mart.a")
    refused = apply(planned, digest(shown))
    assert not refused.success
    assert "- mart.b: is not in the plan any more (was breaking)" in refused.failure


@pytest.mark.parametrize(
    ("config", "options", "said"),
    [
        ({"digest": "20240306T103000Z-0123456789ab"}, {}, "apply is false"),
        ({"apply": True, "digest": "latest"}, {}, "'latest' is no digest of a plan"),
        ({"apply": True, "digest": "20240306T103000Z-0123456789ab"}, at(FIRST), "exclude each"),
        ({}, {"execution_time": "yesterday"}, "is not an ISO 8601 time"),
    ],
)
def test_config_that_makes_no_sense_is_told(
    planned: Transform, config: dict[str, Any], options: dict[str, Any], said: str
) -> None:
    story = planned.job(JOB, config, **options)
    assert not story.success
    assert said in story.failure


# -- what it explains -----------------------------------------------------------------------------


def test_everything_is_explained_in_the_log_and_as_metadata(planned: Transform) -> None:
    project = planned.projects[0]
    edit(planned)
    project.model("mart.new", "kind FULL\n---\nSELECT 1 AS n")
    project.model("mart.a", A.replace("kind", "description 'Rows',\nkind"))
    (project.folder / "models/mart.words.sql").unlink()
    shown = explain(planned)
    told = metadata(shown)
    assert {k: told[k] for k in ("added", "changed", "changed_by_upstream", "removed")} == {
        "added": 1,
        "changed": 2,
        "changed_by_upstream": 1,
        "removed": 1,
    }
    for line in (
        "- `mart.new` (FULL)",
        "- `mart.a` (INCREMENTAL_BY_TIME_RANGE): metadata",
        "- `mart.b` (FULL): breaking",
        "- `mart.c` (VIEW): indirect breaking",
        "- `mart.words` (FULL)",
        "| `mart.a` | 2024-03-05 (unchanged, but due) |",
        "| `mart.b` | the whole table |",
        "| `mart.c` | the view |",
        "+  COUNT(*) + 1 AS n",
    ):
        assert line in text(shown).splitlines()
    assert any(text(shown) in line for line in shown.log)
    changes = {c["name"]: c["how"] for c in told["plan_json"]["changes"]}
    assert changes == {
        "mart.a": "metadata",
        "mart.b": "direct",
        "mart.c": "indirect",
        "mart.new": "added",
        "mart.words": "removed",
    }
    run = planned.instance.get_run_by_id(shown.run_id)
    assert run is not None
    assert run.tags["dagster_transform/plan_digest"] == digest(shown)


def test_the_snippet_applies_exactly_what_was_shown(planned: Transform) -> None:
    edit(planned)
    shown = explain(planned, run=True)
    snippet = metadata(shown)["apply_with"].removeprefix("```yaml\n").removesuffix("\n```")
    config = yaml.safe_load(snippet)
    assert config == {
        "ops": {OP: {"config": {"apply": True, "digest": digest(shown), "run": True}}}
    }
    assert (
        snippet in shown.log[shown.log.index("Project p: reading its files, making its plan") + 1]
    )
    applied = planned.job(JOB, config["ops"][OP]["config"])
    assert applied.success
    assert sorted(applied.materialized) == ["a", "b", "c", "words"]


def test_other_options_are_another_plan(planned: Transform) -> None:
    edit(planned)
    shown = explain(planned)
    refused = apply(planned, digest(shown), run=True)
    assert not refused.success
    assert "- other options: was none, now run=True" in refused.failure


def test_an_environment_that_is_equal_has_nothing_to_do(planned: Transform) -> None:
    plan_id = planned.projects[0].environment().plan_id
    for config in ({}, {"apply": True}):
        story = planned.job(JOB, config, **at(NEXT_DAY))
        assert story.success
        assert "**Nothing to do**" in text(story)
        assert "apply_with" not in metadata(story)
        assert story.started == []
    assert planned.projects[0].environment().plan_id == plan_id


def test_run_builds_also_what_is_due(planned: Transform) -> None:
    story = apply(planned, run=True)
    assert story.success
    assert sorted(story.materialized) == ["a", "b", "c", "words"]
    assert planned.projects[0].database.content("mart.b") == [(15,)]


# -- what it applies ------------------------------------------------------------------------------


def test_a_first_plan_applies_what_it_has_just_explained(transform: Transform) -> None:
    story = apply(transform)
    assert story.success
    assert sorted(story.materialized) == ["a", "b", "c", "words"]
    assert "Plan applied: environment prod is equal to the files." in story.log
    assert transform.projects[0].database.content("mart.words") == [(7,)]
    graph = read_graph_file(transform.graph_path()).graph
    assert {node.presence for node in graph.nodes.values()} == {Presence.EQUAL}
    assert apply(transform).started == []


def test_models_that_the_code_location_has_not_loaded_are_applied_and_told(
    planned: Transform,
) -> None:
    planned.projects[0].model("mart.new", "kind FULL\n---\nSELECT n FROM mart.b")
    story = apply(planned)
    assert story.success
    assert sorted(story.materialized) == ["a", "b", "new"]
    graph = read_graph_file(planned.graph_path()).graph
    assert "mart.new" in {node.name for node in graph.nodes.values()}
    assert [k for k in planned.repository().asset_graph.get_all_asset_keys() if "new" in k.path]


@pytest.mark.parametrize("change", ["removed", "metadata", "statements"])
def test_a_plan_without_a_backfill_is_applied(planned: Transform, change: str) -> None:
    project = planned.projects[0]
    if change == "removed":
        (project.folder / "models/mart.words.sql").unlink()
    elif change == "metadata":
        project.model("mart.b", "description 'Counts',\n" + MODELS["mart.b"])
    else:
        end_with(project, "CREATE OR REPLACE TABLE src.after AS SELECT 1 AS n")
    shown = explain(planned)
    assert "**Backfill**: none." in text(shown)
    statements = "- before_all or after_all statements"
    assert (statements in text(shown)) == (change == "statements")
    before = project.environment().plan_id
    story = apply(planned, digest(shown))
    assert story.success
    assert story.started == []
    assert "Plan applied: environment prod is equal to the files." in story.log
    assert project.environment().plan_id != before
    tables = project.database.tables()
    assert ("mart.words" in tables) == (change != "removed")
    assert ("src.after" in tables) == (change == "statements")
    assert "**Nothing to do**" in text(explain(planned))


def end_with(project: Project, statement: str) -> None:
    config = yaml.safe_load((project.folder / "config.yaml").read_text())
    project.write({"config.yaml": yaml.safe_dump({**config, "after_all": [statement]})})


def test_another_statement_is_another_plan(planned: Transform) -> None:
    end_with(planned.projects[0], "CREATE OR REPLACE TABLE src.after AS SELECT 1 AS n")
    shown = explain(planned)
    end_with(planned.projects[0], "CREATE OR REPLACE TABLE src.after AS SELECT 2 AS n")
    refused = apply(planned, digest(shown))
    assert not refused.success
    assert "- before_all or after_all statements, or Python requirements, have" in refused.failure


def test_checks_that_block_nothing_are_run_too(planned: Transform) -> None:
    text = MODELS["mart.b"].replace("threshold := 0", "threshold := 5, blocking := false")
    planned.projects[0].model("mart.b", text.replace("COUNT(*)", "COUNT(*) + 1"))
    story = apply(planned)
    assert story.success
    assert story.checks == {"a:not_null": True, "b:number_of_rows": False}


def test_a_plan_that_removes_the_last_model(planned: Transform) -> None:
    project = planned.projects[0]
    for path in (project.folder / "models").glob("*.sql"):
        path.unlink()
    story = apply(planned)
    assert story.success
    assert not any(table.startswith("mart.") for table in project.database.tables())


@pytest.mark.parametrize("run", [True, False])
def test_the_job_does_what_sqlmesh_itself_does(tmp_path: Path, run: bool) -> None:
    """Tables and intervals, plan by plan. Without `run` at moments at which nothing is due."""
    twins = []
    for name in ("ours", "native"):
        folder = tmp_path / name
        folder.mkdir()
        database = Database.in_file(folder / "w.duckdb")
        project = Project(folder / "p", database, MODELS, config=QUICK)
        twins.append(transform_of(folder, project))
    ours, native = twins

    def both(moment: str, model: str | None = None, text: str | None = None) -> None:
        for transform in twins:
            project = transform.projects[0]
            if model is not None and text is not None:
                project.model(model, text)
            elif model is not None:
                (project.folder / f"models/{model}.sql").unlink()
        story = ours.job(JOB, {"apply": True, "run": run}, **at(moment))
        assert story.success, story.failure
        native.projects[0].plan_natively(utc(moment))
        mine, theirs = (t.projects[0].database for t in twins)
        tables = {t for t in theirs.tables() if not t.startswith(("sqlmesh._", "src."))}
        assert {t for t in mine.tables() if not t.startswith(("sqlmesh._", "src."))} == tables
        assert mine.contents(tables) == theirs.contents(tables)
        assert mine.intervals() == theirs.intervals()

    later = [FIRST, "2024-03-06 10:30", "2024-03-07 10:30"] if run else [FIRST] * 3
    both(later[0])
    both(later[1], "mart.b", B.replace("{query}", "SELECT COUNT(*) AS n, 2 AS m FROM mart.a"))
    both(later[1], "mart.new", "kind FULL\n---\nSELECT n FROM mart.c")
    both(later[2], "mart.a", A.replace("SELECT id, ds", "SELECT id + 1 AS id, ds"))
    both(later[2], "mart.words")
    both(
        later[2],
        "mart.a",
        A.replace("SELECT id, ds", "SELECT id + 1 AS id, ds").replace("kind", "owner me, kind"),
    )
    for transform in twins:
        transform.close()


@pytest.mark.postgres
def test_it_applies_on_postgres_with_several_workers(
    postgres_database: PostgresDatabase, tmp_path: Path
) -> None:
    project = Project(tmp_path / "p", Database.in_postgres(postgres_database), MODELS)
    transform = transform_of(tmp_path, project)
    shown = explain(transform)
    story = apply(transform, digest(shown))
    assert story.success
    assert sorted(story.materialized) == ["a", "b", "c", "words"]
    assert project.database.content("mart.b") == [(15,)]
    transform.close()


# -- development ----------------------------------------------------------------------------------


@pytest.fixture
def development(tmp_path: Path) -> Iterator[Transform]:
    """A project that targets an environment dev beside a planned prod; mart.b is changed."""
    project = Project(
        tmp_path / "p",
        Database.in_file(tmp_path / "w.duckdb"),
        MODELS,
        environment="dev",
        config=QUICK,
    )
    transform = transform_of(tmp_path, project)
    project.plan_natively(utc(FIRST))
    edit(transform)
    yield transform
    transform.close()


def test_a_new_development_environment_is_compared_with_prod(development: Transform) -> None:
    project = development.projects[0]
    shown = explain(development, FIRST)
    assert "The environment is new: compared with prod." in text(shown)
    assert "- `mart.b` (FULL): breaking" in text(shown)
    prod = project.environment("prod").plan_id
    story = apply(development, digest(shown))
    assert story.success
    assert story.started == ["mart.b", "mart.c"]
    assert sorted(story.materialized) == ["a", "b", "c", "words"]  # the new views show them all
    assert project.database.content("mart__dev.c") == [(13,)]
    assert project.database.content("mart__dev.words") == [(7,)]  # unchanged, and there
    assert project.database.content("mart.c") == [(12,)]
    assert project.environment("prod").plan_id == prod
    graph = read_graph_file(development.graph_path()).graph
    assert {node.presence for node in graph.nodes.values()} == {Presence.EQUAL}


def test_an_environment_without_changes_says_what_it_adds(development: Transform) -> None:
    project = development.projects[0]
    edit(development, "SELECT COUNT(*) AS n FROM mart.a")  # as it was
    shown = explain(development, FIRST)
    assert "- a new environment, whose models are those of prod" in text(shown)
    edit(development)
    project.plan_natively(utc(FIRST), "dev")  # with what has changed, and nothing else
    shown = explain(development, FIRST)
    assert "- views of unchanged models, which the environment does not have yet" in text(shown)
    assert apply(development, digest(shown)).success
    assert project.database.content("mart__dev.words") == [(7,)]
    assert "**Nothing to do**" in text(explain(development, FIRST))


def test_a_plan_of_prod_in_between_refuses_a_new_environment(development: Transform) -> None:
    project = development.projects[0]
    shown = explain(development, FIRST)
    project.model("mart.words", "kind FULL\n---\nSELECT 3 AS n")
    project.plan_natively(utc(FIRST), select_models=["mart.words"])
    refused = apply(development, digest(shown))
    assert not refused.success
    assert "- environment prod has another plan now" in refused.failure


def test_start_and_end_bound_a_development_backfill(development: Transform) -> None:
    development.projects[0].model("mart.a", A.replace("SELECT id, ds", "SELECT id + 1 AS id, ds"))
    bounds = {"start": "2024-03-02", "end": "2024-03-03"}
    shown = explain(development, FIRST, **bounds)
    assert "| `mart.a` | 2024-03-02 to 2024-03-03 |" in text(shown)
    story = apply(development, digest(shown), **bounds)
    assert story.success
    assert development.projects[0].database.content("mart__dev.b") == [(7,)]


def test_prod_takes_no_start_as_sqlmesh_says(planned: Transform) -> None:
    edit(planned)
    story = planned.job(JOB, {"start": "2024-03-02"}, **at(NEXT_DAY))
    assert not story.success
    assert "can't be set for a production plan without restatements" in story.failure


def test_previews_of_forward_only_changes_are_explained_and_built(tmp_path: Path) -> None:
    project = Project(
        tmp_path / "p",
        Database.in_file(tmp_path / "w.duckdb"),
        {**MODELS, "mart.a": A.replace("column ds", "column ds, forward_only true")},
        environment="dev",
        config={**QUICK, "plan": {"enable_preview": True}},
    )
    transform = transform_of(tmp_path, project)
    project.plan_natively(utc(FIRST))
    edited = A.replace("column ds", "column ds, forward_only true")
    project.model("mart.a", edited.replace("SELECT id, ds", "SELECT id + 1 AS id, ds"))
    shown = explain(transform, FIRST)
    assert "forward-only" in text(shown)
    assert "**Previews that are built again" in text(shown)
    story = apply(transform, digest(shown))
    assert story.success, story.failure
    assert "a" in story.materialized
    transform.close()


# -- forward-only, decisions, tests ---------------------------------------------------------------


def test_a_forward_only_plan_keeps_the_tables(planned: Transform) -> None:
    project = planned.projects[0]
    project.model("mart.a", A.replace("SELECT id, ds", "SELECT id + 100 AS id, ds"))
    tables = project.database.tables("sqlmesh__%")
    shown = explain(planned, forward_only=True)
    assert "- `mart.a` (INCREMENTAL_BY_TIME_RANGE): breaking, forward-only" in text(shown)
    story = apply(planned, digest(shown), forward_only=True)
    assert story.success
    assert {t for t in project.database.tables("sqlmesh__%") if "__a__" in t} <= tables
    assert (0, project.database.content("mart.a")[0][1]) == project.database.content("mart.a")[0]
    tick = planned.run(execution_time=at(NEXT_DAY)["execution_time"], ignore_cron=False)
    assert tick.success
    assert max(project.database.content("mart.a"))[0] == 114  # only the new day


def test_a_destructive_change_needs_to_be_allowed(planned: Transform) -> None:
    project = planned.projects[0]
    wide = A.replace("SELECT id, ds", "SELECT id::INT AS id, 'x'::TEXT AS more, ds::DATE AS ds")
    project.model("mart.a", wide)
    project.plan_natively(utc(FIRST))
    project.model("mart.a", wide.replace("'x'::TEXT AS more, ", ""))
    refused = planned.job(JOB, {"forward_only": True}, **at(FIRST))
    assert not refused.success
    assert "destructive" in refused.failure
    allowed = {"forward_only": True, "allow_destructive_models": ["mart.a"]}
    shown = explain(planned, FIRST, **allowed)
    assert apply(planned, digest(shown), **allowed).success
    columns = project.database.rows(
        "SELECT column_name FROM information_schema.columns "
        "WHERE table_schema = 'mart' AND table_name = 'a'"
    )
    assert ("more",) not in columns


def test_a_change_that_somebody_has_to_decide_on_is_not_applied(tmp_path: Path) -> None:
    project = Project(
        tmp_path / "p",
        Database.in_file(tmp_path / "w.duckdb"),
        MODELS,
        config={**QUICK, "plan": {"auto_categorize_changes": {"sql": "off"}}},
    )
    transform = transform_of(tmp_path, project)
    project.plan_natively(utc(FIRST))
    edit(transform)
    shown = explain(transform)
    assert "**Needs a decision**" in text(shown)
    assert "apply_with" not in metadata(shown)
    refused = apply(transform)
    assert not refused.success
    assert "can't categorise by itself: mart.b" in refused.failure
    assert "sqlmesh -p" in refused.failure
    transform.close()


UNIT_TEST = """
test_b:
  model: mart.b
  inputs:
    mart.a: {rows: [{id: 1}, {id: 2}]}
  outputs:
    query: {rows: [{n: 2}]}
"""


def test_failing_unit_tests_refuse_to_apply(planned: Transform) -> None:
    project = planned.projects[0]
    project.write({"tests/test_b.yaml": UNIT_TEST})
    edit(planned)  # the count is one too many now
    plan_id = project.environment().plan_id
    refused = apply(planned)
    assert not refused.success
    assert "unit tests fail:\n- test_b" in refused.failure
    assert project.environment().plan_id == plan_id
    assert apply(planned, skip_tests=True).success


# -- failures -------------------------------------------------------------------------------------


def test_a_failing_backfill_names_model_and_error_and_promotes_nothing(
    planned: Transform,
) -> None:
    project = planned.projects[0]
    edit(planned)
    words = A.replace("id, ds FROM src.raw", "CAST(word AS INT) AS id, ds FROM src.words")
    project.model("mart.words", words)
    shown = explain(planned)
    project.database.execute(BAD_WORDS)
    plan_id = project.environment().plan_id
    failed = apply(planned, digest(shown))
    assert not failed.success
    assert len(failed.failures) == 1
    (line,) = [x for x in failed.failure.splitlines() if x.startswith("mart.words ")]
    assert "failed" in line
    assert "2024-03-01 to 2024-03-05" in line
    assert "seven" in line
    assert failed.materialized == []
    assert project.environment().plan_id == plan_id
    assert project.database.content("mart.c") == [(12,)]

    # Once the data is right the same digest goes on from there.
    project.database.execute(GOOD_WORDS)
    again = apply(planned, digest(shown))
    assert again.success
    assert again.started == ["mart.words"]
    assert set(again.materialized) >= {"b", "c", "words"}
    assert project.database.content("mart.c") == [(16,)]


def test_a_failing_blocking_check_promotes_nothing(planned: Transform) -> None:
    project = planned.projects[0]
    edit(planned)
    project.database.execute("INSERT INTO src.raw VALUES (NULL, DATE '2024-03-05')")
    plan_id = project.environment().plan_id
    failed = apply(planned)
    assert not failed.success
    assert failed.checks == {"a:not_null": False}
    assert project.environment().plan_id == plan_id


def test_an_environment_that_a_plan_left_unfinished_is_explained_and_completed(
    planned: Transform,
) -> None:
    project = planned.projects[0]
    edit(planned)
    shown = explain(planned)
    assert apply(planned, digest(shown)).success
    # As if it had been killed before its last step.
    project.database.execute(
        "UPDATE sqlmesh._environments SET finalized_ts = NULL WHERE name = 'prod'"
    )
    shown = explain(planned)
    assert "(not finished): compared with what it had before" in text(shown)
    assert "- `mart.b` (FULL): breaking" in text(shown)
    story = apply(planned, digest(shown))
    assert story.success
    assert project.environment().finalized_ts
    assert "**Nothing to do**" in text(explain(planned))


def test_a_walk_that_ends_without_a_promotion_is_a_failure(
    planned: Transform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However it comes to that: what was not applied is never told as applied."""
    monkeypatch.setattr(plan_job, "carry_out", lambda *_, **__: iter(()))
    edit(planned)
    story = apply(planned)
    assert not story.success
    assert "the plan was not applied, and environment prod is what it was" in story.failure


def test_no_connection_is_left_open(planned: Transform) -> None:
    """Nothing but another process can tell whether DuckDB's file is free."""
    file = planned.projects[0].database.connection["database"]

    def is_free() -> bool:
        probe = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute('SELECT 1')"
        return subprocess.run([sys.executable, "-c", probe, file], check=False).returncode == 0

    edit(planned)
    shown = explain(planned)
    assert is_free()
    edit(planned, "SELECT 3 AS n")
    assert not apply(planned, digest(shown)).success
    assert is_free()
    assert apply(planned).success
    assert is_free()


def test_a_project_that_can_not_be_loaded_fails_in_words(planned: Transform) -> None:
    planned.projects[0].model("mart.b", "kind NOTHING\n---\nSELECT 1 AS n")
    story = planned.job(JOB)
    assert not story.success
    assert "Project p can't be loaded" in story.failure


def test_a_graph_file_that_can_not_be_written_is_a_warning(planned: Transform) -> None:
    edit(planned)
    path = planned.graph_path()
    path.unlink()
    path.mkdir()
    story = apply(planned)
    assert story.success
    assert any("dagster-transform prepare --project p" in line for line in story.log)


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
    assert story.materialized == []
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
        "if not j.name.startswith('__'))); print('sqlmesh' in sys.modules)"
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
