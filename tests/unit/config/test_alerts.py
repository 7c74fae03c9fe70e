"""`alerts` of transform.yaml: what is wrong is said at its place; no secret is written there."""

from __future__ import annotations

import pytest

from dagster_transform.config import TransformConfig, load_config
from dagster_transform.config.alerts import EmailChannel, SlackChannel
from tests.support.config_files import errors, write

SECRET = "https://hooks.slack.com/services/T0/B0/very-secret"


def loaded(text: str) -> TransformConfig:
    write(text)
    return load_config()


def test_channels_have_their_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", SECRET)
    config = loaded("""
        projects: {}
        alerts:
          channels:
            team: {type: slack, url: "${HOOK}", events: failure, owners: [ada, bob]}
            post: {type: email, host: smtp.example.com, sender: d@example.com, to: a@example.com}
        """)
    team, post = config.alerts.channels["team"], config.alerts.channels["post"]
    assert isinstance(team, SlackChannel)
    assert team.url is not None
    assert team.url.get_secret_value() == SECRET
    assert (team.events, team.owners, team.severity) == (("failure",), ("ada", "bob"), "error")
    assert isinstance(post, EmailChannel)
    assert post.events == ("failure", "recovery", "checks", "waiting", "drift")
    assert (post.port, post.security, post.to) == (587, "starttls", ("a@example.com",))
    assert SECRET not in repr(config)


def test_a_variable_that_is_empty_switches_a_channel_off() -> None:
    channels = "{t: {type: slack, url: '${NOT_SET:-}'}}"
    config = loaded(f"projects: {{}}\nalerts: {{channels: {channels}}}")
    channel = config.alerts.channels["t"]
    assert isinstance(channel, SlackChannel)
    assert channel.url is None


@pytest.mark.parametrize(
    ("channel", "key"),
    [
        (f"type: slack, url: '{SECRET}'", "url"),
        ("type: webhook, url: 'https://example.com/$${HOOK}'", "url"),
        (f"type: webhook, url: '${{NOT_SET:-{SECRET}}}'", "url"),
        (
            "type: webhook, url: '${NOT_SET:-}', headers: {X-Api-Key: very-secret}",
            "headers.X-Api-Key",
        ),
        ("type: email, sender: d@e.com, password: very-secret", "password"),
    ],
)
def test_a_secret_that_is_written_in_the_file_is_refused(channel: str, key: str) -> None:
    found = errors(f"projects: {{}}\nalerts:\n  channels:\n    c: {{{channel}}}\n")
    (line,) = found
    place = f"alerts.channels.c.{key}"
    assert place in line
    assert "write it as an environment variable, ${NAME}" in line
    assert "very-secret" not in line


@pytest.mark.parametrize(
    ("channel", "message"),
    [
        ("type: pigeon", "c.type: must be 'slack' or 'webhook' or 'email'"),
        ("url: '${NOT_SET:-}'", "c.type: missing key"),
        ("type: slack, urll: x", "c.urll: unknown key; did you mean 'url'?"),
        ("type: slack, events: [broken]", "c.events[0]: must be 'failure', 'recovery'"),
        ("type: email, to: a@e.com", "c.sender: missing key"),
        ('type: email, sender: "a@e.com\\nBcc: b@e.com"', "c.sender: must be one line"),
        ("type: slack, timeout: 0", "c.timeout: must be greater than 0"),
    ],
)
def test_what_is_wrong_is_said_at_its_place(channel: str, message: str) -> None:
    (line,) = errors(f"projects: {{}}\nalerts:\n  channels:\n    c: {{{channel}}}\n")
    assert message in line


def test_a_url_that_is_none_is_said_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for url in (
        "ftp://very-secret/x",
        "very-secret",
        "http:///very-secret",
        "https://a\nb",
        "http://a/very-secret x",
    ):
        monkeypatch.setenv("HOOK", url)
        (line,) = errors("projects: {}\nalerts: {channels: {c: {type: slack, url: '${HOOK}'}}}\n")
        assert "c.url: must be a URL that begins with http:// or https://" in line
        assert "very-secret" not in line


def test_an_unknown_key_beside_the_channels_is_said_there() -> None:
    (line,) = errors("projects: {}\nalerts: {chanels: {}}\n")
    assert "alerts.chanels: unknown key; did you mean 'channels'?" in line
