"""Imports SQLMesh, and what building with it needs; as `of_runs` does."""

import gc
from contextlib import suppress
from importlib import import_module

from dagster_transform import sqlmesh

with suppress(Exception):  # each run finds it out for itself, and says what helps
    sqlmesh.import_now()
    import_module("pandas")
gc.freeze()
