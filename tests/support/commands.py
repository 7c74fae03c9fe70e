"""Commands, called in this process, with either way in which click captures what they say."""

from __future__ import annotations

import inspect
from typing import Any

from click.testing import CliRunner, Result


def runner(**options: Any) -> CliRunner:
    """One that keeps stdout and stderr apart, as click does from 8.2 on by itself."""
    if "mix_stderr" in inspect.signature(CliRunner).parameters:
        options["mix_stderr"] = False
    return CliRunner(**options)


def all_said(done: Result) -> str:
    """What went to either; before 8.2 `output` is stdout alone where the two are kept apart."""
    return done.stdout + done.stderr
