"""Names of job groups.

Dagster forgets whether a schedule is on when its name is no longer there. So a name is of a group,
not of what is in it: it is made up once, from the cadence, and stays from plan to plan.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from dagster_transform.planning.cron import Cron
from dagster_transform.planning.job_groups.grouping.drafts import Draft
from dagster_transform.planning.job_groups.values import JobGroupName, JobGroupSettings

_OTHER = re.compile(r"[^a-z0-9]+")
_EVERY = re.compile(r"every (\d+) (minutes|hours)")
_OF_MONTH = re.compile(r"[\d,\-/]+ [\d,\-/]+ [\dL]+ \* \*")
_OF_WEEK = re.compile(r"[\d,\-/]+ [\d,\-/]+ \* \* \d")
_OF_DAY = re.compile(r"[\d,\-/]+ \d+ \* \* \*")
_OF_YEAR = re.compile(r"\d+ \d+ \d+ \d+ \*")


@dataclass(frozen=True, slots=True)
class EarlierName:
    """A group of an earlier plan, as far as it concerns who gets its name.

    Attributes:
        name: Its name.
        cron: When it ticked.
        members: The numbers of its nodes that there still are.
    """

    name: JobGroupName
    cron: Cron
    members: tuple[int, ...]


def base_name(cron: Cron, apart: Sequence[str]) -> str:
    """The first name that a group of a cadence would get: `daily`, `finance_hourly`.

    Args:
        cron: When it ticks.
        apart: What keeps its nodes apart from others.
    """
    return "_".join(filter(None, (*map(_word_of, apart), _cadence(cron))))


def is_of_cadence(name: str, cron: Cron, apart: Sequence[str]) -> bool:
    """Whether a name is one that is made up for groups of a cadence."""
    return re.fullmatch(re.escape(base_name(cron, apart)) + r"(_\d+)?", name) is not None


def name_groups(
    drafts: Sequence[Draft], earlier: Sequence[EarlierName], settings: JobGroupSettings
) -> list[JobGroupName]:
    """A name for each group.

    Args:
        drafts: The groups, in the order of the plan.
        earlier: The groups of the earlier plan. A name that has no group any more goes to the one
            without a name that has most of its nodes; where no node of it is left, to one of the
            same cadence: a model may have been renamed.
        settings: Which names no group can have.
    """
    names = {place: draft.name for place, draft in enumerate(drafts) if draft.name is not None}
    place_of = {
        node: place
        for place, draft in enumerate(drafts)
        if draft.name is None
        for node in draft.members
    }
    used = set(names.values())
    shared = [
        (-count, number, place, group.name)
        for number, group in enumerate(earlier)
        if group.name not in used
        for place, count in Counter(
            place_of[member] for member in group.members if member in place_of
        ).items()
    ]
    for _, _, place, name in sorted(shared):
        if place not in names and name not in names.values():
            names[place] = name
    left = [group for group in earlier if not group.members and group.name not in names.values()]
    taken = {*names.values(), *(group.name for group in earlier)}
    for place, draft in enumerate(drafts):
        if place in names:
            continue
        deserted = next((group for group in left if group.cron == draft.cron), None)
        if deserted is not None:
            left.remove(deserted)
            names[place] = deserted.name
        else:
            names[place] = _unused(base_name(draft.cron, draft.apart), taken, settings)
            taken.add(names[place])
    return [names[place] for place in range(len(drafts))]


def _unused(base: str, taken: set[JobGroupName], settings: JobGroupSettings) -> JobGroupName:
    name, number = JobGroupName(base), 1
    while name in taken or settings.is_reserved(name):
        number += 1
        name = JobGroupName(f"{base}_{number}")
    return name


def _cadence(cron: Cron) -> str:
    """A word for how often a cron ticks; where there is none, `cron`."""
    words = cron.describe()
    if found := _EVERY.match(words):
        return f"every_{found[1]}_{found[2]}"
    if words.startswith("hourly"):
        return "hourly"
    for pattern, word in (
        (_OF_DAY, "daily"),
        (_OF_WEEK, "weekly"),
        (_OF_MONTH, "monthly"),
        (_OF_YEAR, "yearly"),
    ):
        if pattern.fullmatch(cron.text):
            return word
    return "cron"


def _word_of(value: str) -> str:
    """A value as a part of a name: of an e-mail address, what is before the @."""
    words = [_OTHER.sub("_", word.partition("@")[0].lower()).strip("_") for word in value.split()]
    word = "_".join(filter(None, words))
    return f"n{word}" if word[:1].isdigit() else word
