"""What graph files say, and that they are missing or old."""

from __future__ import annotations

from dagster_transform.graph import Drift
from dagster_transform.planning.findings.values import Code, Finding, Severity

_KINDS = ("new", "changed", "affected", "removed")
_SHOWN = 5


def graph_file_finding(name: str, path: str, why: str, *, missing: bool) -> Finding:
    """The finding that a graph file can't be used as it is.

    Args:
        name: The project's name.
        path: The file.
        why: In words that follow its path.
        missing: Whether nothing of it can be used.
    """
    return Finding(
        Code.GRAPH_FILE_MISSING if missing else Code.GRAPH_FILE_STALE,
        Severity.ERROR if missing else Severity.WARNING,
        what=f"The graph file of project {name} {why}.",
        cause="Dagster's definitions are made from it. Under `dagster dev` it is written anew by "
        "itself; everywhere else "
        + ("the project's assets are not there." if missing else "runs of the project fail."),
        remedy=f"Run `dagster-transform prepare --project {name}` where you build what you deploy.",
        where=path,
    )


def drift_finding(name: str, environment: str, drift: Drift) -> Finding:
    """The finding that a project's files are not what its environment has."""
    words = []
    for kind in _KINDS:
        if names := getattr(drift, kind):
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            words.append(f"{len(names)} {kind} ({', '.join(names[:_SHOWN])}{more})")
    words += drift.other
    return Finding(
        Code.DRIFT,
        Severity.WARNING,
        what=f"The files of project {name} differ from environment {environment}: "
        f"{'; '.join(words)}.",
        cause="Runs build what the environment has; what is new or changed in the files comes "
        "with a plan.",
        remedy=f"Look at it with the job {name}_plan, or `dagster-transform prepare`, and apply a "
        "plan.",
        where=name,
    )
