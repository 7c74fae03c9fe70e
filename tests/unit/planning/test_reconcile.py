"""Which claims of runs that have ended are released."""

from __future__ import annotations

import pytest

from dagster_transform.planning import ResourceKey
from dagster_transform.planning.reconcile import HeldLease, reconcile


@pytest.mark.parametrize(
    ("expired", "builds", "ended", "released", "kept"),
    [
        (True, False, True, 1, 0),
        (False, False, True, 0, 1),  # its process may be alive
        (True, True, True, 0, 1),  # and so may its statement
        (False, True, True, 0, 1),
        (True, False, False, 0, 0),  # Dagster does not say that the run has ended
    ],
)
def test_what_is_released(
    *, expired: bool, builds: bool, ended: bool, released: int, kept: int
) -> None:
    lease = HeldLease("claim", ResourceKey("table:x/y"), "run1", expired, builds)
    found = reconcile([lease], {"run1"} if ended else {"run2"})
    assert (len(found.released), len(found.kept)) == (released, kept)
