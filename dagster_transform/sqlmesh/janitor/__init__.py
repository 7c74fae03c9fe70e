"""The janitor: a sweep drops what has expired, and its report says what that was."""

from __future__ import annotations
