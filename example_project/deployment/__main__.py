"""`make deploy-local`: the example project in a deployment on this machine."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

from example_project.deployment.errors import DeploymentError
from example_project.deployment.local import AlreadyRunning, Code, LocalDeployment

_ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Start it, look after it until Ctrl-C, end it; the exit code."""
    options = _options()
    deployment = LocalDeployment(
        options.folder,
        Code(
            ("-m", "example_project.definitions"),
            _ROOT,
            "example_project",
            transforms=("example_project",),
        ),
        port=options.port,
        code_port=options.code_port,
    )
    # A service manager ends it like Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with deployment.running(_say):
            _say(_started(deployment))
            _look_after(deployment)
    except AlreadyRunning as running:
        _say(str(running))
        return 0
    except DeploymentError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        _say("stopped; what it has stored is kept, and make deploy-local goes on with it")
        return 0


def _look_after(deployment: LocalDeployment) -> NoReturn:
    try:
        while True:
            time.sleep(1)
            for line in deployment.tend():
                _say(line)
    except KeyboardInterrupt:
        # Pressed again, it would leave behind what has not been ended yet.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make deploy-local", description=__doc__)
    parser.add_argument("--port", type=int, default=3000, help="of the UI")
    parser.add_argument("--code-port", type=int, default=4000, help="of the code server")
    parser.add_argument(
        "--folder",
        type=Path,
        default=_ROOT / ".deployment",
        help="where PostgreSQL's files, Dagster's home and the logs are",
    )
    return parser.parse_args()


def _started(deployment: LocalDeployment) -> str:
    logs = "\n".join(
        f"  {name:<12} process {service.pid:<7} {service.log}"
        for name, service in deployment.services.items()
    )
    return (
        f"\nDagster's UI: {deployment.url}\n{logs}\n"
        f"  {'PostgreSQL':<12} {'':<15} {deployment.folder / 'postgres' / 'log'}\n"
        "Start the schedules of the job groups under Automation. Ctrl-C stops all of it.\n"
    )


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
