"""How a project's files differ from what its environment has: what a plan would do, by name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Drift:
    """What applying the files to the environment would do; empty where both are equal.

    Names are as the framework's users write them, sorted. They are of everything that a plan
    handles, also of what is no node: an audit that stands alone, an embedded or external model.

    Attributes:
        new: In the files, not in the environment. No run builds it.
        changed: Its own definition differs.
        affected: Its definition is equal, but something that it reads differs.
        removed: Promoted in the environment, not in the files. No run builds it any more, and
            readers see what was built last.
        other: What differs besides, as sentences without an end mark.
    """

    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    affected: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    other: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any((self.new, self.changed, self.affected, self.removed, self.other))
