"""What is wrong with Dagster's home, and with the instance that it describes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from dagster_transform.config import TransformConfig
from dagster_transform.dagster._compat_doctor import monitors_runs, run_limits
from dagster_transform.planning.findings import Code, Finding, Severity, of_error
from dagster_transform.planning.findings.queue import QueueLimits, queue_findings
from dagster_transform.runs.doctor import why_unwritable
from dagster_transform.runs.tags import concurrency_key

_VARIABLE = "DAGSTER_HOME"
_OF_DEV = ".tmp_dagster_home"
_NO_DRIVER = "No module named 'psycopg'"


def home_findings() -> tuple[list[Finding], dg.DagsterInstance | None]:
    """What is wrong with the folder of DAGSTER_HOME; and the instance, where it can be used."""
    named = os.environ.get(_VARIABLE, "").strip()
    if not named:
        return [_unset()], None
    home = Path(named).expanduser()  # as Dagster takes it
    if not home.is_absolute() or not home.is_dir():
        why = "is no absolute path" if not home.is_absolute() else "is not there, or is no folder"
        return [_missing(named, why)], None
    found = [_temporary(named)] if _is_temporary(home) else []
    if (refused := why_unwritable(home)) is not None:
        found.append(_unwritable(named, refused))
    try:
        return found, dg.DagsterInstance.get()
    except Exception as error:  # noqa: BLE001 - a storage may raise anything
        return [*found, _unusable(named, error)], None


def instance_findings(instance: dg.DagsterInstance, config: TransformConfig) -> list[Finding]:
    """What of an instance's configuration does not fit a transform.

    Args:
        instance: Not one in memory.
        config: The transform's configuration.
    """
    file = Path(os.environ.get(_VARIABLE, "").strip()).expanduser() / "dagster.yaml"
    has_sensor = config.job_group_file.exists()
    found = [] if monitors_runs(instance) else [_not_monitored(file, has_sensor=has_sensor)]
    limits = run_limits(instance)
    if limits is None:
        return [*found, _no_queue(file)]
    tags = [(name, slots, concurrency_key(name)) for name, slots in config.tags.items()]
    return [*found, *queue_findings(QueueLimits(*limits), tags)]


def _is_temporary(home: Path) -> bool:
    if home.name.startswith(_OF_DEV):
        return True
    return Path(tempfile.gettempdir()).resolve() in home.resolve().parents


def _unset() -> Finding:
    return Finding(
        Code.HOME_UNSET,
        Severity.WARNING,
        what=f"{_VARIABLE} is not set.",
        cause="`dagster dev` then keeps runs, materialisations and the state of schedules in a "
        "folder that it removes when it ends; claims are in memory there, and other processes "
        "don't see them. Nothing of an instance can be examined.",
        remedy=f"Set {_VARIABLE} to a folder of its own, an absolute path, in every process of "
        "Dagster's.",
    )


def _missing(named: str, why: str) -> Finding:
    return Finding(
        Code.HOME_MISSING,
        Severity.ERROR,
        what=f"{_VARIABLE} is {named}, which {why}.",
        cause="Dagster does not start with it.",
        remedy="Make the folder, or set an absolute path to one.",
        where=named,
    )


def _temporary(named: str) -> Finding:
    return Finding(
        Code.HOME_TEMPORARY,
        Severity.WARNING,
        what=f"{_VARIABLE} is a folder for temporary files: {named}.",
        cause="What is in there is removed when the machine starts anew, or when the `dagster dev` "
        "ends that has made it: runs, materialisations, claims, the state of schedules.",
        remedy=f"Set {_VARIABLE} to a folder that stays.",
        where=named,
    )


def _unwritable(named: str, why: str) -> Finding:
    return Finding(
        Code.HOME_UNWRITABLE,
        Severity.ERROR,
        what=f"Nothing can be written to {_VARIABLE} ({named}).",
        cause=f"{why}. Dagster keeps logs there, and SQLite storage with claims beside it.",
        remedy="Let the user that runs Dagster write there, or mount a volume; in a read-only "
        "image, storage in PostgreSQL and a writable folder for `compute_logs`.",
        where=named,
    )


def _unusable(named: str, error: Exception) -> Finding:
    words = " ".join(str(each) for each in _chain(error))
    if _NO_DRIVER not in words:
        what = f"The instance of {named} can't be used."
        remedy = f"Mend dagster.yaml in {named}, or what it leads to."
        return of_error(Code.INSTANCE_UNUSABLE, what, error, named, remedy=remedy)
    return Finding(
        Code.POSTGRES_DRIVER,
        Severity.ERROR,
        what="Dagster's storage takes the PostgreSQL driver psycopg, which is not installed.",
        cause="SQLAlchemy 2.1 and later takes `postgresql://`, without a driver, for psycopg 3; "
        "dagster-postgres installs psycopg2 only.",
        remedy="Write `postgresql+psycopg2://` in dagster.yaml (`scheme: postgresql+psycopg2` "
        "under postgres_db), or install psycopg.",
        where=str(Path(named) / "dagster.yaml"),
    )


def _chain(error: BaseException | None) -> Sequence[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def _in_file(file: Path) -> str:
    """Where to write something: a new DAGSTER_HOME works without the file."""
    return f"In {file}" if file.exists() else f"In {file} (it is not there yet: make it)"


def _not_monitored(file: Path, *, has_sensor: bool) -> Finding:
    """Run monitoring is off.

    Args:
        file: The instance's dagster.yaml.
        has_sensor: Whether there are job groups, and with them the transform's sensor.
    """
    sensor = (
        "The transform's sensor fails those of its own runs whose claims nobody renews, while it "
        "is switched on."
        if has_sensor
        else "Nobody else notices: the transform's sensor, which fails runs whose claims nobody "
        "renews, comes with job groups, and here are none."
    )
    return Finding(
        Code.RUN_MONITORING_OFF,
        Severity.WARNING,
        what="Run monitoring is off.",
        cause="A run whose process was killed stays STARTED for ever, in Dagster's own view; a "
        f"run that never starts stays STARTING. {sensor}",
        remedy=f"{_in_file(file)}: `run_monitoring: {{enabled: true, "
        "free_slots_after_run_end_seconds: 300}`.",
        where=str(file),
    )


def _no_queue(file: Path) -> Finding:
    return Finding(
        Code.RUN_QUEUE_OFF,
        Severity.WARNING,
        what="The instance has no run queue: every run starts at once.",
        cause="Ticks of many job groups start as many processes, which wait for claims and slots "
        "in memory.",
        remedy=f"Leave `run_coordinator` out of {file}: Dagster's QueuedRunCoordinator is the "
        "default, with at most 10 runs (`concurrency: {runs: {max_concurrent_runs: 10}}`).",
        where=str(file),
    )
