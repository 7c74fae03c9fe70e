"""The digest that identifies what a plan would do: its moment, and a hash of everything.

The moment is in it so that the same plan can be made again later: intervals end with it, not with
the clock.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from hashlib import sha256
from typing import Any

_DIGEST = re.compile(r"(?P<time>\d{8}T\d{6}Z)-[0-9a-f]{12}")
_TIME = "%Y%m%dT%H%M%SZ"


def make_digest(execution_time: int, content: Mapping[str, Any]) -> str:
    """The digest of a plan.

    Args:
        execution_time: Its moment, epoch milliseconds, whole seconds.
        content: All that it would do, as plain data.
    """
    text = json.dumps(content, sort_keys=True)
    return f"{moment(execution_time):{_TIME}}-{sha256(text.encode()).hexdigest()[:12]}"


def moment_of(digest: str) -> datetime:
    """The execution time, aware, of the plan that a digest identifies.

    Raises:
        ValueError: It is no digest.
    """
    found = _DIGEST.fullmatch(digest.strip())
    if found is None:
        raise ValueError(f"'{digest}' is no digest of a plan")
    return datetime.strptime(found["time"], _TIME).replace(tzinfo=timezone.utc)


def moment(execution_time: int) -> datetime:
    """Epoch milliseconds as a time in UTC."""
    return datetime.fromtimestamp(execution_time / 1000, tz=timezone.utc)
