"""How a run claims: as whom, how long it waits, and what its units take of what is counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dagster_transform.claims import Owner, Timing
from dagster_transform.config import TransformConfig
from dagster_transform.graph import Graph, UnitId
from dagster_transform.planning import Slot, connection_slot, slots_of


@dataclass(frozen=True, slots=True)
class ClaimPolicy:
    """How a run claims.

    Attributes:
        owner: As whom.
        skip: Whether tables that others hold are left out; else they are waited for.
        wait: Seconds to wait, at most.
        slots: What a unit takes of what is counted, by its id.
    """

    owner: Owner
    skip: bool
    wait: float
    slots: Mapping[UnitId, tuple[Slot, ...]] = field(default_factory=dict)


def slots_by_unit(graph: Graph, config: TransformConfig) -> dict[UnitId, tuple[Slot, ...]]:
    """What building each node and running each check takes of concurrency tags and connections.

    Raises:
        SlotError: A node asks for concurrency tags in a way that can't be.
    """
    slots: dict[UnitId, tuple[Slot, ...]] = {
        node.id: found
        for node in graph.nodes.values()
        if (found := slots_of(node, config.tags, config.connections))
    }
    for check in graph.checks.values() if config.connections else ():
        judged = graph.node(check.target) or graph.source(check.target)
        if judged is not None and (
            slot := connection_slot(judged.relation, check.project, config.connections)
        ):
            slots[check.id] = (slot,)
    return slots


def timing_of(config: TransformConfig) -> Timing:
    """How long claims live.

    Raises:
        TimingError: The lease is shorter than four heartbeats.
    """
    heartbeat = config.claims_heartbeat
    return Timing(lease=config.claims_lease, heartbeat=heartbeat, poll=min(2.0, heartbeat))
