"""What an environment's state says: which intervals are due, and which have to wait."""

from __future__ import annotations
