"""A plan as a proposal: explained, compared by its digest, applied through the walk."""

from __future__ import annotations
