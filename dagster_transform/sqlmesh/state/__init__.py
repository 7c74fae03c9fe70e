"""What an environment's state says: what there is to do, and what must be left out."""

from __future__ import annotations
