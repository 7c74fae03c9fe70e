"""What happens in our op while a run goes on: options, events, resources."""

from __future__ import annotations
