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
