"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path

import click

config_option = click.option(
    "--config",
    "-c",
    "config_path",
    type=click.Path(path_type=Path),
    help="transform.yaml, or the defs.yaml of a TransformComponent; or the folder of either.  "
    "[default: $DAGSTER_TRANSFORM_CONFIG, else transform.yaml in the working directory]",
)
translator_option = click.option(
    "--translator",
    metavar="MODULE:CLASS",
    help="The translator that your definitions have, so that nodes are called by its asset keys.",
)
select_option = click.option(
    "--select",
    "-s",
    "selection",
    metavar="EXPRESSION",
    help="Some of the nodes: names (`*` stands for any text), tag:x, project:x, kind:x, group:x; "
    "`+` before a term adds what is upstream of it, behind it what is downstream.  [all]",
)
