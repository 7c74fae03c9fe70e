"""Who is told what: by project, job group, owner and tag, and each thing once."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from dagster_transform.claims import Told
from dagster_transform.config.alerts import Alerts, Channel
from dagster_transform.planning import Outcome
from dagster_transform.runs.alerts.routing import Alert, Target, alert_for, targets, wants
from dagster_transform.runs.events import CheckEvaluated, NodeBuilt, NodeObserved, RunEvent
from dagster_transform.walk import CheckResult, Report
from tests.support.alerting import RUN, email, news, slack

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
X_FAILS = NodeObserved("a:x", Outcome.FAILED, "no")
Z_FAILS = NodeObserved("b:z", Outcome.FAILED, "no")
X_WAITS = NodeObserved("a:x", Outcome.WAITING, "its interval is not over")
X_IS_BUILT = NodeBuilt("a:x", Report("a:x", Outcome.BUILT))
WARNS = CheckEvaluated(CheckResult("a:x:ok", False, blocking=False))
BREAKS = CheckEvaluated(CheckResult("a:x:ok", False))


def told(subject: str, told_at: datetime | None = NOW, since: datetime = NOW) -> Told:
    return Told("t", subject, since, told_at)


def alert(channel: Channel, event: RunEvent, *before: Told, now: datetime = NOW) -> Alert:
    return alert_for(Target("t", channel), news(event), before, now)


@pytest.mark.parametrize(
    ("fields", "event", "expected"),
    [
        ({}, X_FAILS, True),
        ({"projects": "a"}, X_FAILS, True),
        ({"projects": "a"}, Z_FAILS, False),
        ({"owners": ["team:data", "eve"]}, X_FAILS, True),
        ({"owners": "eve"}, X_FAILS, False),
        ({"owners": "eve"}, Z_FAILS, False),
        ({"tags": "finance"}, X_FAILS, True),
        ({"tags": "finance", "projects": "b"}, X_FAILS, False),
        ({"tags": "finance"}, BREAKS, True),
        ({"events": "checks"}, X_FAILS, False),
        ({"events": "checks"}, BREAKS, True),
        ({}, WARNS, False),
        ({"severity": "warn"}, WARNS, True),
        ({"severity": "warn", "events": "failure"}, WARNS, False),
        ({"events": ["failure", "checks", "recovery"]}, X_WAITS, False),
    ],
)
def test_what_a_channel_asks_for(
    fields: dict[str, object], event: RunEvent, expected: bool
) -> None:
    (incident,) = news(event).incidents
    assert wants(Target("t", slack(**fields)), incident, "") is expected


def test_a_channel_of_a_job_group_gets_what_its_schedule_launched() -> None:
    channel = slack(job_groups="nights")
    for group, expected in (("nights", 1), ("days", 0), ("", 0)):
        found = news(X_FAILS, run=replace(RUN, job_group=group))
        assert len(alert_for(Target("t", channel), found, (), NOW).fresh) == expected


def test_a_failure_is_told_once_until_it_is_well_again() -> None:
    assert [i.name for i in alert(slack(), X_FAILS).fresh] == ["x"]
    again = alert(slack(), X_FAILS, told("a:x#failed"))
    assert (again.fresh, again.known, again.over) == ((), 1, ())
    over = alert(slack(), X_IS_BUILT, told("a:x#failed"), told("b:z#failed"))
    assert [each.subject for each in over.over] == ["a:x#failed"]


def test_what_was_noted_and_not_told_is_told() -> None:
    assert len(alert(slack(), X_FAILS, told("a:x#failed", None)).fresh) == 1


def test_what_another_channel_was_told_does_not_count() -> None:
    other = Told("other", "a:x#failed", NOW, NOW)
    assert len(alert(slack(), X_FAILS, other).fresh) == 1
    assert alert(slack(), X_IS_BUILT, other).over == ()


def test_a_check_that_warned_and_is_an_error_now_is_told_again() -> None:
    channel = slack(severity="warn")
    assert len(alert(channel, BREAKS, told("a:x:ok#warn")).fresh) == 1


def test_what_waits_is_told_when_it_has_waited_for_long() -> None:
    channel = slack(waiting_after=600)
    first = alert(channel, X_WAITS)
    assert (first.fresh, [i.name for i in first.noted]) == ((), ["x"])
    noted = told("a:x#waiting", None)
    for seconds, expected in ((0, 0), (599, 0), (600, 1)):
        found = alert(channel, X_WAITS, noted, now=NOW + timedelta(seconds=seconds))
        assert (len(found.fresh), found.noted) == (expected, ())
    assert [t.told_at for t in alert(channel, X_IS_BUILT, noted).over] == [None]


def test_owners_that_are_addresses_get_what_they_own() -> None:
    alerts = Alerts(
        channels={
            "mail": email(to="all@e.com", to_owners=True),
            "off": email(host="", to="all@e.com"),
            "quiet": slack(url=None),
        }
    )
    found = news(X_FAILS, NodeObserved("a:y", Outcome.FAILED, "no"))
    before = [Told("mail\tcarl@e.com", "b:z#failed", NOW, NOW)]
    got = {
        target.shown: [i.name for i in alert_for(target, found, before, NOW).fresh]
        for target in targets(alerts, found, before)
    }
    assert got == {
        "mail": ["x", "y"],
        "mail, to ada@e.com": ["x"],
        "mail, to bob@e.com": ["y"],
        "mail, to carl@e.com": [],  # was told of something: may have to hear that it is over
    }


@pytest.mark.parametrize("owner", ["a@e.com,b@e.com", "ada", "@e.com", "a@", "a@e.com\nBcc: x@y"])
def test_an_owner_that_is_no_single_address_gets_no_mail(owner: str) -> None:
    found = news(X_FAILS)
    (incident,) = found.incidents
    found = replace(found, incidents=(replace(incident, owners=(owner,)),))
    alerts = Alerts(channels={"mail": email(to_owners=True)})
    assert list(targets(alerts, found, ())) == []
