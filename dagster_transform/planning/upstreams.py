"""Which upstream of a node is due and not done. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from dagster_transform.graph import NodeId
from dagster_transform.planning.situation import (
    AssetPath,
    ReadAsset,
    ReadAssets,
    Scheduled,
    Situation,
    minute,
)


class Upstreams:
    """What nodes wait for, at one moment.

    Also what lies further up is waited for, behind nodes that are not due themselves: as in
    SQLMesh, where a run builds a node after all that is due above it, and where the data of those
    is not there yet, ours leaves the node out.

    Args:
        situation: What is known.
        scheduled: What nodes read.
        for_assets: Whether other assets of the code location are waited for.
    """

    def __init__(
        self, situation: Situation, scheduled: Scheduled, *, for_assets: bool = True
    ) -> None:
        self._situation = situation
        self._scheduled = scheduled
        self._for_assets = for_assets
        self._clear: set[tuple[NodeId, datetime]] = set()
        self._awaited: dict[tuple[NodeId, datetime], str] = {}

    def awaited(
        self,
        node: NodeId,
        tick: datetime,
        going: Collection[NodeId],
        postponed: Collection[NodeId] = (),
    ) -> str | None:
        """Which upstream of a node is due by a tick and not done, in words; None: none.

        Args:
            node: The node; those above it were asked about before.
            tick: The tick, aware. What became due after it is not waited for: of an upstream that
                is always being built, its readers would never go.
            going: What is launched in the same run, which has an order of its own.
            postponed: What of the same tick is not.
        """
        along, why = _above(node, tick, self._situation.read_assets)
        if why is None or not self._for_assets:
            reads = dict.fromkeys(self._scheduled.reads[node])
            for asset in along:
                reads.update(dict.fromkeys(asset.nodes))
            why = self._first(reads, tick, going, postponed)
        if why is not None:
            self._awaited[node, tick] = why
        return why

    def _first(
        self,
        nodes: Iterable[NodeId],
        tick: datetime,
        going: Collection[NodeId],
        postponed: Collection[NodeId],
    ) -> str | None:
        reads = self._scheduled.reads
        seen: set[NodeId] = set()
        left = [*reversed([*nodes])]
        while left:
            above = left.pop()
            if above in going or above in seen or (above, tick) in self._clear:
                continue
            seen.add(above)
            if above in postponed:
                return self._waits(above, tick)
            if (why := self._own(above, tick) or self._awaited.get((above, tick))) is not None:
                return why
            left += reversed(reads[above])
        self._clear |= {(above, tick) for above in seen}
        return None

    def _own(self, node: NodeId, tick: datetime) -> str | None:
        """Whether a node itself is due by a tick and not done, in words."""
        if (due := self._owed(node, tick)) is not None:
            return self._waits(node, due)
        for run in self._situation.under_way.get(node, ()):
            if run.tick is None or run.tick <= tick:
                return f"{self._waits(node, run.tick)}, which run {run.run_id} is to build"
        return None

    def _owed(self, node: NodeId, tick: datetime) -> datetime | None:
        """The first tick up to `tick` for which no run was launched that is to build a node."""
        found = [moment for moment in self._situation.pending.get(node, ()) if moment <= tick]
        until = self._situation.launched_until.get(self._scheduled.groups[node])
        if until is not None and until < tick:
            found += [*self._scheduled.crons[node].due(until, tick)][:1]
        return min(found, default=None)

    def _waits(self, node: NodeId, due: datetime | None) -> str:
        at = f", due at {minute(due)}" if due is not None else ""
        group = self._scheduled.groups[node]
        return f"waits for {self._scheduled.called(node)} of job group {group}{at}"


def along_with(ticks: Mapping[NodeId, datetime], read_assets: ReadAssets) -> tuple[AssetPath, ...]:
    """Other assets that a run materialises before nodes, by their keys' parts: those that go along
    and have not been materialised since a tick of a node below them.

    Args:
        ticks: By node of the run, the last tick that it is built for, aware.
        read_assets: By node, other assets that it reads.
    """
    found: dict[AssetPath, None] = {}
    for node, tick in ticks.items():
        along, _ = _above(node, tick, read_assets)
        found.update(dict.fromkeys(asset.key for asset in along))
    return tuple(found)


def _above(
    node: NodeId, tick: datetime, read_assets: ReadAssets
) -> tuple[list[ReadAsset], str | None]:
    """The other assets that go along with a node, and which one it has to wait for, in words."""
    along: dict[AssetPath, ReadAsset] = {}
    why: str | None = None
    left = [*reversed(read_assets.get(node, ()))]
    while left:
        asset = left.pop()
        # Above one that is there for the tick nothing is missing.
        if asset.key in along or (asset.built_at is not None and asset.built_at >= tick):
            continue
        if asset.made_by or not asset.goes_along:
            reason = asset.made_by or f"not materialised since {minute(tick)}"
            why = why or f"waits for {asset.name}, {reason}"
            continue
        along[asset.key] = asset
        left += reversed(asset.assets)
    return [*along.values()], why
