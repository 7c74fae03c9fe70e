"""When a pause ends, as people write it."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from dagster_transform.planning.pauses import PauseEndError, end_of_pause

NOW = datetime(2026, 1, 30, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("2h", "2026-01-30 14:00"),
        ("90m", "2026-01-30 13:30"),
        (" 1d 12h ", "2026-02-01 00:00"),
        ("1d2h3m", "2026-01-31 14:03"),
        ("2026-01-31", "2026-01-31 00:00"),
        ("2026-01-31T06:00+01:00", "2026-01-31 05:00"),
        ("2026-01-31T06:00:00Z", "2026-01-31 06:00"),
    ],
)
def test_a_duration_or_a_time(text: str, end: str) -> None:
    found = end_of_pause(text, NOW)
    assert f"{found:%Y-%m-%d %H:%M}" == end
    assert found.tzinfo is timezone.utc


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("soon", "no duration and no ISO 8601 time"),
        ("", "no duration"),
        ("2", "no duration"),
        ("2h later", "no duration"),
        ("0h", "is over"),
        ("2026-01-30T12:00", "is over"),
        ("999999999999d", "too long a time"),
    ],
)
def test_what_is_neither_or_over(text: str, message: str) -> None:
    with pytest.raises(PauseEndError, match=message):
        end_of_pause(text, NOW)
