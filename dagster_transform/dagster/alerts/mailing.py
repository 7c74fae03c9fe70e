"""A message goes out as an e-mail."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from dagster_transform.config.alerts import EmailChannel
from dagster_transform.dagster.alerts.errors import AlertError
from dagster_transform.runs.alerts.messages import Message

_PERMANENT = 500
"""Codes of SMTP from here on say that the same thing will be refused again."""


def mail(channel: EmailChannel, to: Sequence[str], message: Message) -> None:
    """Send a message, in one attempt.

    Args:
        channel: The server and who writes.
        to: Addresses.
        message: What is said.

    Raises:
        AlertError: It was not taken.
    """
    host = channel.host or ""
    password = channel.password.get_secret_value() if channel.password is not None else ""
    secrets = [password] if password else []
    try:
        with _connected(channel, host) as server:
            if channel.user is not None:
                server.login(channel.user, password)
            refused = server.send_message(_email(channel, to, message))
        if refused:
            raise AlertError(
                f"{host} took the message, but not for {', '.join(sorted(refused))}.",
                remedy="Check these addresses.",
                sent=True,
            )
    except smtplib.SMTPAuthenticationError as error:
        raise AlertError(
            f"{host} refused the login: {error.smtp_code}.",
            remedy="Check `user`, and the environment variable that `password` comes from.",
        ) from None
    except smtplib.SMTPResponseException as error:
        text = error.smtp_error
        said = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        raise AlertError(
            f"{host} answered {error.smtp_code} {said}.",
            again=error.smtp_code < _PERMANENT,
            secrets=secrets,
        ) from None
    except smtplib.SMTPRecipientsRefused as error:
        raise AlertError(
            f"{host} refused all of {', '.join(sorted(error.recipients))}.",
            remedy="Check these addresses.",
        ) from None
    except (smtplib.SMTPException, OSError, ValueError) as error:
        raise AlertError(
            f"{host}:{channel.port} does not take it: {str(error) or type(error).__name__}.",
            remedy="Check `host`, `port` and `security`.",
            again=isinstance(error, OSError) and not isinstance(error, ssl.SSLError),
            secrets=secrets,
        ) from None


def _connected(channel: EmailChannel, host: str) -> smtplib.SMTP:
    if channel.security == "tls":
        return smtplib.SMTP_SSL(
            host, channel.port, timeout=channel.timeout, context=ssl.create_default_context()
        )
    server = smtplib.SMTP(host, channel.port, timeout=channel.timeout)
    if channel.security == "starttls":
        try:
            server.starttls(context=ssl.create_default_context())
        except BaseException:
            server.close()
            raise
    return server


def _email(channel: EmailChannel, to: Sequence[str], message: Message) -> EmailMessage:
    email = EmailMessage()
    email["Subject"] = " ".join(message.title.split())
    email["From"] = channel.sender
    email["To"] = ", ".join(to)
    email["Date"] = formatdate()
    email["Message-ID"] = make_msgid(domain="dagster-transform.invalid")
    email["Auto-Submitted"] = "auto-generated"  # no out-of-office answers
    email.set_content(message.as_text())
    return email
