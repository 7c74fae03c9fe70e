from __future__ import annotations

from typing import Any

import pytest

from dagster_transform.config.crons import is_cron, is_time_zone


@pytest.mark.parametrize("text", ["0 6 * * 1-5", "*/5 * * * *", "@daily", "@weekly", "0 0 1 1 *"])
def test_crons(text: str) -> None:
    assert is_cron(text)


@pytest.mark.parametrize(
    "text", ["daily", "* * * *", "* * * * * *", "61 * * * *", "@never", "", None, 5]
)
def test_what_is_no_cron(text: Any) -> None:
    assert not is_cron(text)


def test_words_that_are_no_zone() -> None:
    assert is_time_zone("Europe/Zurich")
    assert not is_time_zone("../etc/passwd")
    assert not is_time_zone("")
    assert not is_time_zone(None)
