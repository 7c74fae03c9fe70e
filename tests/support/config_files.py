"""transform.yaml as tests write it."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from dagster_transform.config import (
    ConfigError,
    load_config,
)


def write(text: str) -> None:
    Path("transform.yaml").write_text(dedent(text).lstrip("\n"))


def errors(text: str) -> list[str]:
    """The lines of the error that loading the text raises."""
    write(text)
    with pytest.raises(ConfigError) as caught:
        load_config()
    lines = [str(problem) for problem in caught.value.problems]
    assert str(caught.value).splitlines() == lines
    assert caught.value.cause == "\n".join(lines)
    return lines


SMALL = """
    projects:
      marts: {framework: sqlmesh, path: marts}
      staging: {framework: dbt, path: ./staging}
    """
