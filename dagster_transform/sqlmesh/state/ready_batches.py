"""Which batches are ready to be built, as the signals say; one that raises an error fails its own
model and those that read it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlmesh.core.snapshot import snapshots_to_dag

from dagster_transform.databases.transient import chain
from dagster_transform.errors import with_class
from dagster_transform.graph import name_of_reference
from dagster_transform.sqlmesh import _compat_refusals
from dagster_transform.sqlmesh.errors import SignalError
from dagster_transform.sqlmesh.intervals import Interval
from dagster_transform.sqlmesh.state.evaluation import Evaluation

# How SQLMesh ends what it says of a signal that raises.
_SIGNAL = re.compile(r"'(?P<signal>\w+)' for '[^']*' at [^\n]*$")


@dataclass(frozen=True, slots=True)
class ReadyBatches:
    """What signals say.

    Attributes:
        batches: Batches that are ready, by fully qualified name; oldest first.
        errors: Why nothing can be said of a model, by fully qualified name: its signal raises an
            error, or that of a model upstream.
        culprits: The model whose signal that is, likewise.
    """

    batches: Mapping[str, list[Interval]]
    errors: Mapping[str, SignalError]
    culprits: Mapping[str, str]


def ready_batches(
    evaluation: Evaluation,
    intervals: Mapping[Any, Collection[Interval]],
    called: Callable[[str], str] = name_of_reference,
    *,
    restating: bool = False,
) -> ReadyBatches:
    """Ask the signals of all that may be built.

    Args:
        evaluation: With the snapshots of the models and of all their ancestors.
        intervals: What is to be built, by snapshot.
        called: What people call the node of a fully qualified name.
        restating: Whether signals get to know that this is a restatement.
    """
    scheduler = evaluation.scheduler
    dag = snapshots_to_dag(scheduler.snapshots.values())
    with _compat_refusals.signals_apart(scheduler) as raised:
        found = scheduler.batch_intervals(
            intervals,
            evaluation.deployability,
            evaluation.naming,
            dag=dag,
            is_restatement=restating,
        )
    culprits: dict[str, str] = {}
    for snapshot_id in dag if raised else ():
        name = snapshot_id.name
        parents = (
            scheduler.snapshots[snapshot_id].parents if snapshot_id in scheduler.snapshots else ()
        )
        above = [culprits[p.name] for p in parents if p.name in culprits]
        if name in raised or above:  # also one that is only passed through
            culprits[name] = name if name in raised else above[0]
    words = {n: _in_words(evaluation.by_name[n], called(n), error) for n, error in raised.items()}
    return ReadyBatches(
        batches={s.name: list(i) for s, i in found.items()},
        errors={name: words[culprit] for name, culprit in culprits.items()},
        culprits=culprits,
    )


def _in_words(snapshot: Any, name: str, error: BaseException) -> SignalError:
    named = _SIGNAL.search(str(error))
    signals = [named["signal"]] if named else [str(signal) for signal, _ in snapshot.model.signals]
    which = f"{'signal' if len(signals) == 1 else 'one of the signals'} {', '.join(signals)}"
    # SQLMesh's own errors around it have the signal's traceback in them.
    first = [link for link in chain(error) if type(link).__name__ != "SignalEvalError"]
    return SignalError(
        f"{which} of {name} raised {with_class(first[0] if first else error)}",
        remedy="Run again once what it asks can be asked; or correct the signal and apply a plan: "
        "a run asks it as the last plan stored it.",
        nodes=[name],
    )
