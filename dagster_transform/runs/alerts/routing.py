"""Who is told what of a run: pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from dagster_transform.claims import Told
from dagster_transform.config.alerts import AlertEvent, Alerts, Channel, EmailChannel
from dagster_transform.runs.alerts.incidents import Incident, RunNews, Wrong

_EVENT: Mapping[Wrong, AlertEvent] = {
    Wrong.FAILED: "failure",
    Wrong.CHECK_ERROR: "checks",
    Wrong.CHECK_WARN: "checks",
    Wrong.WAITING: "waiting",
    Wrong.GIVEN_UP: "waiting",
    Wrong.DRIFT: "drift",
}
_BETWEEN = "\t"  # no name of a channel and no address has one


@dataclass(frozen=True, slots=True)
class Target:
    """Somebody who gets messages of their own.

    Attributes:
        name: The channel's, with the address of an owner: what it was told is remembered by it.
        channel: How it is reached.
        to: Addresses, of e-mail.
        owner: Only what this one owns; None: whosever it is.
    """

    name: str
    channel: Channel
    to: tuple[str, ...] = ()
    owner: str | None = None

    @property
    def shown(self) -> str:
        """For the log."""
        return self.name.replace(_BETWEEN, ", to ")


@dataclass(frozen=True, slots=True)
class Alert:
    """What a target is to be told of a run.

    Attributes:
        target: The target.
        fresh: What it does not know yet, causes first.
        known: How much else of the run is not well and it was told of before.
        over: What it was told of before, and what was noted for it, that is well again.
        noted: What it is not told yet, and that counts from now on: how long nodes wait.
    """

    target: Target
    fresh: tuple[Incident, ...] = ()
    known: int = 0
    over: tuple[Told, ...] = ()
    noted: tuple[Incident, ...] = ()


def targets(alerts: Alerts, news: RunNews, told: Iterable[Told]) -> Iterator[Target]:
    """All that may have to be told something of a run.

    Args:
        alerts: What transform.yaml says.
        news: Of the run.
        told: What everybody was told before.
    """
    known = [each.channel for each in told]
    for name, channel in alerts.channels.items():
        if not isinstance(channel, EmailChannel):
            if channel.url is not None:
                yield Target(name, channel)
            continue
        if channel.host is None:
            continue
        if channel.to:
            yield Target(name, channel, channel.to)
        if channel.to_owners:
            head = f"{name}{_BETWEEN}"
            owners = {o for incident in news.incidents for o in incident.owners if _is_address(o)}
            owners |= {each.removeprefix(head) for each in known if each.startswith(head)}
            for owner in sorted(owners - {*channel.to}):  # who gets all of it gets that, too
                yield Target(f"{head}{owner}", channel, (owner,), owner)


def alert_for(target: Target, news: RunNews, told: Iterable[Told], now: datetime) -> Alert:
    """What a target is to be told of a run; the same thing only once until it is well again.

    Args:
        target: The target.
        news: Of the run.
        told: What everybody was told before.
        now: Aware.
    """
    before = {each.subject: each for each in told if each.channel == target.name}
    fresh: list[Incident] = []
    noted: list[Incident] = []
    known = 0
    for incident in news.incidents:
        if not wants(target, incident, news.run.job_group):
            continue
        last = before.get(incident.subject)
        if last is not None and last.told_at is not None:
            known += 1
        elif incident.wrong is not Wrong.WAITING:
            fresh.append(incident)
        elif last is None:
            noted.append(incident)
        elif now - last.since >= timedelta(seconds=target.channel.waiting_after):
            fresh.append(incident)
    over = tuple(each for each in before.values() if news.is_over(each.subject))
    return Alert(target, tuple(fresh), known, over, tuple(noted))


def wants(target: Target, incident: Incident, job_group: str) -> bool:
    """Whether something is told to a target.

    Args:
        target: The target.
        incident: What is not well.
        job_group: The job group whose schedule launched the run; or "".
    """
    channel = target.channel
    return (
        _EVENT[incident.wrong] in channel.events
        and (incident.wrong is not Wrong.CHECK_WARN or channel.severity == "warn")
        and _one_of(channel.projects, incident.projects)
        and _one_of(channel.job_groups, (incident.job_group or job_group,))
        and _one_of(channel.owners, incident.owners)
        and _one_of(channel.tags, incident.tags)
        and (target.owner is None or target.owner in incident.owners)
    )


def _one_of(asked: Collection[str], found: Collection[str]) -> bool:
    return not asked or not set(asked).isdisjoint(found)


def _is_address(owner: str) -> bool:
    name, at, host = owner.rpartition("@")
    return bool(name and at and host) and owner.isprintable() and not set(owner) & set(' ,;<>"')
