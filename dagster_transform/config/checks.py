"""What transform.yaml says of checks: when those of a project run, and jobs of their own."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from dagster_transform.config.fields import Cron, Model, Texts, TimeZone

Timing = Literal["after_each", "after_all", "apart", "none"]


def as_when(value: Any) -> Any:
    """`checks: apart` is short for `checks: {when: apart}`."""
    return {"when": value} if isinstance(value, str) else {} if value is None else value


class ProjectChecks(Model):
    """When the checks of a project run, and what their failures mean.

    Attributes:
        when: `after_each`: when their node is built; blocking ones hold back what is downstream.
            `after_all`: in the same run, when nothing is left to build; `apart`: not in runs that
            build, but in a job of their own; `none`: not at all, unless somebody selects them
            alone. Only `after_each` holds anything back.
        blocking: The same of blocking checks, where they are to run at another time than the rest.
        cron: With `apart`: when the job of the project's checks runs; None: when it is launched.
        time_zone: IANA name of the zone in which `cron` is meant; None is UTC.
        fail_on: Which results make a run fail: of severity ERROR, also of WARN, or none.
    """

    when: Timing = "after_each"
    blocking: Timing | None = None
    cron: Cron = None
    time_zone: TimeZone = None
    fail_on: Literal["error", "warn", "never"] = "error"

    @field_validator("cron")
    @classmethod
    def _is_of_use(cls, cron: str | None, info: ValidationInfo) -> str | None:
        if cron is not None and "apart" not in (info.data.get("when"), info.data.get("blocking")):
            raise PydanticCustomError("cron_of_nothing", "needs checks that run apart")
        return cron


class CheckJob(Model):
    """A job that runs checks and builds nothing.

    Attributes:
        projects: Of which projects; empty: of all.
        tags: Only checks of nodes that have one of these tags; empty: of all, and of sources.
        cron: When it runs; None: when it is launched.
        time_zone: IANA name of the zone in which `cron` is meant; None is UTC.
    """

    projects: Texts = ()
    tags: Texts = ()
    cron: Cron = None
    time_zone: TimeZone = None
