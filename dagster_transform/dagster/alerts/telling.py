"""At the end of a run: who does not know yet is told, and what was told is remembered."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote

from dagster_transform.claims import ClaimsError, RunId, Store, Told
from dagster_transform.config.alerts import WEBSERVER_VARIABLE, Alerts
from dagster_transform.dagster.alerts.sending import Letter, send_all
from dagster_transform.graph import UnitId
from dagster_transform.runs.alerts.incidents import AlertingRun, RunNews, Wrong
from dagster_transform.runs.alerts.messages import compose
from dagster_transform.runs.alerts.routing import Alert, alert_for, targets
from dagster_transform.runs.ports import RunLog
from dagster_transform.runs.tags import JOB_GROUP

_ASSET_JOB = "__ASSET_JOB"
_DIGITS = 12


def alerting_run(context: Any, alerts: Alerts, selected: Iterable[UnitId]) -> AlertingRun:
    """The run of an op, for messages.

    Args:
        context: Dagster's context of the op.
        alerts: Where its page is.
        selected: What the op does.
    """
    run = context.run
    job_group = run.tags.get(JOB_GROUP, "")
    job = "Selected assets" if run.job_name.startswith(_ASSET_JOB) else run.job_name
    what = "\n".join(sorted(selected)).encode()
    key = job_group or f"{run.job_name}:{hashlib.sha256(what).hexdigest()[:_DIGITS]}"
    page = _page(alerts, f"runs/{run.run_id}")
    return AlertingRun(RunId(run.run_id), job, job_group, key, page)


def alerting_sensor(alerts: Alerts, sensor: str, location: str, now: datetime) -> AlertingRun:
    """A look of the transform's sensor, for messages.

    Args:
        alerts: Where its page is.
        sensor: Its name.
        location: Its code location.
        now: Aware.
    """
    key = f"{location}/{sensor}"
    page = _page(alerts, f"locations/{quote(location)}/sensors/{quote(sensor)}")
    return AlertingRun(RunId(f"{key}@{now.isoformat()}"), sensor, "", key, page, sensor)


def _page(alerts: Alerts, path: str) -> str | None:
    base = alerts.webserver_url or os.environ.get(WEBSERVER_VARIABLE, "").strip()
    return f"{base.rstrip('/')}/{path}" if base else None


def tell(news: RunNews, alerts: Alerts, open_store: Callable[[], Store], log: RunLog) -> None:
    """Tell whoever has to know of a run. What can't be sent is a warning in the log, and is told
    by the next run that finds it.

    Args:
        news: Of the run.
        alerts: What transform.yaml says.
        open_store: Where it is remembered what was told.
        log: The run's.
    """
    try:
        _tell(news, alerts, _Memory(open_store, news.run.id, log), log)
    except Exception as error:  # noqa: BLE001  # no alert ever fails the run
        # Its text may be anything, a secret, too.
        log.warning(f"Alerts of this run were not sent: {type(error).__name__}.")


def _tell(news: RunNews, alerts: Alerts, memory: _Memory, log: RunLog) -> None:
    told = memory.noted()
    now = datetime.now(timezone.utc)
    due = [alert_for(target, news, told, now) for target in targets(alerts, news, told)]
    if not any(alert.fresh or alert.noted or alert.over for alert in due):
        return
    letters: list[Letter] = []
    sent: list[_Keys] = []
    for alert in memory.taken(due):
        name = alert.target.name
        over = {each.subject: each for each in alert.over}
        known = [subject for subject, each in over.items() if each.told_at is not None]
        recovered = known if "recovery" in alert.target.channel.events else []
        keys = _Keys(
            told=[(name, incident.subject) for incident in alert.fresh],
            over=[(name, subject) for subject in over],
        )
        if not alert.fresh and not recovered:
            memory.settle(keys)
            continue
        letters.append(Letter(alert.target, compose(alert, recovered, news)))
        sent.append(keys)
    for letter, keys, error in zip(letters, sent, send_all(letters, alerts.limit), strict=True):
        target = letter.target
        if error is None:
            memory.settle(keys)
            log.info(f"Alert sent through {target.shown}: {letter.message.title}")
        elif error.sent:
            memory.settle(keys)
            log.warning(f"Alert through {target.shown} was not sent to all. {error}")
        else:
            memory.put_back(keys)
            log.warning(f"Alert through {target.shown} was not sent. {error}")


@dataclass(frozen=True, slots=True)
class _Keys:
    """What is to be remembered of a message, once it is sent."""

    told: list[tuple[str, str]]
    over: list[tuple[str, str]]


class _Memory:
    """What was told. Without a store nothing is remembered: better twice than never."""

    def __init__(self, open_store: Callable[[], Store], run_id: RunId, log: RunLog) -> None:
        self._run_id = run_id
        self._log = log
        self._store: Store | None = None
        try:
            self._store = open_store()
        except ClaimsError as error:
            self._lost(error)

    def noted(self) -> list[Told]:
        """All that was told, or noted, and is not over."""
        try:
            return self._store.noted() if self._store is not None else []
        except ClaimsError as error:
            self._lost(error)
            return []

    def taken(self, alerts: list[Alert]) -> list[Alert]:
        """Of what there is to tell, what no other run is telling."""
        if self._store is None:
            return [replace(alert, over=()) for alert in alerts if _urgent(alert)]
        fresh = [(a.target.name, i.subject) for a in alerts for i in (*a.fresh, *a.noted)]
        asked = [(a.target.name, i.subject) for a in alerts for i in a.fresh]
        asked += [(told.channel, told.subject) for a in alerts for told in a.over]
        try:
            self._store.note(fresh)
            mine = {(t.channel, t.subject): t for t in self._store.take(asked, self._run_id)}
        except ClaimsError as error:
            self._lost(error)
            return self.taken(alerts)
        found = []
        for alert in alerts:
            name = alert.target.name
            ours = [mine.get((name, incident.subject)) for incident in alert.fresh]
            pairs = zip(alert.fresh, ours, strict=True)
            # Somebody may have told it since we asked.
            new = [incident for incident, t in pairs if t is not None and t.told_at is None]
            over = [t for each in alert.over if (t := mine.get((name, each.subject)))]
            if new or over:
                found.append(replace(alert, fresh=tuple(new), over=tuple(over)))
        return found

    def settle(self, keys: _Keys) -> None:
        """It is sent."""
        self._end(told=keys.told, over=keys.over)

    def put_back(self, keys: _Keys) -> None:
        """It is not: the next run may."""
        self._end(put_back=[*keys.told, *keys.over])

    def _end(self, **keys: list[tuple[str, str]]) -> None:
        if self._store is not None:
            try:
                self._store.settle(self._run_id, **keys)
            except ClaimsError as error:
                self._lost(error)

    def _lost(self, error: ClaimsError) -> None:
        self._store = None
        self._log.warning(
            f"What is told can't be remembered: alerts of this run may come again. {error}"
        )


def _urgent(alert: Alert) -> bool:
    return any(incident.wrong is not Wrong.WAITING for incident in alert.fresh)
