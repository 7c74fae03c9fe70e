"""A transform of one dbt project, in Dagster."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.support.dbt_projects import DbtProject
from tests.support.transforms import Transform


class OfDbt(Transform):
    """A transform of one dbt project."""

    def __init__(self, folder: Path, project: DbtProject, *, code: str = "") -> None:
        self.dbt = project
        super().__init__(folder, [], code=code)

    def configure(self, *_: object, **__: object) -> None:
        name = self.dbt.folder.name
        project = {"framework": "dbt", "path": name, "profiles_dir": name}
        text = yaml.safe_dump({"projects": {self.dbt.name: project}})
        (self.folder / "transform.yaml").write_text(text, encoding="utf-8")
