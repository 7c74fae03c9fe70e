"""Writing a project's graph file anew beside a sensor, in another process.

In the code server's own container, and in no run: what loads definitions reads the file here.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from typing import IO

from dagster_transform.config import TransformConfig
from dagster_transform.errors import redact

_LIMIT = 900.0
"""Seconds after which a process is ended that has not come to its end."""
_NOT_SHOWN = 3
"""How `prepare` ends where the graph file is written, and Dagster can't show what is in it."""


@dataclass
class Preparing:
    """A `dagster-transform prepare` under way.

    Attributes:
        plan_id: The plan for which it was begun.
        began: By the monotonic clock.
    """

    plan_id: str
    process: subprocess.Popen[bytes]
    output: IO[bytes]
    began: float = field(default_factory=time.monotonic)

    @classmethod
    def begin(cls, config: TransformConfig, project: str, plan_id: str) -> Preparing:
        """Start it."""
        command = [sys.executable, "-m", "dagster_transform.cli", "prepare"]
        command += ["--config", str(config.file), "--project", project]
        output = tempfile.TemporaryFile()  # noqa: SIM115 - it is closed when the process has ended
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        return cls(plan_id, process, output)

    def wait(self, seconds: float) -> bool:
        """Whether it has ended, within so many seconds."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            if time.monotonic() - self.began < _LIMIT:
                return False
            self.process.kill()
            self.process.wait()
        return True

    def problem(self) -> str | None:
        """Why the graph file is not written, of one that has ended; None: it is."""
        code = self.process.returncode
        if self.output.closed or code in (0, _NOT_SHOWN):
            self.output.close()
            return None
        self.output.seek(0)
        said = redact(self.output.read().decode("utf-8", "replace")).strip()
        self.output.close()
        if code < 0:
            said = f"its process was ended by signal {-code}. {said}"
        return said.removeprefix("Error: ") or f"its process ended with {code}"
