"""The command line: what it prints, what it leaves alone, and that no password gets anywhere."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from click.testing import CliRunner, Result

from dagster_transform import build_transform_definitions
from dagster_transform.cli import main
from tests.support.sqlmesh_projects import Database, Project, utc
from tests.support.transforms import Transform

if TYPE_CHECKING:
    from tests.support.postgres import PostgresDatabase

SECRET = "hunter2-secret"
FIRST = utc("2024-03-05 10:30")
NEXT_DAY = "2024-03-06T10:30:00+00:00"
MODELS = {"mart.a": "kind FULL,\naudits (not_null(columns := (n)))\n---\nSELECT 1 AS n"}


@pytest.fixture
def transform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Transform]:
    p = Project(tmp_path / "p", Database.in_file(tmp_path / "w.duckdb"), MODELS)
    q = Project(tmp_path / "q", Database.in_file(tmp_path / "x.duckdb"), MODELS, name="q")
    transform = Transform(tmp_path, [p, q])
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DAGSTER_TRANSFORM_CONFIG", raising=False)
    yield transform
    transform.close()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def error_of(result: Result) -> str:
    """The one error that a command told."""
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    assert result.stderr.count("Error: ") == 1, result.stderr
    return result.stderr


def files(transform: Transform) -> list[str]:
    folder = transform.folder / ".dagster_transform"
    return sorted(os.listdir(folder)) if folder.exists() else []


def test_help_says_what_there_is() -> None:
    group = run("--help")
    assert group.exit_code == 0
    for word in ("prepare", "transform.yaml", "graph files", "--version"):
        assert word in group.output
    command = run("prepare", "-h")
    assert command.exit_code == 0
    words = ("--config", "--project", "--check", "DAGSTER_TRANSFORM_CONFIG", "Exit code 1")
    codes = ("0  files, environment and graph files are equal", "1  something differs", "2  a proj")
    for word in (*words, *codes):
        assert word in command.output


def test_prepare_as_a_command_of_its_own(transform: Transform) -> None:
    done = transform.command("dagster_transform.cli", "prepare")
    assert done.returncode == 0, done.stderr
    assert files(transform) == ["p.graph.json", "q.graph.json"]
    for word in ("p", "q", "sqlmesh", "prod: never planned"):
        assert word in done.stdout
    assert "Traceback" not in done.stderr


def test_prepare_reads_the_chosen_project_of_the_chosen_file(transform: Transform) -> None:
    result = run("prepare", "-c", str(transform.folder), "--project", "q")
    assert result.exit_code == 0
    assert files(transform) == ["q.graph.json"]
    transform.projects[0].plan_natively(FIRST)
    result = run("prepare", "-p", "p")
    assert "prod: equal to the files" in result.stdout


# -- drift -----------------------------------------------------------------------------------------

CHAIN = {
    "mart.a": "kind FULL\n---\nSELECT 1 AS n",
    "mart.b": "kind FULL\n---\nSELECT n FROM mart.a",
    "mart.c": "kind FULL\n---\nSELECT 3 AS n",
    "mart.gone": "kind FULL\n---\nSELECT 4 AS n",
}


def lines(output: str) -> list[str]:
    return [" ".join(line.split()) for line in output.splitlines() if line.strip()]


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, but for what SQLMesh itself caches and logs."""
    own = {".cache", "logs"}
    found = [p for p in folder.rglob("*") if p.is_file() and not own & set(p.parts)]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.fixture
def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Transform]:
    """A project whose files, environment and graph file are equal."""
    project = Project(tmp_path / "p", Database.in_file(tmp_path / "w.duckdb"), CHAIN)
    transform = Transform(tmp_path, [project])
    project.plan_natively(FIRST)
    transform.prepare()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DAGSTER_TRANSFORM_CONFIG", raising=False)
    yield transform
    transform.close()


def edit(project: Project) -> None:
    """One model of each sort of drift: new, changed, affected, removed."""
    project.model("mart.a", CHAIN["mart.a"].replace("1 AS n", "2 AS n"))
    project.model("mart.new", "kind FULL\n---\nSELECT 5 AS n")
    (project.folder / "models" / "mart.gone.sql").unlink()


def test_check_tells_that_all_is_equal_with_exit_code_0(chain: Transform) -> None:
    before = content(chain.folder)
    done = chain.command("dagster_transform.cli", "prepare", "--check")
    assert (done.returncode, done.stderr) == (0, "")
    assert lines(done.stdout) == ["p: prod: equal to the files"]
    assert content(chain.folder) == before


def test_check_tells_what_differs_with_exit_code_1_and_writes_nothing(chain: Transform) -> None:
    edit(chain.projects[0])
    before = content(chain.folder)
    done = chain.command("dagster_transform.cli", "prepare", "--check")
    assert (done.returncode, done.stderr) == (1, "")
    stale = ("changed p/models/mart.a.sql", "removed p/models/mart.gone.sql")
    stale += ("added p/models/mart.new.sql",)
    assert lines(done.stdout) == [
        "p: prod: 1 new, 1 changed, 1 affected, 1 removed",
        "p: its files differ from environment prod",
        "new w/mart/new",
        "changed w/mart/a",
        "affected w/mart/b",
        "removed w/mart/gone",
        "p: its graph file is older than the files of project p: " + ", ".join(stale),
    ]
    assert content(chain.folder) == before


def test_prepare_tells_the_drift_too_and_removes_none_of_it(chain: Transform) -> None:
    edit(chain.projects[0])
    result = run("prepare")
    assert result.exit_code == 0
    assert "prod: 1 new, 1 changed, 1" in result.stdout
    assert lines(result.stdout)[-5:] == [
        "p: its files differ from environment prod",
        "new w/mart/new",
        "changed w/mart/a",
        "affected w/mart/b",
        "removed w/mart/gone",
    ]
    # The graph file fits the files now, and they still differ from the environment.
    checked = run("prepare", "--check")
    assert checked.exit_code == 1
    assert "graph file" not in checked.output
    chain.projects[0].plan_natively(FIRST)
    assert run("prepare", "--check").exit_code == 0


def test_prepare_lists_the_first_of_many_and_check_lists_all(chain: Transform) -> None:
    for number in range(12):
        chain.projects[0].model(f"mart.m{number:02}", "kind FULL\n---\nSELECT 5 AS n")
    result = run("prepare")
    assert lines(result.stdout)[-11:] == [
        *(f"new w/mart/m{n:02}" for n in range(10)),
        "new ... and 2 more",
    ]
    checked = run("prepare", "--check")
    assert [x for x in lines(checked.stdout) if x.startswith("new ")] == [
        f"new w/mart/m{n:02}" for n in range(12)
    ]


def test_check_of_an_environment_that_was_never_planned(transform: Transform) -> None:
    result = run("prepare", "--check")
    assert result.exit_code == 1
    said = [line for line in lines(result.output) if line.startswith(("p: ", "q: "))]
    assert said == [
        line
        for name in "pq"
        for line in (
            f"{name}: prod: never planned",
            f"{name}: environment prod was never planned, so no run builds it. Plan it once:",
            f"{name}: its graph file does not exist",
        )
    ]
    assert files(transform) == []


def test_check_of_a_graph_file_that_no_version_or_no_project_of_ours_wrote(
    chain: Transform,
) -> None:
    path = chain.graph_path()
    path.write_text('{"format": 1}', encoding="utf-8")
    result = run("prepare", "--check")
    assert result.exit_code == 1
    assert "p: its graph file has format version 1; this dagster-transform reads 4" in result.output
    assert path.read_text() == '{"format": 1}'
    chain.prepare()
    chain.configure(environment="dev")
    result = run("prepare", "--check")
    assert result.exit_code == 1
    told = "its graph file is about environment prod, but transform.yaml says dev"
    assert told in result.output


@pytest.mark.parametrize("what", ["model", "configuration", "project", "bug"])
def test_check_tells_an_error_with_exit_code_2(
    what: str, transform: Transform, monkeypatch: pytest.MonkeyPatch
) -> None:
    transform.prepare()
    arguments = ["prepare", "--check"]
    if what == "model":
        transform.projects[0].write({"models/broken.sql": "MODEL (name mart.x);\nSELEC ("})
    elif what == "configuration":
        (transform.folder / "transform.yaml").write_text("projects: 5", encoding="utf-8")
    elif what == "project":
        arguments += ["-p", "nowhere"]
    else:
        module = sys.modules["dagster_transform.cli.main"]
        monkeypatch.setattr(module, "environment_in_words", lambda _: 1 / 0)
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    said = {
        "model": "Error: Project p can't be loaded",
        "configuration": "Error: transform.yaml:1:1",
        "project": "Error: There is no project 'nowhere'",
        "bug": "ZeroDivisionError",
    }
    assert said[what] in result.stderr
    if what == "model":  # the other project is still looked at
        assert "q: prod: never planned" in result.stdout


def test_a_wrong_transform_yaml_is_told_with_its_place(transform: Transform) -> None:
    (transform.folder / "transform.yaml").write_text(
        "projects:\n  p:\n    framework: sqlmesh\n    path: nowhere\n    enviroment: prod\n"
    )
    told = error_of(run("prepare"))
    assert "transform.yaml:4:5: projects.p.path: 'nowhere'" in told
    assert "transform.yaml:5:5: projects.p.enviroment: unknown key; did you mean" in told
    (transform.folder / "transform.yaml").unlink()
    assert "there is no such file" in error_of(run("prepare"))
    assert files(transform) == []


def test_an_unknown_project_is_told_before_anything_is_read(transform: Transform) -> None:
    told = error_of(run("prepare", "-p", "q", "-p", "pp"))
    assert "There is no project 'pp'; known projects: p, q." in told
    assert "Did you mean 'p'?" in told
    assert files(transform) == []


def test_a_broken_model_keeps_the_old_graph_file_and_the_other_project_is_read(
    transform: Transform,
) -> None:
    assert run("prepare").exit_code == 0
    folder = transform.folder / ".dagster_transform"
    before = (folder / "p.graph.json").read_bytes()
    (folder / "q.graph.json").unlink()
    transform.projects[0].write({"models/broken.sql": "MODEL (name mart.x, kind FULL);\nSELEC ("})
    result = run("prepare")
    told = error_of(result)
    assert "Project p can't be loaded" in told
    assert "broken.sql" in told
    assert (folder / "p.graph.json").read_bytes() == before
    assert files(transform) == ["p.graph.json", "q.graph.json"]  # and nothing half written
    assert "q" in result.stdout


def test_an_environment_that_was_never_planned_is_one_clear_failure_of_a_run(
    transform: Transform,
) -> None:
    transform.prepare()
    database = transform.projects[1].database
    run = transform.run(["mart.a"], execution_time=NEXT_DAY)
    assert not run.success
    assert "environment prod was never planned" in run.failure
    assert f"cd {transform.projects[0].folder} && sqlmesh plan prod" in run.failure
    assert "plan: auto" in run.failure
    assert run.observed == {"a": ["failed"]}
    assert run.materialized == []
    assert not any(name.startswith("mart.") for name in database.tables())


@pytest.mark.postgres
def test_a_password_gets_nowhere(
    postgres_database: PostgresDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database.in_postgres(postgres_database)
    database.connection["password"] = SECRET
    database.execute("CREATE SCHEMA src", "CREATE TABLE src.words AS SELECT '7'::TEXT AS word")
    models = {**MODELS, "mart.c": "kind FULL\n---\nSELECT word::INT AS n FROM src.words"}
    project = Project(tmp_path / "p", database, models)
    transform = Transform(tmp_path, [project])
    monkeypatch.chdir(tmp_path)
    printed = [run("prepare").output]
    assert "never planned" in printed[0]
    project.plan_natively(FIRST)
    database.execute("UPDATE src.words SET word = 'seven'")
    select = "dagster asset materialize --select * -f {} -a defs -d ."
    arguments = select.format(transform.module.name).split()
    done = transform.command(*arguments)
    assert done.returncode == 1
    assert "/mart/c" in done.stderr
    printed += [done.stdout, done.stderr]

    # A server that is not there: in the command, and in a run.
    config = yaml.safe_load((project.folder / "config.yaml").read_text())
    config["gateways"]["main"]["connection"] |= {"host": "127.0.0.1", "port": 1}
    project.write({"config.yaml": yaml.safe_dump(config)})
    before = (tmp_path / ".dagster_transform" / "p.graph.json").read_bytes()
    result = run("prepare")
    told = error_of(result)
    assert "its database can't be used" in told
    assert (tmp_path / ".dagster_transform" / "p.graph.json").read_bytes() == before
    printed.append(result.output)
    stale = build_transform_definitions(tmp_path)
    printed += [repr(stale.metadata), repr(list(stale.resolve_all_asset_specs()))]
    good = yaml.safe_load(yaml.safe_dump(config))
    good["gateways"]["main"]["connection"] |= {"host": database.connection["host"], "port": 1}
    project.write({"config.yaml": yaml.safe_dump(good)})
    refresh_digest(transform)
    defs = build_transform_definitions(tmp_path)
    printed.append(repr(list(defs.resolve_all_asset_specs())))
    unreachable = transform.run(["mart.a"], execution_time=NEXT_DAY)
    assert "its database can't be used" in unreachable.failure
    printed += [story.text for story in transform.stories()]

    for text in printed:
        assert SECRET not in text
    kept = [p for p in tmp_path.rglob("*") if p.is_file() and p.name != "config.yaml"]
    assert len(kept) > 10
    for path in kept:  # graph files, event logs, captured output, SQLMesh's own logs
        assert SECRET.encode() not in path.read_bytes(), path
    transform.close()


def refresh_digest(transform: Transform) -> None:
    """Make the graph file fit the files again, without a database."""
    from dataclasses import replace

    from dagster_transform.graph import fingerprint, read_graph_file, write_graph_file

    found = read_graph_file(transform.graph_path())
    sources = fingerprint(transform.folder, [transform.projects[0].folder])
    write_graph_file(transform.graph_path(), replace(found, sources_digest=sources))


def test_prepare_for_programs(transform: Transform) -> None:
    done = run("prepare", "--json")
    assert done.exit_code == 0
    by_name = {each["project"]: each for each in json.loads(done.stdout)}
    assert set(by_name) == {"p", "q"}
    assert (by_name["p"]["nodes"], by_name["p"]["checks"]) == (1, 1)
    assert by_name["p"]["drift"]["new"] == ["w/mart/a"]
    checked = run("prepare", "--check", "--json", "--project", "q")
    assert checked.exit_code == 1
    (only,) = json.loads(checked.stdout)
    assert (only["project"], only["stale"], only["plan_id"]) == ("q", None, None)
