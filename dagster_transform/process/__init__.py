"""What this process does about itself: its collector of garbage."""

from __future__ import annotations
