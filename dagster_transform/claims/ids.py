"""Ids of claims, with which a request can be repeated, and of the runs that make them."""

from __future__ import annotations

from typing import NewType
from uuid import uuid4

ClaimId = NewType("ClaimId", str)
"""Of one claim: the request that asked for it, asked again, has the same one."""

RunId = NewType("RunId", str)
"""Dagster's id of a run; of a pause, what the person is called who has paused."""


def new_claim_id() -> ClaimId:
    """An id that no other claim has."""
    return ClaimId(uuid4().hex)
