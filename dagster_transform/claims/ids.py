"""The id of a claim: with it a request can be repeated."""

from __future__ import annotations

from typing import NewType
from uuid import uuid4

ClaimId = NewType("ClaimId", str)
"""Of one claim: the request that asked for it, asked again, has the same one."""


def new_claim_id() -> ClaimId:
    """An id that no other claim has."""
    return ClaimId(uuid4().hex)
