"""The job group file as a document: what it may say, where what is wrong stands, who edited it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagster_transform.config import ConfigError
from dagster_transform.config.job_group_file import (
    JobGroupFileError,
    is_edited,
    parse_job_group_file,
    read_job_group_file,
    sealed,
    write_job_group_file,
)
from tests.support.job_group_graphs import parsed, refused


def test_all_that_a_group_may_have() -> None:
    file = parsed(
        """
        job_groups:
          daily:
            description: The reports of the morning.
            cron: "0 6 * * *"
            time_zone: Europe/Zurich
            max_concurrent_models: 3
            checks: none
            owners: [data@example.com, team:core]
            tags: {cost: high}
            select: tag:night
            nodes:
              - flights/marts/delays
              - ${NOT_A_VARIABLE}
        """
    )
    entry = file.entries["daily"]
    assert entry.description == "The reports of the morning."
    assert (entry.cron, entry.time_zone) == ("0 6 * * *", "Europe/Zurich")
    assert (entry.max_concurrent_models, entry.checks) == (3, "none")
    assert entry.owners == ("data@example.com", "team:core")
    assert entry.tags == {"cost": "high"}
    assert entry.select == "tag:night"
    assert entry.nodes == ("flights/marts/delays", "${NOT_A_VARIABLE}")
    assert file.line("daily", "nodes", 1) == 13
    assert file.line("daily", "unknown") == 2


def test_what_is_wrong_is_said_at_once_with_its_place() -> None:
    assert refused(
        """
        job_groups:
          2nd: {cron: "@daily"}
          daily:
            corn: "@daily"
            cron: 5
            time_zone: Mars/Base
            max_concurrent_models: 0
            checks: sometimes
            nodes: {a: b}
            tags: [x]
          weekly: {nodes: [a, 3]}
          weekly: {}
        groups: {}
        """
    ) == [
        (
            "job_groups.yaml:2:3: job_groups.2nd: a job group's name has letters, digits and "
            "underscores, and does not begin with a digit"
        ),
        (
            "job_groups.yaml:4:5: job_groups.daily.corn: unknown key; did you mean 'cron'? known "
            "keys: description, cron, time_zone, max_concurrent_models, checks, owners, tags, "
            "select, nodes"
        ),
        "job_groups.yaml:5:5: job_groups.daily.cron: must be a string; put it in quotes",
        "job_groups.yaml:6:5: job_groups.daily.time_zone: must be a name such as Europe/Zurich",
        (
            "job_groups.yaml:7:5: job_groups.daily.max_concurrent_models: must be greater than or "
            "equal to 1"
        ),
        (
            "job_groups.yaml:8:5: job_groups.daily.checks: must be 'after_each', 'after_all', "
            "'apart' or 'none'"
        ),
        "job_groups.yaml:9:5: job_groups.daily.nodes: must be a list",
        "job_groups.yaml:10:5: job_groups.daily.tags: must be a mapping",
        "job_groups.yaml:11:3: job_groups.weekly.cron: missing key",
        "job_groups.yaml:11:23: job_groups.weekly.nodes[1]: must be a string; put it in quotes",
        "job_groups.yaml:12:3: job_groups.weekly: duplicate key, first in line 11",
        (
            "job_groups.yaml:13:1: groups: unknown key; did you mean 'job_groups'? known keys: "
            "job_groups"
        ),
    ]


def test_what_is_no_yaml_is_said_as_of_other_files() -> None:
    (problem,) = refused("job_groups:\n  a: [1, 2\n  b: 3\n")
    assert problem.startswith("job_groups.yaml:3:")
    assert "not valid YAML" in problem
    assert refused("ä: \x07")[0].startswith("job_groups.yaml:1:4: not valid YAML")
    assert "nested too deeply" in refused("job_groups: " + "[" * 5000)[0]
    with pytest.raises(ConfigError) as caught:
        parsed("job_groups: {a: {}}")
    assert "generate --fresh" in (caught.value.remedy or "")


def test_an_empty_file_has_no_job_groups() -> None:
    assert refused("")[0].endswith("job_groups: missing key")
    assert parsed("job_groups: {}").entries == {}


def test_many_nodes_are_read() -> None:
    """transform.yaml may have 100,000 values."""
    names = "".join(f"    - db/s/model_{n}\n" for n in range(100_001))
    file = parse_job_group_file(
        f"job_groups:\n  a:\n    cron: '@daily'\n    nodes:\n{names}", Path("x")
    )
    assert len(file.entries["a"].nodes) == 100_001
    assert file.line("a", "nodes", 100_000) == 100_005


def test_whether_somebody_has_changed_it_is_seen() -> None:
    text = sealed("# head\njob_groups: {}\n# tail\n", 1)
    assert text.splitlines()[0] == "# head"
    assert text.splitlines()[1].startswith("# generated: ")
    assert not is_edited(text)
    assert not is_edited(text.replace("\n", "\r\n"))  # as Git checks it out on Windows
    assert is_edited(text.replace("tail", "tails"))
    assert is_edited(text.replace("# head", "# Head"))
    assert is_edited(text + "# mine\n")
    assert is_edited("job_groups: {}\n")
    assert parsed(text).edited is False
    assert parsed(text + "# mine\n").edited is True


def test_it_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "job_groups.yaml"
    write_job_group_file(path, "job_groups: {}\n")
    path.chmod(0o640)
    write_job_group_file(path, "job_groups: {} # ü\n")
    assert read_job_group_file(path).text == "job_groups: {} # ü\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in path.parent.iterdir()] == ["job_groups.yaml"]


def test_a_link_stays_one(tmp_path: Path) -> None:
    target = tmp_path / "there.yaml"
    target.write_text("")
    link = tmp_path / "job_groups.yaml"
    link.symlink_to(target)
    write_job_group_file(link, "job_groups: {}\n")
    assert link.is_symlink()
    assert target.read_text() == "job_groups: {}\n"


def test_what_can_not_be_written_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    with pytest.raises(JobGroupFileError, match="can't be written"):
        write_job_group_file(tmp_path / "marts", "x")  # a folder
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        read_job_group_file(tmp_path / "job_groups.yaml")
