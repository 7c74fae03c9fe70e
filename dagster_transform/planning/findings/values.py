"""A finding, and the codes that there are."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from dagster_transform.errors import TransformError, redact, words_of

_REMEDY = "What it says is what helps; docs/doctor.md has more."


class Severity(str, Enum):
    """How bad a finding is."""

    ERROR = "error"
    """Something does not work: runs fail, or will."""
    WARNING = "warning"
    """It works, and will go wrong, or is not what people expect."""


class Code(str, Enum):
    """What was found. docs/doctor.md has each with its cause and remedy."""

    # Of the Python environment.
    VERSION_OUT_OF_RANGE = "version_out_of_range"
    SQLGLOTC_INSTALLED = "sqlglotc_installed"
    FRAMEWORK_MISSING = "framework_missing"
    ADAPTER_MISSING = "adapter_missing"
    BYTECODE_NOT_WRITTEN = "bytecode_not_written"
    # Of transform.yaml, and what lies beside it.
    CONFIG_UNREADABLE = "config_unreadable"
    ARTIFACTS_UNWRITABLE = "artifacts_unwritable"
    GRAPH_FILE_MISSING = "graph_file_missing"
    GRAPH_FILE_STALE = "graph_file_stale"
    JOB_GROUPS_INVALID = "job_groups_invalid"
    CLOCK_CHANGE = "clock_change"
    # Of projects.
    PROJECT_UNREADABLE = "project_unreadable"
    PROJECT_NOT_SHOWN = "project_not_shown"
    DATABASE_UNREACHABLE = "database_unreachable"
    DATABASE_IN_USE = "database_in_use"
    RELATIVE_DATABASE = "relative_database"
    READ_ELSEWHERE = "read_elsewhere"
    NEVER_PLANNED = "never_planned"
    PLAN_UNFINISHED = "plan_unfinished"
    ENVIRONMENT_EXPIRED = "environment_expired"
    DRIFT = "drift"
    # Of Dagster's instance.
    HOME_UNSET = "home_unset"
    HOME_MISSING = "home_missing"
    HOME_TEMPORARY = "home_temporary"
    HOME_UNWRITABLE = "home_unwritable"
    POSTGRES_DRIVER = "postgres_driver"
    INSTANCE_UNUSABLE = "instance_unusable"
    RUN_MONITORING_OFF = "run_monitoring_off"
    RUN_QUEUE_OFF = "run_queue_off"
    QUEUE_LIMIT_DISAGREES = "queue_limit_disagrees"
    DAEMON_NOT_RUNNING = "daemon_not_running"
    SENSOR_NOT_RUNNING = "sensor_not_running"
    SCHEDULE_STATE_LOST = "schedule_state_lost"
    DEFINITIONS_UNLOADABLE = "definitions_unloadable"
    EXECUTOR_NOT_OURS = "executor_not_ours"
    # Of claims.
    CLAIMS_UNUSABLE = "claims_unusable"
    CLAIM_EXPIRED = "claim_expired"
    CLAIM_OF_ENDED_RUN = "claim_of_ended_run"
    ANOTHER_HOME = "another_home"
    # Of the doctor.
    NOT_EXAMINED = "not_examined"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong, or will be.

    Attributes:
        code: What it is.
        severity: How bad it is.
        what: What was found, in one sentence.
        cause: Why it matters, or what has said it.
        remedy: What to do, as an instruction.
        where: A project, a file, a code location; "": the machine, or the process.
    """

    code: Code
    severity: Severity
    what: str
    cause: str
    remedy: str
    where: str = ""


def of_error(
    code: Code, what: str, error: BaseException, where: str = "", *, remedy: str = ""
) -> Finding:
    """The finding that something has failed.

    Args:
        code: What it is.
        what: What was found, in one sentence.
        error: What was raised: of ours, its remedy is the finding's.
        where: As of a finding.
        remedy: Where the error has none.
    """
    ours = isinstance(error, TransformError)
    cause = error.cause if isinstance(error, TransformError) else redact(words_of(error))
    said = error.remedy if isinstance(error, TransformError) else None
    name = "" if ours else f"{type(error).__name__}: "
    return Finding(
        code,
        Severity.ERROR,
        what=what,
        cause=f"{name}{cause}",
        remedy=said or remedy or _REMEDY,
        where=where,
    )
