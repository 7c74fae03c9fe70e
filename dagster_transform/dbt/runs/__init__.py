"""One run of one dbt project, in the run's own process."""

from __future__ import annotations
