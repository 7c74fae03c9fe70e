"""What transform.yaml says of job groups."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from dagster_transform.config.fields import Count, Model, OptionalPath, Seconds, Texts

_APART = ("project", "schema", "owner")
_TAG = "tag:"
Merging = Literal["never", "needed", "always"]


def _as_word(value: Any) -> Any:
    """`true` and `false` of YAML."""
    return {True: "always", False: "never"}.get(value, value) if isinstance(value, bool) else value


def _known(found: tuple[str, ...]) -> tuple[str, ...]:
    for each in found:
        if each not in _APART and (not each.startswith(_TAG) or each == _TAG):
            raise PydanticCustomError(
                "keep_apart", "must be of {known} or tag:<tag>", {"known": ", ".join(_APART)}
            )
    return found


class JobGroups(Model):
    """How the nodes of all projects are split into job groups.

    Attributes:
        file: The job group file; None: `job_groups.yaml` beside transform.yaml.
        max_job_groups: How many there are at most.
        smallest: Nodes that a group should have at least, where parts of the DAG that do not depend
            on each other can go together.
        largest: Nodes that it has at most; None: as many as there are.
        merge_cadences: Whether a coarser node goes into a finer group whose ticks cover its own:
            `needed`: where there would be too many groups otherwise; `always`; `never`.
        keep_apart: Nodes that differ in one of these share no group: `project`, `schema`, `owner`,
            `tag:<tag>`.
        pinned: By group, the nodes that are in it, as a selection (`tag:daily`, `marts.delays+`).
        jobs: `each`: each group has a job of its own; `shared`: all are launched through one.
        schedules: Whether the schedules of job groups run from the start. Those of janitors have
            `janitor: {schedule: running}` of their project; those of checks (`<project>_checks`,
            `check_jobs`) are switched on in the UI.
        missed_ticks: What becomes of what became due while nothing ticked (the daemon was down):
            `launch` it, in one run with the next tick; or `skip` it.
        max_wait: For how many seconds work that could not go at its tick may wait for its claims
            and upstreams, before it is given up.
        upstream_assets: What a tick does about other assets of the code location that a node reads
            (Python assets): `include` those in its run, before the node, that have not been
            materialised since the tick; `wait` until each has been, as
            `AutomationCondition.on_cron` does; or `ignore` them.
        sensor_interval: How often the transform's sensor looks, in seconds; 5 at least.
    """

    # More than twelve attributes: each is a field that people write, flat.
    file: OptionalPath = None
    max_job_groups: Count = 20
    smallest: Count = 10
    largest: Count | None = None
    merge_cadences: Annotated[
        Merging, BeforeValidator(_as_word, json_schema_input_type=Merging | bool)
    ] = "needed"
    keep_apart: Annotated[Texts, AfterValidator(_known)] = ()
    pinned: dict[str, Texts] = Field(default_factory=dict)
    jobs: Literal["each", "shared"] = "each"
    schedules: Literal["stopped", "running"] = "stopped"
    missed_ticks: Literal["launch", "skip"] = "launch"
    max_wait: Seconds = 86400.0
    upstream_assets: Literal["ignore", "wait", "include"] = "ignore"
    sensor_interval: Annotated[int, Field(ge=5)] = 30
