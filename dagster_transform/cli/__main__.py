"""`python -m dagster_transform.cli`."""

from __future__ import annotations

from dagster_transform.cli.main import main

main()
