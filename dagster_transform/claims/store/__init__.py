"""The claims store: one contract (`port`), kept in SQLite, in PostgreSQL or in memory."""

from __future__ import annotations
