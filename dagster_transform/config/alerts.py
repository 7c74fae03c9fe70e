"""What transform.yaml says of alerts: who is told what, and where."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_core import PydanticCustomError

from dagster_transform.config.document import ConfigDocument, Where
from dagster_transform.config.fields import (
    Count,
    Labels,
    Model,
    OptionalText,
    Seconds,
    Text,
    Texts,
    http_url,
)

WEBSERVER_VARIABLE = "DAGSTER_WEBSERVER_URL"
AlertEvent = Literal["failure", "recovery", "checks", "waiting", "drift"]
_EVENTS: tuple[AlertEvent, ...] = ("failure", "recovery", "checks", "waiting", "drift")
_A_VARIABLE = re.compile(r"(?<!\$)\$\{[A-Za-z_][A-Za-z0-9_]*(?::-)?\}")
_SECRET_HEADER = re.compile(r"auth|token|key|secret|cookie|signature", re.IGNORECASE)
_FROM_A_VARIABLE = "is secret: write it as an environment variable, ${NAME}"


def _none_if_empty(value: object) -> object:
    """Lets `${SLACK_WEBHOOK_URL:-}` mean that nobody is told here."""
    return None if value == "" else value


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _secret_http(value: SecretStr | None) -> SecretStr | None:
    http_url(value.get_secret_value() if value is not None else None)
    return value


def _one_line(value: str) -> str:
    if not value.isprintable():
        raise PydanticCustomError("one_line", "must be one line")
    return value


Secret = Annotated[
    SecretStr | None, BeforeValidator(_none_if_empty, json_schema_input_type=SecretStr | None)
]
SecretUrl = Annotated[Secret, AfterValidator(_secret_http)]
Address = Annotated[Text, AfterValidator(_one_line)]
Addresses = Annotated[Texts, AfterValidator(lambda found: tuple(map(_one_line, found)))]


class _Channel(Model):
    """What all channels have: what is told there, and how long it may take.

    Attributes:
        events: What is told: `failure`, `recovery`, `checks` (failed ones), `waiting` (for long),
            `drift` (files that differ from the environment, or from the job group file).
        severity: Which failed checks are told: `error`, or `warn`: those that are warnings, too.
        waiting_after: Seconds that a node waits, or is held by others, until it is told.
        projects: Only what is of one of these projects; empty: all. The same for the next three.
        job_groups: Only runs that the schedule of one of these job groups launched.
        owners: Only what one of these owns.
        tags: Only what has one of these tags.
        timeout: Seconds that one attempt may take.
        retries: How often it is tried again, after 1, 2, 4... seconds.
    """

    events: Annotated[
        tuple[AlertEvent, ...],
        BeforeValidator(_as_list, json_schema_input_type=list[AlertEvent] | AlertEvent),
    ] = _EVENTS
    severity: Literal["warn", "error"] = "error"
    waiting_after: Seconds = 3600.0
    projects: Texts = ()
    job_groups: Texts = ()
    owners: Texts = ()
    tags: Texts = ()
    timeout: Seconds = 10.0
    retries: Annotated[int, Field(ge=0, le=10)] = 2


class SlackChannel(_Channel):
    """A channel in Slack, through an incoming webhook.

    Attributes:
        url: The webhook's; None: nobody is told here.
    """

    type: Literal["slack"]
    url: SecretUrl = None


class WebhookChannel(_Channel):
    """Any server that takes JSON by POST.

    Attributes:
        url: Where; None: nobody is told here.
        headers: Further headers, such as `Authorization`.
    """

    type: Literal["webhook"]
    url: SecretUrl = None
    headers: Labels = Field(default_factory=dict, repr=False)


class EmailChannel(_Channel):
    """E-mail, over an SMTP server.

    Attributes:
        host: The server; None: nobody is told here.
        port: Its port.
        security: `starttls`, `tls` from the start, or `none`.
        user: As whom to log in; None: not at all.
        password: Of the user.
        sender: The address that messages come from.
        to: Who gets all of it.
        to_owners: Whether owners that are e-mail addresses get what they own.
    """

    type: Literal["email"]
    host: OptionalText = None
    port: Count = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: OptionalText = None
    password: Secret = None
    sender: Address
    to: Addresses = ()
    to_owners: bool = False


Channel = Annotated[SlackChannel | WebhookChannel | EmailChannel, Field(discriminator="type")]
ChannelName = Annotated[Text, AfterValidator(_one_line)]
CHANNELS: Mapping[str, type[Model]] = {
    "slack": SlackChannel,
    "webhook": WebhookChannel,
    "email": EmailChannel,
}


class Alerts(Model):
    """Who is told what became of runs.

    Attributes:
        webserver_url: Of Dagster's UI, for links to runs; None: what the environment variable
            DAGSTER_WEBSERVER_URL says; without either a message has the run's id alone.
        limit: Seconds that sending may take at the end of a run, over all channels;
            at most 240.
        channels: Where messages go, by name.
    """

    webserver_url: Annotated[OptionalText, AfterValidator(http_url)] = None
    limit: Annotated[Seconds, Field(le=240)] = 30.0  # whoever tells has five minutes
    channels: dict[ChannelName, Channel] = Field(default_factory=dict)


def report_written_secrets(document: ConfigDocument, alerts: Alerts) -> None:
    """Reports secrets that are written in the file itself: it lies in a repository."""
    for where in _secrets(alerts):
        written = document.written.get(where)
        if written and not _A_VARIABLE.search(written):
            document.report(where, _FROM_A_VARIABLE)


def _secrets(alerts: Alerts) -> Iterator[Where]:
    for name, channel in alerts.channels.items():
        at: Where = ("alerts", "channels", name)
        if not isinstance(channel, EmailChannel):
            yield (*at, "url")
        else:
            yield (*at, "password")
        if isinstance(channel, WebhookChannel):
            yield from ((*at, "headers", h) for h in channel.headers if _SECRET_HEADER.search(h))
