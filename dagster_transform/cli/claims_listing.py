"""What `claims list` shows: a table where it fits, else a few lines for each claim. Pure.

Resource keys and ids of runs are long, and one copies them: nothing is cut, and none of them is
broken over two lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import TextWrapper

from dagster_transform.claims import WHOLE, Holder, OwnerKind
from dagster_transform.planning import ResourceKey

_HEAD = ("node", "what", "weight", "held by", "since (UTC)", "until (UTC)", "why")
_GAP = "  "
_INDENT = "    "


def listing(holders: Sequence[Holder], names: Mapping[ResourceKey, str], width: int) -> str:
    """Who holds what.

    Args:
        holders: Who.
        names: What people call the nodes whose tables these are, by resource key.
        width: Characters that a line can have; a longer one has something that is not broken.
    """
    rows = [_HEAD, *(_row(holder, names) for holder in holders)]
    if not any(row[0] for row in rows[1:]):
        rows = [row[1:] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        _GAP.join(cell.ljust(wide) for cell, wide in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    if max(map(len, lines)) <= width:
        return "\n".join(lines)
    return "\n\n".join(_block(holder, names, width) for holder in holders)


def _row(holder: Holder, names: Mapping[ResourceKey, str]) -> tuple[str, ...]:
    return (
        names.get(holder.resource_key, ""),
        holder.resource_key,
        str(holder.weight),
        _who(holder),
        f"{holder.since:%Y-%m-%d %H:%M:%S}",
        _until(holder),
        holder.reason,
    )


def _block(holder: Holder, names: Mapping[ResourceKey, str], width: int) -> str:
    name, key = names.get(holder.resource_key), holder.resource_key
    lines = [name, f"{_INDENT}{key}"] if name else [key]
    weight = "" if holder.weight == WHOLE else f", weight {holder.weight}"
    why = f": {holder.reason}" if holder.reason else ""
    wrapper = TextWrapper(
        width, initial_indent=_INDENT, subsequent_indent=_INDENT,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    since = f"{holder.since:%Y-%m-%d %H:%M:%S}"
    lines += wrapper.wrap(f"{_who(holder)}{weight}{why}")
    lines += wrapper.wrap(f"since {since}, until {_until(holder)} (UTC)")
    return "\n".join(lines)


def _who(holder: Holder) -> str:
    if holder.owner_kind is OwnerKind.PERSON:
        return f"paused by {holder.run_id or 'somebody'}"
    return f"run {holder.run_id}"


def _until(holder: Holder) -> str:
    return f"{holder.expires_at:%Y-%m-%d %H:%M:%S}" if holder.expires_at else "resumed"
