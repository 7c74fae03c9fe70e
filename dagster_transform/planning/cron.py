"""Crons as values: spelling, ticks, and which cron's ticks cover another's. Pure."""

from __future__ import annotations
