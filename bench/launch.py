"""Launches one run on a code server that keeps a warm process, and prints what it took, as JSON.

From the moment in which somebody presses the button: the run is created, launched by Dagster's
default launcher, and ended. The code server was there before, as it is where runs are launched.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import dagster as dg
import psutil  # type: ignore[import-untyped]

from tests.support.launching import ASSET_JOB, code_server, create_run

_AT_REST = 0.05
"""CPU seconds, of half a second, below which nothing is imported any more."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", help="of the definitions")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--asset", help="the key, with slashes")
    what.add_argument("--job", help="the name")
    parser.add_argument("--config-json", default="{}")
    given = parser.parse_args()
    with (
        dg.DagsterInstance.get() as instance,
        code_server(instance, Path(given.file), Path.cwd()) as process,
    ):
        _wait_until_warm()
        context = process.create_request_context()
        began, spent = time.time(), _cpu()
        assets = {dg.AssetKey(given.asset.split("/"))} if given.asset else None
        job, config = given.job or ASSET_JOB, json.loads(given.config_json)
        run = create_run(instance, context, assets, job_name=job, config=config)
        instance.launch_run(run.run_id, context)
        while not (found := instance.get_run_by_id(run.run_id)) or not found.is_finished:
            time.sleep(0.02)
        wall = time.time() - began
        print(json.dumps({"wall": wall, "cpu": _cpu() - spent}))
        return 0 if found.is_success else 1


def _wait_until_warm() -> None:
    spent = _cpu()
    while True:
        time.sleep(0.5)
        if (now := _cpu()) - spent < _AT_REST:
            return
        spent = now


def _cpu() -> float:
    """CPU seconds of this process and of all that it has started, ended ones too."""
    me = psutil.Process()
    return sum(sum(each.cpu_times()[:4]) for each in (me, *me.children(recursive=True)))


if __name__ == "__main__":
    sys.exit(main())
