"""What transform.yaml says of job groups, for a graph."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dagster_transform.config import ConfigError, TransformConfig, load_config
from dagster_transform.graph import Presence
from dagster_transform.planning.job_groups.settings import job_group_settings, not_in_environment
from dagster_transform.planning.job_groups.values import MergeCadences
from tests.support.job_group_graphs import graph, node

GRAPH = graph(
    node("a", tags=("x",)),
    node("b", "@daily", "a", tags=("x",)),
    node("c", "@daily", "b", presence=Presence.ABSENT),
)


def config(folder: Path, plan: str = "never", **job_groups: object) -> TransformConfig:
    (folder / "p").mkdir(exist_ok=True)
    projects = {"p": {"framework": "sqlmesh", "path": "p", "environment": "dev", "plan": plan}}
    text = yaml.safe_dump({"job_groups": job_groups, "projects": projects})
    (folder / "transform.yaml").write_text(text)
    return load_config(folder)


def test_defaults_and_values(tmp_path: Path) -> None:
    found = job_group_settings(config(tmp_path), GRAPH)
    assert (found.max_job_groups, found.smallest, found.largest) == (20, 10, None)
    assert found.merge_cadences is MergeCadences.NEEDED
    said = {"max_job_groups": 3, "smallest": 1, "largest": 9, "keep_apart": ["tag:x", "owner"]}
    found = job_group_settings(config(tmp_path, merge_cadences="always", **said), GRAPH)
    assert (found.max_job_groups, found.smallest, found.largest) == (3, 1, 9)
    assert found.keep_apart == ("tag:x", "owner")
    assert found.merge_cadences is MergeCadences.ALWAYS


def test_pinned_nodes_are_selected(tmp_path: Path) -> None:
    pinned = {"one": ["tag:x", "s.a"], "two": "db/s/c"}
    found = job_group_settings(config(tmp_path, pinned=pinned), GRAPH)
    assert found.pinned == {"p:a": "one", "p:b": "one", "p:c": "two"}


@pytest.mark.parametrize(
    ("pinned", "said"),
    [
        ({"one": ["a"], "two": ["b", "+a"]}, "two[1]: db/s/a is pinned to one already"),
        ({"one": ["aa"]}, "one[0]: 'aa' in the selection matches no node"),
        ({"1st": ["a"]}, "1st: a job group's name has letters"),
    ],
)
def test_what_can_not_be_pinned_is_said_with_its_place(
    tmp_path: Path, pinned: dict[str, list[str]], said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        job_group_settings(config(tmp_path, pinned=pinned), GRAPH)
    assert f"job_groups.pinned.{said}" in str(caught.value)


def test_what_only_the_files_have_is_in_no_environment(tmp_path: Path) -> None:
    assert not_in_environment(config(tmp_path), GRAPH) == {
        "p:c": "environment dev does not have it yet"
    }
    assert not_in_environment(config(tmp_path, plan="auto"), GRAPH) == {}
