"""What the state of a SQLMesh project has recorded, comparable between databases of other names."""

from __future__ import annotations

from dagster_transform.sqlmesh.intervals import Interval, merged
from tests.support.sqlmesh_projects import Project


def intervals_by_model(project: Project) -> dict[str, list[Interval]]:
    """The intervals of the tables that production may use, by short name, over all versions."""
    found: dict[str, list[Interval]] = {}
    for (name, _, is_dev), intervals in project.database.intervals().items():
        if not is_dev:
            short = name.replace('"', "").partition(".")[2]
            found[short] = merged([*found.get(short, []), *intervals])
    return found
