"""Every error that this package raises on purpose.

One base class, so that callers can catch them all. The first line of a class's docstring is its
default message; the rest says when it is raised. Context lives in attributes, and the message that
a user reads always carries a cause and, where there is one, a remedy. No message carries a
password: `redact` is applied to text that comes from an engine or a URL.
"""

from __future__ import annotations

import re

# Up to the last @ of the word: a password that was not quoted for its URL may have @ and / in it.
_URL_PASSWORD = re.compile(r"(?P<head>[a-zA-Z][\w+.-]*://[^\s:/@]*:)\S+(?=@)")
_KEY_PASSWORD = re.compile(
    r"(?P<head>(?:password|passwd|pwd|\bpass|token|secret)\b['\"]?\s*[=:]\s*)"
    r"(?:'[^']*'|\"[^\"]*\"|[^\s,;)&}]+)",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """`text` with the passwords of URLs and of `password=...` pairs replaced by `***`."""
    return _KEY_PASSWORD.sub(r"\g<head>***", _URL_PASSWORD.sub(r"\g<head>***", text))


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
