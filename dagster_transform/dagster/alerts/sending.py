"""Messages are sent side by side, tried again, and given up in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from dagster_transform.config.alerts import EmailChannel
from dagster_transform.dagster.alerts.errors import AlertError
from dagster_transform.dagster.alerts.mailing import mail
from dagster_transform.dagster.alerts.posting import post
from dagster_transform.runs.alerts.messages import Message
from dagster_transform.runs.alerts.routing import Target

_FIRST_DELAY = 1.0
"""Seconds before it is tried again; doubled each time."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message and who gets it."""

    target: Target
    message: Message


def send_all(letters: Sequence[Letter], limit: float) -> list[AlertError | None]:
    """Send messages, all at once.

    Args:
        letters: What to send.
        limit: Seconds after which those that are still under way are given up: a server may take
            a byte every few seconds, for ever.

    Returns:
        For each whether it could be sent: why not, or None.
    """
    end = time.monotonic() + limit
    found: list[AlertError | None] = [
        AlertError(
            f"Not sent within {limit:g} s.",
            remedy="Check that the server answers; `alerts: {limit: ...}` is how long a run waits.",
        )
        for _ in letters
    ]

    def send(index: int) -> None:
        found[index] = _attempts(letters[index], end)

    # Daemons: neither the run nor its process waits for what is given up.
    threads = [
        threading.Thread(target=send, args=(index,), name=f"alert-{index}", daemon=True)
        for index in range(len(letters))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return list(found)


def _attempts(letter: Letter, end: float) -> AlertError | None:
    delay = _FIRST_DELAY
    for left in range(letter.target.channel.retries, -1, -1):
        try:
            _once(letter)
        except AlertError as error:
            if not error.again or not left or time.monotonic() + delay >= end:
                return error
            time.sleep(delay)
            delay *= 2
        except Exception as error:  # noqa: BLE001  # a thread has nobody to raise it to
            return AlertError(f"{type(error).__name__}, which nobody expected.")
        else:
            return None
    return None


def _once(letter: Letter) -> None:
    target = letter.target
    if isinstance(target.channel, EmailChannel):
        mail(target.channel, target.to, letter.message)
    else:
        post(target.channel, letter.message)
