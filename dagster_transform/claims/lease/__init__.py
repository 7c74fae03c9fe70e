"""The lease of what this process holds: renewed by a heartbeat, trusted, released."""

from __future__ import annotations
