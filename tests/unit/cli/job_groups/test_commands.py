"""`dagster-transform job-groups`, on graph files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml
from click.testing import Result

from dagster_transform.cli import main
from dagster_transform.graph import (
    Drift,
    Graph,
    GraphFile,
    Node,
    Presence,
    fingerprint,
    write_graph_file,
)
from tests.support.commands import all_said, runner
from tests.support.job_group_graphs import node

NODES = (
    node("raw", "@hourly"),
    node("day", "@daily", "raw"),
    node("report", "@daily", "day"),
    node("by_hand", None, "day"),
)
FILE = Path("job_groups.yaml")
NO_DRIFT = Drift()
Prepare = Callable[..., None]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DAGSTER_TRANSFORM_CONFIG", raising=False)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "config.yaml").touch()
    return tmp_path


@pytest.fixture(autouse=True)
def prepare(folder: Path) -> Prepare:
    """Writes a graph file of nodes, as `prepare` does, and transform.yaml; also once before."""

    def write(
        *nodes: Node, drift: Drift = NO_DRIFT, to: Path | None = None, **settings: Any
    ) -> None:
        config = {
            "projects": {"p": {"framework": "sqlmesh", "path": "p", **settings.pop("project", {})}},
            **settings,
        }
        (folder / "transform.yaml").write_text(yaml.safe_dump(config))
        found = GraphFile(
            Graph.of(nodes),
            "p",
            environment="prod",
            plan_id="1",
            drift=drift,
            sources_digest=fingerprint(folder, [folder / "p"]),
        )
        write_graph_file(to or folder / ".dagster_transform" / "p.graph.json", found)

    write(*NODES)
    return write


def run(*arguments: str, answer: str | None = None, code: int = 0) -> Result:
    done = runner().invoke(main, ["job-groups", *arguments], input=answer, catch_exceptions=False)
    assert done.exit_code == code, all_said(done)
    return done


def groups() -> dict[str, list[str]]:
    """The nodes of each group of the file, by their last names."""
    found = yaml.safe_load(FILE.read_text())["job_groups"]
    return {name: [n.rpartition("/")[2] for n in each["nodes"]] for name, each in found.items()}


# -- generate ------------------------------------------------------------------------------------


def test_groups_are_shown_and_written() -> None:
    said = run("generate").stdout
    assert groups() == {"hourly": ["raw"], "daily": ["day", "report"]}
    for words in ("hourly", "daily 00:00", "expected", "1 node in no group: ", "db/s/by_hand"):
        assert words in said
    assert said.rstrip().endswith("job_groups.yaml: 2 job groups.")


def test_a_second_time_changes_nothing() -> None:
    run("generate")
    before = FILE.read_text()
    assert "is as it should be" in run("generate").stdout
    assert FILE.read_text() == before


def test_a_dry_run_writes_nothing() -> None:
    assert "Nothing was written" in run("generate", "--dry-run").stdout
    assert not FILE.exists()


def test_a_file_that_nobody_has_edited_is_replaced_without_a_question(prepare: Prepare) -> None:
    run("generate")
    prepare(*NODES, node("new", "@daily", "report"))
    said = run("generate").stdout
    assert "db/s/new: no group -> daily" in said
    assert groups() == {"hourly": ["raw"], "daily": ["day", "new", "report"]}


def edit(*changes: tuple[str, str]) -> None:
    text = FILE.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    FILE.write_text(text)


def test_what_people_have_edited_stays_and_comments_need_an_answer(prepare: Prepare) -> None:
    run("generate")
    edit(
        (
            "  daily:\n",
            "  # mine\n  night:\n    description: The night.\n    owners: [team:core]\n",
        ),
    )
    before = FILE.read_text()
    said = all_said(run("generate", answer="n\n", code=1))
    assert "comments in it get lost" in said
    assert FILE.read_text() == before
    run("generate", answer="y\n")
    assert groups() == {"hourly": ["raw"], "night": ["day", "report"]}
    assert "mine" not in FILE.read_text()
    entry = yaml.safe_load(FILE.read_text())["job_groups"]["night"]
    assert (entry["description"], entry["owners"]) == ("The night.", ["team:core"])
    edit(("The night.", "Nightly."))
    run("generate", "--yes")
    assert "Nightly." in FILE.read_text()


def test_nobody_to_answer_is_a_no() -> None:
    run("generate")
    edit(("# In no", "# mine\n# In no"))
    before = FILE.read_text()
    run("generate", code=1)
    assert FILE.read_text() == before


def test_a_fresh_start_forgets_names(prepare: Prepare) -> None:
    run("generate")
    edit(("daily:", "night:"))
    run("generate", "--fresh", code=1)
    run("generate", "--fresh", "--yes")
    assert list(groups()) == ["hourly", "daily"]


def test_a_file_that_can_not_be_read_can_be_replaced() -> None:
    FILE.write_text("job_groups: {a: {}}")
    said = all_said(run("generate", code=1))
    assert "job_groups.yaml:1:14: job_groups.a.cron: missing key" in said
    assert "generate --fresh" in said
    run("generate", "--fresh", "--yes")
    assert list(groups()) == ["hourly", "daily"]


def test_what_does_not_fit_any_more_is_said_and_placed_anew(prepare: Prepare) -> None:
    run("generate")
    changed = [replace(n, cron="@hourly") if n.name == "db/s/report" else n for n in NODES]
    prepare(*changed)
    said = run("generate", "--yes").stdout
    assert "Can't stay as it is: job_groups.yaml:" in said
    assert "db/s/report is due by '0 * * * *'" in said
    assert "db/s/report: daily -> " in said
    run("check", "--strict")


def test_nodes_that_only_the_files_have_wait_for_a_plan(prepare: Prepare) -> None:
    absent = node("soon", "@daily", "day", presence=Presence.ABSENT)
    prepare(*NODES, absent, drift=Drift(new=("s.soon",)))
    said = run("generate").stdout
    assert "soon" not in str(groups())
    assert "environment prod does not have it yet: db/s/soon" in said
    assert "p: its files differ from environment prod" in said
    assert "new       s.soon" in said
    assert "`--from files` takes it at once" in said
    run("check", "--strict")
    run("generate", "--from", "files")
    assert groups()["daily"] == ["day", "report", "soon"]
    run("check", "--strict")
    prepare(*NODES, absent, project={"plan": "auto"})
    run("generate")
    assert groups()["daily"] == ["day", "report", "soon"]


def test_pinned_nodes_are_where_they_are_pinned(prepare: Prepare) -> None:
    prepare(*NODES, job_groups={"pinned": {"reports": ["s.report"]}})
    run("generate")
    assert groups()["reports"] == ["report"]
    prepare(*NODES, job_groups={"pinned": {"reports": "s.reprot"}})
    said = all_said(run("generate", code=1))
    assert "transform.yaml:3:5: job_groups.pinned.reports[0]: 's.reprot'" in said
    assert "Did you mean" in said


def test_a_graph_file_is_needed_and_may_be_stale(folder: Path) -> None:
    (folder / "p" / "model.sql").touch()
    assert "Warning: the graph file of p" in run("generate").stderr
    (folder / ".dagster_transform" / "p.graph.json").unlink()
    assert "dagster-transform prepare" in all_said(run("generate", code=1))


# -- check ---------------------------------------------------------------------------------------


def test_a_valid_file() -> None:
    run("generate")
    assert run("check", "--strict").stdout == "2 job groups with 3 nodes: valid\n"


def test_drift_is_a_warning_or_an_error(prepare: Prepare) -> None:
    run("generate")
    prepare(*NODES[:2], node("new", "@daily", "day"))
    done = run("check")
    assert "2 job groups with 3 nodes: valid" in done.stdout
    assert "Warning: job_groups.yaml:" in done.stderr
    assert "there is no node 'db/s/report'" in done.stderr
    assert "db/s/new is in no group of the file; it goes to this one" in done.stderr
    done = run("check", "--strict", code=1)
    assert "2 errors" in done.stderr
    assert "generate" in done.stderr


def test_errors_come_with_their_lines() -> None:
    run("generate")
    edit(("      - db/s/raw", "      - db/s/raw\n      - db/s/day"))
    done = run("check", code=1)
    assert "db/s/day is in hourly already, line" in done.stderr
    assert "1 error\n" in done.stderr


def test_what_can_not_be_read_has_a_code_of_its_own(folder: Path) -> None:
    assert "job-groups generate" in run("check", code=2).stderr
    run("generate")
    FILE.write_text("job_groups: [")
    assert "not valid YAML" in run("check", code=2).stderr
    (folder / "transform.yaml").write_text("projects: 1")
    run("check", code=2)


# -- diff ----------------------------------------------------------------------------------------


def test_what_generate_would_change(prepare: Prepare) -> None:
    run("diff", code=2)
    run("generate")
    assert run("diff").stdout == "Nothing differs.\n"
    prepare(*NODES, node("new", "@daily", "report"))
    assert run("diff", code=1).stdout == "db/s/new: no group -> daily\n"
    (found,) = json.loads(run("diff", "--as", "json", code=1).stdout)
    assert found == {"what": "moves", "name": "db/s/new", "before": "", "after": "daily"}


def test_in_a_pipe_no_line_is_broken(prepare: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    many = [node(f"a_model_with_a_name_of_its_own_{number:02}", "@daily") for number in range(30)]
    prepare(*many, node("last", "@hourly", *(each.id.removeprefix("p:") for each in many)))
    run("generate")
    for words in (("simulate", "--hours", "24"), ("show",)):
        printed = run(*words).stdout
        run(*words, "-o", "table.txt")
        assert Path("table.txt").read_text() in printed
        for line in printed.splitlines():
            assert not line.startswith("  "), "a line that goes on"
    monkeypatch.setenv("COLUMNS", "60")
    assert max(map(len, run("simulate", "--hours", "24").stdout.splitlines())) <= 60


def test_without_a_cron_there_is_nothing_to_write(prepare: Prepare) -> None:
    prepare(node("raw", None))
    said = all_said(run("generate", code=1))
    assert "no node has a cron" in said
    assert "dagster-transform prepare" in said
    assert not FILE.exists()


def test_what_another_branch_has_else(prepare: Prepare, folder: Path) -> None:
    run("generate")
    other = folder / "other" / "p.graph.json"
    prepare(*NODES, to=other)
    changed = [replace(n, cron="@hourly") if n.name == "db/s/by_hand" else n for n in NODES]
    prepare(*changed[:2], changed[3], node("new", "@daily", "day"))
    for path in (other, other.parent):
        lines = run("diff", str(path), code=1).stdout.splitlines()
        assert "db/s/new: new, in daily" in lines
        assert "db/s/report: vanishes, was in daily" in lines
        assert "db/s/by_hand: no cron -> hourly" in lines
    (folder / "other" / "job_groups.yaml").write_text(FILE.read_text().replace("daily:", "night:"))
    lines = run("diff", str(other.parent), code=1).stdout.splitlines()
    assert "job group night is called daily now" in lines
    (folder / "empty").mkdir()
    assert "no graph files" in run("diff", "empty", code=2).stderr


def test_another_job_group_file(folder: Path) -> None:
    run("generate")
    other = folder / "theirs.yaml"
    other.write_text(FILE.read_text().replace("daily:", "night:"))
    assert run("diff", str(other), code=1).stdout == "job group night is called daily now\n"


# -- show ----------------------------------------------------------------------------------------


def test_groups_are_shown_in_four_ways(folder: Path) -> None:
    run("generate")
    assert "daily 00:00" in run("show").stdout
    assert run("show", "--as", "mermaid").stdout.startswith("flowchart LR\n")
    found = json.loads(run("show", "--as", "json").stdout)
    assert [each["name"] for each in found["job_groups"]] == ["hourly", "daily"]
    assert found["job_groups"][1]["depends_on"] == ["hourly"]
    assert list(found["unscheduled"]) == ["db/s/by_hand"]
    run("show", "--as", "svg", "-o", "groups.svg")
    assert ET.parse(folder / "groups.svg").getroot().tag.endswith("svg")
    run("show", "-o", "groups.txt")
    assert "daily 00:00" in (folder / "groups.txt").read_text()
    assert "can't be written" in all_said(run("show", "-o", "no/where.txt", code=1))


def test_without_a_file_it_is_shown_what_would_be() -> None:
    done = run("show")
    assert "There is no job group file yet" in done.stderr
    assert "daily 00:00" in done.stdout
    assert not FILE.exists()


# -- simulate --------------------------------------------------------------------------------------


def test_what_will_happen() -> None:
    run("generate")
    said = run("simulate", "--from", "2026-03-01T22:30+01:00", "--hours", "4").stdout
    assert "Sun 2026-03-01 22:00  hourly" in said
    assert "Mon 2026-03-02 00:00  daily" in said
    assert "4 hours from Sun 2026-03-01 21:30 UTC" in said
    assert "5 ticks, nothing is due at 0 of them" in said
    assert "daily of Mon 00:00 for hourly of Mon 00:00" in said


def test_it_comes_in_other_shapes(folder: Path) -> None:
    run("generate")
    found = json.loads(run("simulate", "--from", "2026-03-01", "--as", "json").stdout)
    assert len(found["ticks"]) == 48 + 2
    run("simulate", "--hours", "2", "--as", "svg", "-o", "two.svg")
    assert ET.parse(folder / "two.svg").getroot().tag.endswith("svg")
    run("simulate", "--hours", "2", "-o", "two.txt")
    assert "2 hours from" in (folder / "two.txt").read_text()


def test_a_time_is_a_time() -> None:
    assert "no ISO 8601 time" in all_said(run("simulate", "--from", "soon", code=2))


def test_help_teaches() -> None:
    said = run("--help").stdout
    for word in ("generate", "check", "diff", "show", "simulate", "job_groups.yaml", "prepare"):
        assert word in said
    assert "Exit codes" in run("check", "--help").stdout
