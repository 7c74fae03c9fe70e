"""Work of one unit that several threads take, part by part."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

_T = TypeVar("_T")


class SharedWork(Generic[_T]):
    """Parts that the thread of a unit does, with whoever helps it out.

    Args:
        parts: In the order in which they are begun.
        do_one: Does a part.
        failed: Called with an error, on the thread on which it happened, before that takes another
            part.
    """

    def __init__(
        self,
        parts: Iterable[_T],
        do_one: Callable[[_T], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._todo = deque(parts)
        self._do_one = do_one
        self._failed = failed
        self._busy = 0  # threads that do a part
        self._error: BaseException | None = None
        self._changed = threading.Condition()

    def __len__(self) -> int:
        """How many parts nobody has begun."""
        return len(self._todo)

    def do(self) -> None:
        """Do parts until there are none, then wait for those of the other threads.

        Raises:
            Exception: The first error of any thread.
        """
        self.help_out()
        with self._changed:
            self._changed.wait_for(lambda: not self._busy)
        if self._error is not None:
            raise self._error

    def help_out(self) -> None:
        """Do parts until there are none."""
        while taken := self._take():
            try:
                self._do_one(*taken)
            except BaseException as error:  # noqa: BLE001 - a Python model may call sys.exit
                self._failed(error)
                with self._changed:
                    self._error = self._error or error
            finally:
                with self._changed:
                    self._busy -= 1
                    self._changed.notify_all()

    def _take(self) -> tuple[_T, ...]:
        with self._changed:
            if not self._todo:
                return ()
            self._busy += 1
            return (self._todo.popleft(),)

    def leave_out_the_rest(self) -> None:
        """Begin no further part."""
        with self._changed:
            self._todo.clear()
