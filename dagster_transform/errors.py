"""Every error that this package raises on purpose.

One base class, so that callers can catch them all. The first line of a class's docstring is its
default message; the rest says when it is raised. Context lives in attributes, and the message that
a user reads always carries a cause and, where there is one, a remedy. No message carries a
password: `redact` is applied to text that comes from an engine or a URL.
"""

from __future__ import annotations

import re
import traceback

_HEAD = r"(?P<head>[a-zA-Z][\w+.-]*://[^\s:/@]*:)"
# Up to the last @ of the word: a password that was not quoted for its URL may have @ and / in it.
_URL_PASSWORD = re.compile(rf"{_HEAD}\S+(?=@)")
# With blanks in it: not a port and a path, and an @ of something else behind them.
_URL_PASSWORD_WITH_BLANKS = re.compile(rf"{_HEAD}(?!\d+(?:[/\s]|$))[^\n/@]+(?=@)")
_QUOTED = r"'(?:[^']|'')*'|\"[^\"]*\""
_NAMES = (
    r"(?:password|passwd|passphrase|pwd|\bpass|token|secret|(?:api|access|account|secret)[_-]?key)"
)
_KEY_PASSWORD = re.compile(
    rf"(?P<head>{_NAMES}\b['\"]?\s*(?:[=:]>?|=>)\s*)(?:{_QUOTED}|[^\s,;)&}}]+)", re.IGNORECASE
)
# As statements have it: SECRET 'abc' of DuckDB, PASSWORD 'abc' of PostgreSQL, IDENTIFIED BY abc.
_SQL_PASSWORD = re.compile(
    rf"(?P<head>\b{_NAMES}\s+)(?:{_QUOTED})"
    rf"|(?P<by>\bidentified\s+by\s+(?:password\s+)?)(?:{_QUOTED}|[^\s,;)]+)",
    re.IGNORECASE,
)
_AUTHORIZATION = re.compile(
    r"(?P<head>\bbearer\s+|\bauthorization['\"]?\s*[=:]\s*['\"]?\w+\s+)[\w.~+/=-]{6,}",
    re.IGNORECASE,
)
_PRIVATE_KEY = re.compile(
    r"(?P<head>-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?:(?=-----END)|\Z)", re.DOTALL
)
_SECRETS = (_URL_PASSWORD, _URL_PASSWORD_WITH_BLANKS, _KEY_PASSWORD, _AUTHORIZATION, _PRIVATE_KEY)


_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def words_of(error: BaseException) -> str:
    """An error's message, without colours; of one that has none, its class and where it was raised
    ("AssertionError without a message, raised in plan.py, line 12: assert rows")."""
    if text := _COLOUR.sub("", str(error)).strip():
        return text
    return f"{type(error).__name__} without a message{_place(error)}"


def with_class(error: BaseException) -> str:
    """An error's class and its message: "ValueError: no such day"."""
    text, name = words_of(error), type(error).__name__
    return text if text.startswith(f"{name} without a message") else f"{name}: {text}"


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ""
    where = f", raised in {frames[-1].filename}, line {frames[-1].lineno}"
    return f"{where}: {frames[-1].line}" if frames[-1].line else where


def redact(text: str) -> str:
    """`text` with what is secret in it replaced by `***`.

    That is: passwords of URLs; the values of passwords, tokens, secrets and keys (`password=...`,
    `api_key: ...`, `AccountKey=...`); `SECRET '...'` and `IDENTIFIED BY ...` of statements; what
    an Authorization header has; private keys.
    """
    for secret in _SECRETS:
        text = secret.sub(r"\g<head>***", text)
    return _SQL_PASSWORD.sub(lambda found: f"{found['head'] or found['by']}***", text)


class TransformError(Exception):
    """Something went wrong in dagster-transform.

    Args:
        cause: What happened, in one sentence; the class's docstring where it is left out.
        remedy: What the user can do about it, as an instruction.
    """

    def __init__(self, cause: str | None = None, *, remedy: str | None = None) -> None:
        default = (type(self).__doc__ or "").strip().splitlines()[0]
        self.cause = redact(cause or default)
        self.remedy = redact(remedy) if remedy else None
        super().__init__(self.cause if not self.remedy else f"{self.cause}\n{self.remedy}")
