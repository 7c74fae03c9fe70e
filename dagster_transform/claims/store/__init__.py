"""The claims store: the roles of `claims.ports`, kept in SQLite, in PostgreSQL or in memory."""

from __future__ import annotations
