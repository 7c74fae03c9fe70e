"""Schedules of job groups that are no more, and with them whether they were switched on."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from dagster_transform.planning.findings.values import Code, Finding, Severity


def schedule_findings(
    switched_on: Iterable[tuple[str, str]], schedules: Collection[str], file: str
) -> list[Finding]:
    """A finding for each code location with schedules of job groups that are no more.

    Args:
        switched_on: Schedules of job groups that Dagster has as switched on: code location, name.
        schedules: The names of the schedules of the job groups that there are.
        file: The job group file.
    """
    lost: dict[str, list[str]] = {}
    for location, name in switched_on:
        if name not in schedules:
            lost.setdefault(location, []).append(name)
    return [
        Finding(
            Code.SCHEDULE_STATE_LOST,
            Severity.WARNING,
            what=f"Code location {location} has schedules switched on that {file} has no job "
            f"group for: {', '.join(sorted(names))}.",
            cause="Dagster forgets the state of a schedule whose name is no more: a group that "
            "was renamed begins switched off (unless `schedules: running`), and nothing is "
            "launched for it.",
            remedy="Give the groups their old names, or switch the new schedules on: "
            "`dagster-transform job-groups diff` says which they are.",
            where=location,
        )
        for location, names in sorted(lost.items())
    ]
