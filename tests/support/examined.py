"""What the doctor finds in a folder, as its command says it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from dagster_transform.cli import main

Found = dict[str, dict[str, Any]]
OF_A_TEST = {
    # A folder of pytest's is temporary, and no test but those of them starts a daemon.
    "home_unset", "home_temporary", "daemon_not_running", "run_monitoring_off", "run_queue_off",
    "bytecode_not_written",
}  # fmt: skip


def examined(folder: Path, *arguments: str, home: Path | None = None) -> tuple[int, Found]:
    """The exit code, and the findings by code; of two with one code the last."""
    environment = {"DAGSTER_HOME": None if home is None else str(home)}
    command = ["doctor", "--json", "-c", str(folder), *arguments]
    done = CliRunner(env=environment).invoke(main, command, catch_exceptions=False)
    return done.exit_code, {each["code"]: each for each in json.loads(done.stdout)}


def codes(folder: Path, *arguments: str, home: Path | None = None) -> set[str]:
    """The codes of what is found, without those that every test has."""
    return examined(folder, *arguments, home=home)[1].keys() - OF_A_TEST
