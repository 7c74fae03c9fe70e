"""What can be wrong with job groups."""

from __future__ import annotations

from dagster_transform.errors import TransformError


class JobGroupError(TransformError):
    """The nodes can't be split into job groups as it is asked for."""
