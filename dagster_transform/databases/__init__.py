"""What both frameworks and the claims need of database servers. It connects to none."""

from __future__ import annotations
