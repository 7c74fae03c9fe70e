"""Run options of checks: when they run, over which time, and what their failures mean."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from dagster_transform.graph import When

if TYPE_CHECKING:
    from dagster_transform.runs.options import CheckRunOptions

MOST_SAMPLED = 100


class WhenOption(Enum):
    """When checks run; the members are named as one writes them in run config."""

    after_each = "after_each"
    after_all = "after_all"
    apart = "apart"
    none = "none"


class FailOnOption(Enum):
    """Which results of checks make a run fail."""

    error = "error"
    warn = "warn"
    never = "never"


class CheckOptions(dg.Config):
    """Options of a run's checks."""

    when: WhenOption | None = Field(
        default=None,
        description=(
            "When the checks of what the run builds are run. after_each: when their node is built; "
            "blocking ones hold back what is downstream. after_all: when nothing is left to build. "
            "apart, none: not in this run. Default: transform.yaml. A run that builds nothing runs "
            "what was selected, all at once."
        ),
    )
    blocking: WhenOption | None = Field(
        default=None,
        description=(
            "The same of blocking checks, where they are to run at another time than the rest. "
            "Default: as `when`, or transform.yaml where that is not given either."
        ),
    )
    fail_on: FailOnOption | None = Field(
        default=None,
        description=(
            "Which results make the run fail. error: those of severity ERROR. warn: all failures. "
            "never: none; what they hold back is held back. Default: transform.yaml, else error."
        ),
    )
    start: str | None = Field(
        default=None,
        description=(
            "With `end`: the first day or moment over which SQLMesh's audits are run in a run that "
            "builds nothing: 2024-03-05, '3 days ago'; UTC. Default: all that was built."
        ),
    )
    end: str | None = Field(
        default=None,
        description="With `start`: the last day (the whole of it), or the moment at which it ends.",
    )
    sample_rows: int = Field(
        default=0,
        ge=0,
        le=MOST_SAMPLED,
        description=(
            "So many failing rows are stored with the result of each failed check. They may be "
            "private: whoever sees the result in Dagster sees them."
        ),
    )

    def options(self) -> CheckRunOptions:
        """The options as a value.

        Raises:
            RunOptionError: `start` without `end`, or the other way round.
        """
        from dagster_transform.runs.check_failures import FailOn
        from dagster_transform.runs.options import CheckRunOptions, RunOptionError

        if (self.start is None) != (self.end is None):
            raise RunOptionError(
                "Of checks.start and checks.end only one is given.",
                remedy="Give both, or none: checks judge all that was built then.",
            )
        return CheckRunOptions(
            when=None if self.when is None else When(self.when.value),
            blocking=None if self.blocking is None else When(self.blocking.value),
            fail_on=None if self.fail_on is None else FailOn(self.fail_on.value),
            between=None if self.start is None or self.end is None else (self.start, self.end),
            sample_rows=self.sample_rows,
        )
