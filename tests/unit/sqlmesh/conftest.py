"""Some modules under test import sqlmesh, which has to be done in this package's way."""

from __future__ import annotations

from dagster_transform.sqlmesh._compat import import_sqlmesh

import_sqlmesh()
