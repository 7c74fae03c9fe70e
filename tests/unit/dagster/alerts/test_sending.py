"""Messages are sent to real servers, tried again, and given up in time; no error has a secret."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator

import pytest

from dagster_transform.config.alerts import Channel
from dagster_transform.dagster.alerts.sending import Letter, send_all
from dagster_transform.runs.alerts.messages import Message
from dagster_transform.runs.alerts.routing import Target
from tests.support.alert_servers import Inbox, http_server, smtp_server
from tests.support.alerting import RUN, email, slack, webhook

MESSAGE = Message(RUN, "nights: 1 failed", ("x failed: ä\u2028\n.\nno",), {"format": 1})
TOKEN = "tok-3141592653"


@pytest.fixture
def http() -> Iterator[Inbox]:
    with http_server() as inbox:
        yield inbox


def sent(channel: Channel, *to: str, limit: float = 20) -> str:
    """The error of sending; or ""."""
    (error,) = send_all([Letter(Target("t", channel, to), MESSAGE)], limit)
    return str(error or "")


def test_a_webhook_gets_json_with_its_headers(http: Inbox) -> None:
    channel = webhook(url=f"{http.url}/hook", headers={"Authorization": f"Bearer {TOKEN}"})
    assert sent(channel) == ""
    ((path, headers, data),) = http.posts
    assert (path, headers["Authorization"]) == ("/hook", f"Bearer {TOKEN}")
    assert headers["Content-Type"] == "application/json"
    assert data == {"format": 1, "text": MESSAGE.as_text()}


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_what_may_help_is_tried_again_and_slower_each_time(http: Inbox, status: int) -> None:
    http.answers = [status] * 2
    begin = time.monotonic()
    assert sent(slack(url=http.url)) == ""
    assert 3 <= time.monotonic() - begin < 15
    assert (http.attempts, len(http.posts)) == (3, 1)


def test_after_the_last_attempt_its_error_is_told(http: Inbox) -> None:
    http.answers = [503] * 9
    assert "answered 503 Service Unavailable" in sent(slack(url=http.url, retries=1))
    assert http.attempts == 2


@pytest.mark.parametrize("status", [400, 401, 404, 410])
def test_what_will_not_help_is_not_tried_again(http: Inbox, status: int) -> None:
    http.answers = [status] * 9
    channel = webhook(url=f"{http.url}/{TOKEN}", headers={"Authorization": f"Bearer {TOKEN}"})
    error = sent(channel)
    assert f"http://127.0.0.1 answered {status}" in error
    assert "answer to ***" in error, "the server has the path in its answer"
    assert "Check its URL" in error
    assert TOKEN not in error
    assert http.attempts == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_nothing_is_sent_to_where_a_server_redirects(http: Inbox, status: int) -> None:
    with http_server() as elsewhere:
        http.answers, http.location = [status], f"{elsewhere.url}/"
        assert f"answered {status}" in sent(webhook(url=http.url, headers={"X-Token": TOKEN}))
        assert elsewhere.attempts == 0


def test_a_server_that_is_not_there_is_told_with_what_to_do() -> None:
    with http_server() as inbox:
        port = inbox.port
    error = sent(slack(url=f"http://127.0.0.1:{port}/{TOKEN}", retries=0))
    assert "http://127.0.0.1 can't be reached: [Errno 111] Connection refused." in error
    assert "Check that it runs" in error
    assert TOKEN not in error


def test_a_header_that_http_does_not_allow_is_not_shown(http: Inbox) -> None:
    error = sent(webhook(url=http.url, headers={"Authorization": f"{TOKEN}\nX: y"}))
    assert "characters that HTTP does not allow" in error
    assert TOKEN not in error


def test_all_are_sent_side_by_side_and_one_that_hangs_is_given_up(http: Inbox) -> None:
    http.hangs = True
    with http_server() as other:
        letters = [
            Letter(Target(name, slack(url=url, timeout=60)), MESSAGE)
            for name, url in (("hangs", http.url), ("answers", other.url), ("too", http.url))
        ]
        begin = time.monotonic()
        errors = send_all(letters, 2)
        assert 1.9 < time.monotonic() - begin < 5
        assert errors[1] is None
        assert len(other.posts) == 1
    for error in (errors[0], errors[2]):
        assert "Not sent within 2 s." in str(error)


def test_one_attempt_ends_with_its_timeout(http: Inbox) -> None:
    http.hangs = True
    begin = time.monotonic()
    assert "timed out" in sent(slack(url=http.url, timeout=0.5, retries=0))
    assert time.monotonic() - begin < 5


def test_an_email_has_subject_sender_and_addresses() -> None:
    with smtp_server() as inbox:
        assert sent(email(port=inbox.port), "a@e.com", "b@e.com") == ""
        ((to, mail),) = inbox.mails
    assert to == ["a@e.com", "b@e.com"]
    assert (mail["From"], mail["To"]) == ("d@e.com", "a@e.com, b@e.com")
    assert mail["Subject"] == "nights: 1 failed"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert "x failed: ä" in mail.get_content()
    assert "https://d.example.com/runs/run-1" in mail.get_content()


def test_a_user_logs_in_with_the_password() -> None:
    seen: list[bytes] = []

    def login(given: str) -> bool:
        seen.append(base64.b64decode(given))
        return seen[-1].endswith(TOKEN.encode())

    with smtp_server(login=login) as inbox:
        assert sent(email(port=inbox.port, user="ada", password=TOKEN), "a@e.com") == ""
        error = sent(email(port=inbox.port, user="ada", password="wrong-one"), "a@e.com")
    assert seen[0] == f"\0ada\0{TOKEN}".encode()
    assert "127.0.0.1 refused the login: 535." in error
    assert "environment variable" in error
    assert "wrong-one" not in error
    assert len(inbox.mails) == 1


def test_addresses_that_are_refused_are_named() -> None:
    with smtp_server() as inbox:
        channel = email(port=inbox.port)
        addresses = ("nobody@e.com",), ("a@e.com", "nobody@e.com")
        letters = [Letter(Target("t", channel, to), MESSAGE) for to in addresses]
        to_none, to_one = send_all(letters, 20)
        assert "refused all of nobody@e.com" in str(to_none)
        assert to_none is not None
        assert not to_none.sent
        assert "not for nobody@e.com" in str(to_one)
        assert to_one is not None
        assert to_one.sent, "who has got it does not get it again"
        assert [to for to, _ in inbox.mails] == [["a@e.com"]]


def test_a_server_without_tls_gets_nothing_where_tls_is_asked_for() -> None:
    with smtp_server() as inbox:
        channel = email(port=inbox.port, security="starttls", retries=0, user="ada", password=TOKEN)
        error = sent(channel, "a@e.com")
        assert "STARTTLS" in error
        assert "Check `host`, `port` and `security`" in error
        channel = email(port=inbox.port, security="tls", retries=0)
        assert "Check `host`, `port` and `security`" in sent(channel, "a@e.com")
        assert inbox.mails == []
