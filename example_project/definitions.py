"""What `dagster dev` loads: the models of transform.yaml and the Python assets around them."""

from pathlib import Path

import dagster as dg

from dagster_transform import build_transform_definitions
from example_project import pictures, python_assets

defs = dg.Definitions.merge(
    build_transform_definitions(Path(__file__).parent),
    dg.Definitions(assets=dg.load_assets_from_modules([python_assets, pictures])),
)
