"""What Dagster launches besides schedules, and what is cleaned up: sensors."""

from __future__ import annotations
