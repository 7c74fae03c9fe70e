"""Loading definitions: quick, without a framework, and clear about what is missing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagster_transform import (
    TransformResource,
    build_sqlmesh_assets,
    build_transform_definitions,
    load_config,
    transform_executor,
)
from dagster_transform.config import UnknownProjectError
from dagster_transform.dagster.definitions.errors import StaleGraphError
from dagster_transform.dagster.definitions.loading import Loaded, load_graphs
from dagster_transform.graph import GraphFileError
from tests.support.sqlmesh_projects import Database, Project, utc
from tests.support.transforms import Transform

MODELS = {
    "mart.a": "kind FULL,\naudits (not_null(columns := (n)))\n---\nSELECT 1 AS n",
    "mart.b": "kind FULL\n---\nSELECT n FROM mart.a",
}
DEVELOPMENT = "DAGSTER_IS_DEV_CLI"


@pytest.fixture(autouse=True)
def outside_development(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DEVELOPMENT, raising=False)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two projects on two files, with their graph files."""
    folder = tmp_path_factory.mktemp("template") / "t"
    p = Project(folder / "p", Database.in_file(folder / "w.duckdb"), MODELS)
    other = {name.replace("mart", "other"): text for name, text in MODELS.items()}
    other = {name: text.replace("mart.", "other.") for name, text in other.items()}
    q = Project(folder / "q", Database.in_file(folder / "x.duckdb"), other, name="q")
    transform = Transform(folder, [p, q])
    transform.prepare()
    return folder


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Iterator[Path]:
    return shutil.copytree(template, tmp_path / "t")


def graph_file(folder: Path, project: str = "p") -> Path:
    return folder / ".dagster_transform" / f"{project}.graph.json"


def change(folder: Path, text: str = "SELECT 1 AS n, 2 AS m") -> None:
    model = folder / "p" / "models" / "mart.a.sql"
    model.write_text(model.read_text().replace("SELECT 1 AS n", text), encoding="utf-8")


def load(folder: Path) -> Loaded:
    return load_graphs(load_config(folder))


def python(code: str, folder: Path) -> str:
    """What a fresh process prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


MODULES = "import json, sys; print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"


def test_importing_the_package_imports_neither_dagster_nor_a_framework(folder: Path) -> None:
    loaded = set(json.loads(python(f"import dagster_transform; {MODULES}", folder)))
    assert "dagster_transform" in loaded
    assert not loaded & {"dagster", "sqlmesh", "sqlglot", "dbt", "pandas", "duckdb", "pydantic"}


def test_loading_definitions_imports_no_framework_and_no_data_frames(folder: Path) -> None:
    code = (
        "import dagster_transform; defs = dagster_transform.build_transform_definitions('.'); "
        "assert len(list(defs.resolve_all_asset_specs())) == 4; " + MODULES
    )
    loaded = set(json.loads(python(code, folder)))
    assert "dagster" in loaded
    assert not loaded & {"sqlmesh", "sqlglot", "dbt", "pandas", "duckdb", "psycopg2"}


def test_loading_definitions_imports_nothing_that_only_a_run_needs(folder: Path) -> None:
    code = (
        "import sys, dagster_transform; dagster_transform.build_transform_definitions('.'); "
        "print([m for m in sys.modules if m.startswith('dagster_transform.')])"
    )
    loaded = python(code, folder)
    for module in ("plan", "pause"):
        assert f"dagster_transform.dagster.jobs.{module}'" in loaded
    only_runs = ("walk", "claims", "runs.carry_out", "runs.pausing", "sqlmesh.plans", "dbt.runs")
    for package in (
        *only_runs, "planning.pauses", "dagster.jobs.pausing", "dagster.component",
        "config.examples", "config.describing",
    ):  # fmt: skip
        assert f"'dagster_transform.{package}" not in loaded


def test_loading_makes_so_many_specs_for_a_node_and_a_check(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each takes Dagster longer than all that we do for it."""
    made: Counter[str] = Counter()

    def count(kind: Any) -> None:
        make = kind.__new__

        def counted(cls: Any, *given: Any, **named: Any) -> Any:
            made[kind.__name__] += 1
            return make(cls, *given, **named)

        monkeypatch.setattr(kind, "__new__", counted)

    count(dg.AssetSpec)
    count(dg.AssetCheckSpec)
    definitions = build_transform_definitions(folder)
    nodes, checks = 4, 2
    assert made == {"AssetSpec": 2 * nodes, "AssetCheckSpec": checks}
    made.clear()
    definitions.get_repository_def().get_all_jobs()
    assert made == {}


# -- graph files that don't fit --------------------------------------------------------------------


def shown(folder: Path) -> tuple[set[str], str, dict[str, str]]:
    """Keys of the assets, the description of q/not_loaded, and the definitions' metadata."""
    defs = build_transform_definitions(folder)
    specs = {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}
    broken = [s.description or "" for key, s in specs.items() if key.endswith("/not_loaded")]
    metadata = {key: str(value.value) for key, value in (defs.metadata or {}).items()}
    return set(specs), "\n".join(broken), metadata


def test_a_missing_graph_file_is_shown_and_the_other_project_loads(folder: Path) -> None:
    graph_file(folder, "q").unlink()
    keys, description, metadata = shown(folder)
    assert keys == {"w/mart/a", "w/mart/b", "q/not_loaded"}
    for text in (description, metadata["dagster_transform/q"]):
        assert "does not exist" in text
        assert "dagster-transform prepare --project q" in text
    assert set(metadata) == {"dagster_transform/q"}


def test_a_stale_graph_file_is_shown_with_what_has_changed(folder: Path) -> None:
    change(folder)
    (folder / "p" / "models" / "new.sql").write_text("MODEL (name mart.new, kind FULL);SELECT 1")
    keys, description, metadata = shown(folder)
    assert keys == {"w/mart/a", "w/mart/b", "x/other/a", "x/other/b", "p/not_loaded"}
    assert "changed p/models/mart.a.sql, added p/models/new.sql" in description
    assert "Run `dagster-transform prepare --project p`" in description
    assert "dagster_transform/p" in metadata
    assert isinstance(load(folder).errors["p"], StaleGraphError)


def test_several_stale_graph_files_are_one_error_that_names_them_once(folder: Path) -> None:
    change(folder)
    names = [*load_config(folder).projects]
    assert len(names) > 1
    for name in names[1:]:
        (folder / name / "models" / "new.sql").write_text("MODEL (name o.new, kind FULL);SELECT 1")
    errors = load(folder).errors
    assert {*errors} == {*names}
    (text,) = {str(error) for error in errors.values()}
    for name in names:
        assert text.count(f"{name}.graph.json") == 1
    assert text.endswith(
        "Run `dagster-transform prepare`; for a server, where you build what you deploy."
    )


def test_other_times_of_the_files_are_not_stale(folder: Path) -> None:
    for path in (folder / "p").rglob("*.sql"):
        os.utime(path, (1, 1))
    assert load(folder).errors == {}


def test_a_damaged_graph_file_is_told_as_such(folder: Path) -> None:
    path = graph_file(folder)
    path.write_bytes(path.read_bytes()[:200])
    assert isinstance(load(folder).errors["p"], GraphFileError)
    _, description, _ = shown(folder)
    assert "is damaged" in description


def test_a_graph_file_of_another_environment_is_stale(folder: Path) -> None:
    text = (folder / "transform.yaml").read_text(encoding="utf-8")
    (folder / "transform.yaml").write_text(text.replace("prod", "dev"), encoding="utf-8")
    for error in load(folder).errors.values():
        assert isinstance(error, StaleGraphError)
        assert "is about environment prod, but transform.yaml says dev" in str(error)


def test_what_only_the_environment_has_is_shown_and_nobody_can_run_it(tmp_path: Path) -> None:
    models = {**MODELS, "mart.gone": "kind FULL\n---\nSELECT 2 AS n"}
    project = Project(tmp_path / "p", Database.in_file(tmp_path / "w.duckdb"), models)
    project.plan_natively(utc("2024-03-05 10:30"))
    transform = Transform(tmp_path, [project])
    transform.prepare()
    assert shown(tmp_path)[0] == {"w/mart/a", "w/mart/b", "w/mart/gone"}
    (project.folder / "models" / "mart.gone.sql").unlink()
    transform.prepare()
    defs = build_transform_definitions(tmp_path)
    specs = {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}
    assert set(specs) == {"w/mart/a", "w/mart/b", "p/not_in_files"}
    told = specs["p/not_in_files"]
    assert told.group_name == "not_in_files"
    assert told.metadata["dagster_transform/not_in_files"] == ["w/mart/gone"]
    for words in ("Environment prod", "project p", "no run builds it", "- `w/mart/gone`"):
        assert words in (told.description or "")
    assert told.key not in defs.resolve_asset_graph().executable_asset_keys
    # A Python asset may take the place of the model before the plan has taken the model out.
    heir = dg.AssetSpec(["w", "mart", "gone"])
    merged = dg.Definitions.merge(defs, dg.Definitions(assets=[heir]))
    dg.Definitions.validate_loadable(merged)


# -- development -----------------------------------------------------------------------------------


def test_in_development_graph_files_are_refreshed_once_and_only_when_needed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DEVELOPMENT, "1")
    path, other = graph_file(folder), graph_file(folder, "q")
    written = path.stat().st_mtime_ns
    untouched = other.stat().st_mtime_ns
    assert load(folder).errors == {}
    assert path.stat().st_mtime_ns == written  # nothing has changed
    change(folder)
    loaded = load(folder)
    assert loaded.errors == {}
    refreshed = path.stat().st_mtime_ns
    assert refreshed > written
    (node,) = [n for n in loaded.graph.nodes.values() if n.name == "mart.a"]
    assert [c.name for c in node.columns] == ["n", "m"]
    assert load(folder).errors == {}
    assert path.stat().st_mtime_ns == refreshed
    assert other.stat().st_mtime_ns == untouched
    path.unlink()
    assert load(folder).errors == {}
    assert path.exists()


def test_in_development_a_broken_model_is_shown_and_what_was_known_stays(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DEVELOPMENT, "1")
    before = graph_file(folder).read_bytes()
    change(folder, "SELEC FROM WHERE (")
    keys, description, metadata = shown(folder)
    assert {"w/mart/a", "w/mart/b", "x/other/a", "x/other/b", "p/not_loaded"} == keys
    assert "mart.a.sql" in description
    assert "mart.a.sql" in metadata["dagster_transform/p"]
    assert "Traceback" not in description
    assert graph_file(folder).read_bytes() == before
    assert sorted(os.listdir(graph_file(folder).parent)) == ["p.graph.json", "q.graph.json"]


# -- composing -------------------------------------------------------------------------------------


def test_two_projects_with_one_asset_key_are_both_named(tmp_path: Path) -> None:
    projects = [
        Project(
            tmp_path / name,
            Database.in_file(tmp_path / f"{name}_data" / "w.duckdb"),
            {"mart.a": MODELS["mart.a"]},
            name=name,
        )
        for name in ("p", "q")
    ]
    for project in projects:
        Path(project.database.connection["database"]).parent.mkdir()
    transform = Transform(tmp_path, projects)
    transform.prepare()
    keys, description, _ = shown(tmp_path)
    assert keys == {"w/mart/a", "q/not_loaded"}, "the first one stays"
    for word in ("p:mart.a", "q:mart.a", "w/mart/a", "q/models/mart.a.sql", "get_asset_key"):
        assert word in description


def test_one_project_as_assets_for_definitions_of_ones_own(folder: Path) -> None:
    assets = build_sqlmesh_assets("q", folder)
    assert {k.to_user_string() for k in assets.keys} == {"x/other/a", "x/other/b"}
    assert assets.op.name == "q"
    mine = dg.AssetSpec("mine", deps=[["x", "other", "b"]])
    both = [build_sqlmesh_assets("p", folder), assets, mine]
    defs = dg.Definitions(assets=both, resources={"transform": TransformResource()})
    dg.Definitions.validate_loadable(defs)
    assert len(list(defs.resolve_all_asset_specs())) == 5
    with pytest.raises(UnknownProjectError, match="known projects: p, q"):
        build_sqlmesh_assets("r", folder)
    graph_file(folder, "q").unlink()
    with pytest.raises(GraphFileError, match="prepare --project q"):
        build_sqlmesh_assets("q", folder)
    build_sqlmesh_assets("p", folder)  # the other project's file is not asked for


def test_the_executor_is_ours_unless_one_says_otherwise(folder: Path) -> None:
    ours = build_transform_definitions(folder).executor
    assert isinstance(ours, dg.ExecutorDefinition)
    assert ours.name == transform_executor().name
    assert build_transform_definitions(folder, executor=None).executor is None
    chosen = build_transform_definitions(folder, executor=dg.multiprocess_executor)
    assert chosen.executor is dg.multiprocess_executor


def test_definitions_merge_with_those_of_the_user(folder: Path) -> None:
    @dg.asset(deps=[["w", "mart", "b"]])
    def mine() -> None: ...

    job = dg.define_asset_job("nightly", "*")
    merged = dg.Definitions.merge(
        build_transform_definitions(folder), dg.Definitions(assets=[mine], jobs=[job])
    )
    dg.Definitions.validate_loadable(merged)
    own = dg.Definitions(assets=[mine], executor=dg.in_process_executor)
    dg.Definitions.validate_loadable(
        dg.Definitions.merge(build_transform_definitions(folder, executor=None), own)
    )
    with pytest.raises(dg.DagsterInvariantViolationError, match="executor"):
        dg.Definitions.merge(build_transform_definitions(folder), own)


@pytest.mark.parametrize("names", [["plan"], ["plan_y", "y_plan"], ["sweep_a", "a_plan"], ["type"]])
def test_projects_may_be_called_as_ops_and_jobs_are(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).mkdir()
    projects = ", ".join(f"{name}: {{framework: sqlmesh, path: {name}}}" for name in names)
    (tmp_path / "transform.yaml").write_text(f"projects: {{{projects}}}", encoding="utf-8")
    definitions = build_transform_definitions(tmp_path)
    dg.Definitions.validate_loadable(definitions)
    assert {job.name for job in definitions.jobs or ()} >= {f"{name}_plan" for name in names}
