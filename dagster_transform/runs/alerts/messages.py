"""What people read of a run: pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from dagster_transform.runs.alerts.incidents import AlertingRun, Incident, RunNews, Wrong
from dagster_transform.runs.alerts.routing import Alert

_SHOWN = 20
"""Lines of one kind in a message; the run has all of them."""
_LISTED = 200
"""Entries of one kind for programs; servers refuse what is too large."""
_FORMAT = 1
_SAID = {
    Wrong.FAILED: "failed",
    Wrong.CHECK_ERROR: "check failed",
    Wrong.CHECK_WARN: "check failed (warning)",
    Wrong.WAITING: "waits for long",
    Wrong.GIVEN_UP: "is not waited for any more",
    Wrong.DRIFT: "has drifted",
}
_COUNTED = {
    Wrong.FAILED: ("{} failed", "{} failed"),
    Wrong.CHECK_ERROR: ("{} check failed", "{} checks failed"),
    Wrong.CHECK_WARN: ("{} check warns", "{} checks warn"),
    Wrong.WAITING: ("{} waits for long", "{} wait for long"),
    Wrong.GIVEN_UP: ("{} given up", "{} given up"),
    Wrong.DRIFT: ("{} has drifted", "{} have drifted"),
}


@dataclass(frozen=True, slots=True)
class Message:
    """One message about one run.

    Attributes:
        run: The run.
        title: One line: what was launched, and counts.
        lines: What there is to say, causes first.
        data: The same for programs, as JSON has it.
    """

    run: AlertingRun
    title: str
    lines: tuple[str, ...]
    data: dict[str, Any]

    def as_text(self) -> str:
        """Title, lines and a link, for e-mail."""
        where = f": {self.run.url}" if self.run.url else ""
        return "\n".join([self.title, "", *self.lines, "", f"{self._who(self.run.id)}{where}"])

    def as_slack(self) -> str:
        """The same in Slack's markup."""
        url, id = self.run.url, self.run.id
        link = f"<{url}|{self._who(id[:8])}>" if url else self._who(id)
        return "\n".join([f"*{_escaped(self.title)}*", *map(_escaped, self.lines), link])

    def _who(self, run_id: str) -> str:
        return f"Sensor {self.run.sensor}" if self.run.sensor else f"Run {run_id}"


def compose(alert: Alert, recovered: Collection[str], news: RunNews) -> Message:
    """The message of a run to a target.

    Args:
        alert: What the target is to be told.
        recovered: Subjects that it was told of and that are well again, where it wants to know.
        news: Of the run.
    """
    fresh = alert.fresh
    back = sorted({news.name_of(subject) for subject in recovered})
    counts = Counter(incident.wrong for incident in fresh)
    parts = [_COUNTED[wrong][n != 1].format(n) for wrong in Wrong if (n := counts[wrong])]
    parts += [f"{len(back)} recovered"] * bool(back)
    lines = _some([_line(incident) for incident in fresh])
    blocked = news.blocked if fresh else 0
    if blocked:
        lines.append(f"{blocked} blocked in this run by what is not well.")
    claimed = news.claimed if fresh else ()
    lines += _some([f"Held by others: {', '.join(r.names[:3])}: {r.reason}" for r in claimed])
    if fresh and alert.known:
        lines.append(f"{alert.known} more not well, as told before.")
    lines += _some([f"{name} has recovered." for name in back])
    title = f"{news.run.job_group or news.run.job}: {', '.join(parts)}"
    return Message(news.run, title, tuple(lines), _data(alert, title, back, news))


def _line(incident: Incident) -> str:
    owners = f" (owned by {', '.join(incident.owners)})" if incident.owners else ""
    reason = f": {incident.reason}" if incident.reason else ""
    return f"{incident.name} {_SAID[incident.wrong]}{owners}{reason}"


def _some(lines: Sequence[str]) -> list[str]:
    more = len(lines) - _SHOWN
    return [*lines[:_SHOWN], *([f"... and {more} more, which the run has."] if more > 0 else [])]


def _data(alert: Alert, title: str, recovered: list[str], news: RunNews) -> dict[str, Any]:
    def of(*wrongs: Wrong) -> list[dict[str, Any]]:
        found = [incident for incident in alert.fresh if incident.wrong in wrongs]
        return [
            {
                "name": incident.name,
                "severity": "warn" if incident.wrong is Wrong.CHECK_WARN else "error",
                "reason": incident.reason,
                "projects": list(incident.projects),
                "owners": list(incident.owners),
                "tags": list(incident.tags),
            }
            for incident in found[:_LISTED]
        ]

    run = news.run
    return {
        "format": _FORMAT,
        "title": title,
        "run_id": None if run.sensor else run.id,
        "run_url": run.url,
        "job": run.job,
        "sensor": run.sensor or None,
        "job_group": run.job_group or None,
        "failed": of(Wrong.FAILED),
        "failed_checks": of(Wrong.CHECK_ERROR, Wrong.CHECK_WARN),
        "waiting": of(Wrong.WAITING),
        "given_up": of(Wrong.GIVEN_UP),
        "drift": of(Wrong.DRIFT),
        "recovered": recovered[:_LISTED],
        "blocked": news.blocked,
        "claimed": [
            {"names": list(r.names[:_SHOWN]), "reason": r.reason} for r in news.claimed[:_SHOWN]
        ],
        "told_before": alert.known,
    }


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
