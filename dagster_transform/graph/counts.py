"""How many there are of something, in words."""

from __future__ import annotations


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 node`, `2 nodes`, `1,155 batches`.

    Args:
        number: How many.
        one: What one of them is called.
        many: What several are called, where that is not `one` and an s.
    """
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
