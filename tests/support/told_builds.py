"""What a database has built against what Dagster was told of it: a pure comparison."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

MATERIALIZED, BACKFILLED, CHECKED = "materialized", "backfilled", "checked"


@dataclass(frozen=True, slots=True, order=True)
class Told:
    """An event of Dagster's.

    Attributes:
        at: When, in seconds since 1970.
        what: One of the three words above.
        about: The model; of a result, `model:check`.
        run: Id of the run, or its beginning.
        note: What else to print.
    """

    at: float
    what: str
    about: str
    run: str = ""
    note: str = ""

    def __str__(self) -> str:
        return f"{self.at:.3f} {self.what} {self.about} by run {self.run[:8]} {self.note}".rstrip()


@dataclass(frozen=True, slots=True)
class Asked:
    """How often a check has asked the database while a run went on."""

    run: str
    times: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Built:
    """When the database has built each model, in seconds since 1970.

    Attributes:
        sure: It was.
        maybe: A table was made, with rows or for those to come.
    """

    sure: Mapping[str, Sequence[float]]
    maybe: Mapping[str, Sequence[float]] = field(default_factory=dict)


def lies(builds: Built, told: Iterable[Told], asked: Iterable[Asked] = ()) -> list[str]:
    """What was built and not told, or told and not built.

    Args:
        builds: What the database has built.
        told: All events of all runs.
        asked: How often checks have run, where the database counts them.

    Returns:
        One sentence each, with the events around it.
    """
    events = sorted(told)
    by_subject: dict[tuple[str, str], list[Told]] = {}
    for event in events:
        by_subject.setdefault((event.what, event.about), []).append(event)
    found = []
    for model in sorted({*builds.sure, *(about for what, about in by_subject if what != CHECKED)}):
        built = sorted(builds.sure.get(model, ()))
        said = by_subject.get((MATERIALIZED, model), [])
        if built and (not said or said[-1].at < built[-1]):
            found.append(f"untold: {model} was built at {built[-1]:.3f}{_around(built, said)}")
        possible = sorted([*built, *builds.maybe.get(model, ())])
        for what in (MATERIALIZED, BACKFILLED):
            found += _false(what, possible, by_subject.get((what, model), []))
    for one in asked:
        for check, times in one.times.items():
            results = [e for e in by_subject.get((CHECKED, check), []) if e.run == one.run]
            if len(results) > times:
                found.append(
                    f"false: {len(results)} results of {check}, which ran {times} times in run "
                    f"{one.run[:8]}"
                )
    return found


def _false(what: str, built: Sequence[float], said: Sequence[Told]) -> list[str]:
    """Events that have no build of their own, after the event before them."""
    found, before = [], 0.0
    for event in said:
        if not any(before < moment <= event.at for moment in built):
            found.append(f"false: {event}: nothing was built since{_around(built, said)}")
        before = event.at
    return found


def _around(built: Sequence[float], said: Sequence[Told]) -> str:
    lines = [(moment, f"{moment:.3f} built") for moment in built[-4:]]
    lines += [(event.at, str(event)) for event in said[-4:]]
    return "".join(f"\n    {line}" for _, line in sorted(lines))


def not_judged(
    builds: Built, told: Iterable[Told], checks: Mapping[str, Iterable[str]]
) -> set[str]:
    """Checks without a result that is younger than what they judge: with a run that was killed
    their results were lost, or they had not run.

    Args:
        builds: What the database has built.
        told: All events of all runs.
        checks: The checks of each model, as `model:check`.
    """
    last = {event.about: event.at for event in sorted(told) if event.what == CHECKED}
    return {
        check
        for model, built in builds.sure.items()
        for check in checks.get(model, ())
        if last.get(check, 0.0) < max(built)
    }


def untold(builds: Built, told: Iterable[Told]) -> set[str]:
    """Models of which a build was not told yet, in whatever way: when a run is killed."""
    last: dict[str, float] = {}
    for event in told:
        if event.what != CHECKED:
            last[event.about] = max(event.at, last.get(event.about, 0.0))
    return {m for m, built in builds.sure.items() if max(built) > last.get(m, 0.0)}
