"""The lease of what this process holds: renewed, trusted, released."""

from __future__ import annotations
