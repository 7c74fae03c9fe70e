"""Versions that this package was not made for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from dagster_transform.planning.findings.values import Code, Finding, Severity


def version_findings(required: Iterable[str], installed: Mapping[str, str | None]) -> list[Finding]:
    """A finding for each distribution whose version is out of its range.

    Args:
        required: As a distribution's metadata has it: `sqlmesh<0.237; extra == "sqlmesh"`.
        installed: The versions here, by distribution; None, or not in it: not installed.
    """
    found = []
    for text in required:
        try:
            requirement = Requirement(text)
            version = installed.get(requirement.name)
            wrong = version is not None and not requirement.specifier.contains(
                Version(version), prereleases=True
            )
        except (InvalidRequirement, InvalidVersion):
            continue
        if wrong:
            found.append(
                Finding(
                    Code.VERSION_OUT_OF_RANGE,
                    Severity.WARNING,
                    what=f"{requirement.name} {version} is installed.",
                    cause=f"This dagster-transform is made for, and tested with, "
                    f"{requirement.name}{requirement.specifier}: it reaches into private parts.",
                    remedy=f"pip install '{requirement.name}{requirement.specifier}', or a "
                    "dagster-transform that knows this version.",
                )
            )
    return list(dict.fromkeys(found))
