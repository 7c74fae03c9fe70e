"""Run options: what a person or a schedule can ask of one run, on the `transform` resource.

They live on a resource and not in op config, because Dagster splits the op where a Python asset
stands between two models, and config given to the first half would not reach the second.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import Enum

import dagster as dg
from pydantic import Field

from dagster_transform.errors import TransformError
from dagster_transform.planning import Limits

_TICK_TAGS = ("dagster/schedule_name", "dagster/sensor_name", "dagster/from_automation_condition")
_CONCURRENCY_VARIABLE = "MAX_CONCURRENT_MODELS"


class PlanOption(Enum):
    """Whether a run may apply a plan; the members are named as one writes them in run config."""

    never = "never"
    auto = "auto"


class RunOptionError(TransformError):
    """A run option has a value that can't be used."""


class TransformResource(dg.ConfigurableResource[None]):
    """Options of one run, for all projects of a transform.

    In the launchpad:

        resources: {transform: {config: {max_concurrent_models: 8, fail_fast: true}}}
    """

    max_concurrent_models: int | None = Field(
        default=None,
        ge=1,
        description=(
            "Models built at the same moment. Default: the environment variable "
            "MAX_CONCURRENT_MODELS, else transform.yaml. A connection may allow fewer: DuckDB "
            "through SQLMesh builds one at a time."
        ),
    )
    fail_fast: bool = Field(
        default=False,
        description="After the first failure start nothing more, and cancel what runs.",
    )
    retries: int = Field(
        default=2,
        ge=0,
        description="Retries of a model that failed transiently (a lock, say).",
    )
    retry_delay: float = Field(
        default=1.0, ge=0, description="Seconds before the first retry; doubled for each further."
    )
    ignore_cron: bool | None = Field(
        default=None,
        description=(
            "True: build all that is missing, and build selected FULL, VIEW and SEED models again. "
            "False: build what is due. Default: true for a person's run, false for a run that a "
            "schedule or sensor launched."
        ),
    )
    plan: PlanOption | None = Field(
        default=None,
        description=(
            "auto: where a project's files differ from its environment, plan, backfill and promote "
            "what is selected. never: build what the environment has. Default: transform.yaml."
        ),
    )
    execution_time: str | None = Field(
        default=None,
        description="The run's moment, as ISO 8601 with an offset, instead of now.",
    )

    def limits(self, configured: int) -> Limits:
        """How the walk may go about it; `configured` is what transform.yaml says.

        Raises:
            RunOptionError: MAX_CONCURRENT_MODELS is not a number above 0.
        """
        models = self.max_concurrent_models or _from_environment() or configured
        return Limits(
            max_concurrent_models=models,
            fail_fast=self.fail_fast,
            retries=self.retries,
            retry_delay=self.retry_delay,
        )

    def ignores_cron(self, run_tags: Mapping[str, str]) -> bool:
        """Whether a run with these tags builds also what is not due."""
        if self.ignore_cron is not None:
            return self.ignore_cron
        return not any(tag in run_tags for tag in _TICK_TAGS)


def _from_environment() -> int | None:
    text = os.environ.get(_CONCURRENCY_VARIABLE, "").strip()
    if not text:
        return None
    if not text.isdigit() or int(text) < 1:
        raise RunOptionError(
            f"{_CONCURRENCY_VARIABLE} is '{text}', which is not a number above 0.",
            remedy=f"Set {_CONCURRENCY_VARIABLE} to how many models may be built at once.",
        )
    return int(text)
