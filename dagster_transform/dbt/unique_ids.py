"""dbt's own ids, as a type: they are the `reference` of what the graph has under ids of ours."""

from __future__ import annotations

from typing import NewType

UniqueId = NewType("UniqueId", str)
"""Of a node, a test, a unit test or a source, as dbt's manifest has it: `model.shop.orders`."""
