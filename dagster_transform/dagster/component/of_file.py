"""What the component of a YAML file says of nodes, for the command line, which Dagster has not
started."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout

from dagster_transform.config import TransformConfig
from dagster_transform.config.component_file import project_root
from dagster_transform.dagster._compat_components import component_at
from dagster_transform.dagster.component.component import TransformComponent, translator_of
from dagster_transform.dagster.translation.translator import TransformTranslator


def translator_of_file(config: TransformConfig) -> TransformTranslator:
    """How nodes are called and look, as the component says whose file a configuration is from.

    The project of `dg` is imported: a component may be of a class of its own, and templates may
    have variables of its own. Like `dg`, this finds it where it is not installed too.

    Args:
        config: From a defs.yaml.

    Raises:
        Exception: Whatever Dagster or the project raises, where it can't be loaded.
    """
    root = project_root(config.file)
    for folder in (root, root / "src"):
        if str(folder) not in sys.path:
            sys.path.append(str(folder))  # behind what is installed
    # What the project prints when it is imported is not what the command prints.
    with redirect_stdout(sys.stderr):
        return translator_of(component_at(config.root, TransformComponent))
