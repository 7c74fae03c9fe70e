"""A message goes to Slack or to a webhook: one POST of JSON."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from dagster_transform.config.alerts import SlackChannel, WebhookChannel
from dagster_transform.dagster.alerts.errors import AlertError
from dagster_transform.runs.alerts.messages import Message

_TOO_MANY, _TIMEOUT, _SERVERS = 429, 408, 500
_SAID = 200
"""Characters of a server's answer that a warning shows."""


def post(channel: SlackChannel | WebhookChannel, message: Message) -> None:
    """Send a message, in one attempt.

    Raises:
        AlertError: It was not taken.
    """
    if channel.url is None:
        raise AlertError("The channel has no URL.")
    url = channel.url.get_secret_value()
    parts = urlsplit(url)
    secrets = [url, parts.path, parts.query, parts.password or ""]
    headers = {"Content-Type": "application/json", "User-Agent": "dagster-transform"}
    data: dict[str, Any]
    if isinstance(channel, SlackChannel):
        data = {"text": message.as_slack()}
    else:
        data = {"text": message.as_text(), **message.data}
        headers |= channel.headers
        secrets += channel.headers.values()
    server = f"{parts.scheme}://{parts.hostname}"
    try:
        request = urllib.request.Request(  # noqa: S310  # http and https: the configuration's rule
            url, json.dumps(data).encode(), headers, method="POST"
        )
        with _OPENER.open(request, timeout=channel.timeout):
            pass
    except urllib.error.HTTPError as error:
        with error:
            said = _said(error)
        again = error.code in (_TOO_MANY, _TIMEOUT) or error.code >= _SERVERS
        raise AlertError(
            f"{server} answered {error.code} {error.reason}{said}.",
            remedy=None if again else "Check its URL, and what it asks for.",
            again=again,
            secrets=secrets,
        ) from None
    except (OSError, http.client.HTTPException) as error:
        why = str(getattr(error, "reason", None) or error)
        raise AlertError(
            f"{server} can't be reached: {why or type(error).__name__}.",
            remedy="Check that it runs, and that this machine reaches it.",
            again=True,
            secrets=secrets,
        ) from None
    except ValueError:  # its text may be the URL or a header
        raise AlertError(
            "Its URL or a header has characters that HTTP does not allow.",
            remedy="Check the environment variables that they come from.",
        ) from None


def _said(error: urllib.error.HTTPError) -> str:
    try:
        text = error.read(_SAID).decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException):
        return ""
    return f": {' '.join(text.split())}" if text else ""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Another server would get what is meant for this one: its credentials, too."""

    def redirect_request(self, *_: object) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)
