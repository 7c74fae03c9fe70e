"""The kinds and features that a week has, by name: for saying which one differs.

Each feature has the models that show it, and a question to SQLMesh's own week whose answer is yes
only if the feature made a difference there: a comparison of what does nothing would show nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timezone

from tests.support.week_project import CHANGE, Rows, State

LAST = 9


@dataclass(frozen=True)
class Week:
    """SQLMesh's own week, to ask it things."""

    states: Sequence[State]

    def rows(self, model: str, instant: int = LAST) -> Rows:
        return self.states[instant].tables[model]

    def column(self, model: str, index: int, instant: int = LAST) -> list[object]:
        return [row[index] for row in self.rows(model, instant)]

    def changed(self, model: str) -> list[int]:
        """The instants at which the table changed."""
        return [
            i for i in range(1, 10) if self.tables(i).get(model) != self.tables(i - 1).get(model)
        ]

    def tables(self, instant: int) -> dict[str, Rows]:
        return dict(self.states[instant].tables)

    def until(self, model: str, instant: int) -> int:
        """Day of March before which the model's intervals are complete, of all its versions."""
        found = self.states[instant].intervals[model].values()
        end = max(intervals[-1][1] for intervals in found)
        return datetime.fromtimestamp(end / 1000, tz=timezone.utc).day

    def renewed(self) -> set[str]:
        """The models that got another version with the second plan."""
        before, after = (self.states[i].versions for i in (CHANGE - 1, CHANGE))
        return {n for n in before if n in after and before[n][0] != after[n][0]}

    def ran(self, name: str) -> list[int]:
        """How many audits of a model ran at each instant."""
        return [sum(state.audits.get(name, {}).values()) for state in self.states]


@dataclass(frozen=True)
class Feature:
    """A kind or a feature; `shows`: whether it made a difference in SQLMesh's own week."""

    name: str
    models: tuple[str, ...]
    shows: Callable[[Week], bool]


DAILY = [3, 5, 6, 8, 9]
"""The instants at which what is daily is due."""

FEATURES = [
    Feature("FULL", ("mart.left",), lambda w: w.changed("mart.left") == DAILY),
    Feature("VIEW", ("stage.named",), lambda w: w.changed("stage.named") == DAILY),
    # SQLMesh's adapters of both engines make an ordinary view of it, and make it anew.
    Feature("VIEW, materialized", ("mart.seen",), lambda w: w.changed("mart.seen") == DAILY),
    Feature(
        "INCREMENTAL_BY_TIME_RANGE, lookback",
        ("stage.by_day",),
        # What comes late for March 4 is two days late at first, and too late later.
        lambda w: {1003, 2003, 1008} & set(w.column("stage.by_day", 0)) == {1003},
    ),
    Feature("batch_size", ("stage.by_day",), lambda w: w.ran("stage.by_day")[0] == 2 * 3),
    Feature(
        "batch_concurrency 2",
        ("stage.two_at_once",),
        lambda w: w.changed("stage.two_at_once") == DAILY,
    ),
    Feature(
        "batch_concurrency unlimited",
        ("stage.all_at_once", "mart.right"),
        lambda w: w.ran("mart.right")[0] == 4,
    ),
    Feature(
        "depends_on_past",
        ("mart.running",),
        lambda w: [n for _, n in sorted(w.rows("mart.running"))][:6] == [8, 16, 24, 32, 40, 49],
    ),
    Feature(
        "allow_partials",
        ("stage.partial",),
        lambda w: (
            date(2024, 3, 5) in w.column("stage.partial", 0, 0)
            and date(2024, 3, 5) not in w.column("stage.by_day", 2, 0)
            and 1 in w.changed("stage.partial")
        ),
    ),
    Feature(
        "forward_only, changed",
        ("stage.kept",),
        lambda w: (
            set(w.column("stage.kept", 1)) == {1, 2}
            and w.states[CHANGE].versions["stage.kept"][0] == w.states[0].versions["stage.kept"][0]
        ),
    ),
    Feature(
        "INCREMENTAL_BY_UNIQUE_KEY",
        ("mart.latest",),
        lambda w: len(w.rows("mart.latest")) == 3 and w.changed("mart.latest") == DAILY,
    ),
    Feature(
        "INCREMENTAL_BY_PARTITION", ("mart.parts",), lambda w: w.changed("mart.parts") == DAILY
    ),
    Feature("INCREMENTAL_UNMANAGED", ("mart.log",), lambda w: len(w.rows("mart.log")) == 6),
    Feature("SCD_TYPE_2_BY_TIME", ("mart.history",), lambda w: len(w.rows("mart.history")) > 6),
    Feature("SCD_TYPE_2_BY_COLUMN", ("mart.changes",), lambda w: len(w.rows("mart.changes")) > 6),
    Feature("SEED", ("ref.countries",), lambda w: len(w.rows("ref.countries")) == 3),
    Feature(
        "SEED, changed", ("ref.colours", "mart.coloured"), lambda w: "ref.colours" in w.renewed()
    ),
    Feature(
        "EMBEDDED", ("stage.filtered", "mart.filtered"), lambda w: len(w.rows("mart.filtered")) == 3
    ),
    Feature("EXTERNAL", ("src.events",), lambda w: w.states[0].kinds["src.events"] == "EXTERNAL"),
    Feature("CUSTOM", ("mart.custom",), lambda w: len(w.rows("mart.custom")) == 6),
    Feature("Python model", ("mart.py_days",), lambda w: w.changed("mart.py_days") == DAILY),
    Feature(
        "blueprints in SQL",
        ("mart.in_de", "mart.in_no"),
        lambda w: w.rows("mart.in_de") != w.rows("mart.in_no"),
    ),
    Feature(
        "blueprints in Python",
        ("mart.py_all", "mart.py_some"),
        lambda w: w.rows("mart.py_all") != w.rows("mart.py_some"),
    ),
    Feature(
        "signals",
        ("stage.signalled", "mart.after_signal"),
        lambda w: [w.until("mart.after_signal", i) for i in (0, 3, 4, 8, 9)] == [5, 5, 6, 9, 12],
    ),
    Feature(
        "auto-restatement of intervals",
        ("stage.restated", "mart.of_restated"),
        lambda w: (
            {1007, 2007} & set(w.column("stage.restated", 0)) == {1007}
            and w.states[1].turns != w.states[9].turns
        ),
    ),
    Feature(
        "auto-restatement of everything",
        ("mart.restated_whole",),
        lambda w: set(w.column("mart.restated_whole", 2)) == {"2024-03-01"},
    ),
    Feature(
        "start", ("stage.begins",), lambda w: min(w.column("stage.begins", 1)) == date(2024, 3, 4)
    ),
    Feature(
        "end",
        ("stage.ends",),
        lambda w: (
            max(w.column("stage.ends", 1)) == date(2024, 3, 6) and w.until("stage.ends", 9) == 7
        ),
    ),
    Feature(
        "cron @hourly", ("stage.by_hour", "mart.stamp"), lambda w: 2 not in w.changed("mart.stamp")
    ),
    Feature("cron @daily", ("mart.right",), lambda w: w.changed("mart.right") == DAILY),
    Feature("cron @weekly", ("mart.weekly",), lambda w: w.changed("mart.weekly") == [8]),
    Feature(
        "cron_tz, incremental",
        ("stage.pacific",),
        lambda w: [w.until("stage.pacific", i) for i in (3, 4)] == [5, 6],
    ),
    Feature("cron_tz, full", ("mart.tokyo",), lambda w: 4 in w.changed("mart.tokyo")),
    Feature(
        "standalone audits",
        ("totals_agree", "nothing_late"),
        lambda w: w.ran("nothing_late")[3] == 1,
    ),
    Feature(
        "blocking audit that fails",
        ("stage.strict", "mart.of_strict"),
        lambda w: w.until("stage.strict", 5) == 6 and 5 not in w.changed("mart.of_strict"),
    ),
    Feature(
        "model that fails",
        ("stage.fragile", "mart.of_fragile"),
        lambda w: w.until("stage.fragile", 5) == 6 and 5 not in w.changed("mart.of_fragile"),
    ),
    Feature(
        "audits that do not block",
        ("stage.named", "mart.right"),
        lambda w: w.ran("stage.named")[3] == 2,
    ),
    Feature("gateways", ("far.log", "far.days"), lambda w: w.changed("far.days") == DAILY),
    Feature(
        "two folders",
        ("second.report", "second.days"),
        lambda w: w.changed("second.report") == DAILY,
    ),
    Feature(
        "plan: breaking change",
        ("plan.breaking", "plan.below"),
        lambda w: not {"plan.breaking", "plan.below"} - w.renewed(),
    ),
    Feature(
        "plan: non-breaking change",
        ("plan.wider", "plan.below_wider"),
        lambda w: "plan.wider" in w.renewed() and "plan.below_wider" not in w.renewed(),
    ),
    Feature(
        "plan: metadata-only change",
        ("plan.described",),
        lambda w: "plan.described" not in w.renewed() and w.ran("plan.described")[CHANGE] == 2,
    ),
    Feature("plan: added model", ("plan.added",), lambda w: w.changed("plan.added") == [6, 8, 9]),
    Feature(
        "plan: removed model", ("plan.removed",), lambda w: "plan.removed" not in w.tables(CHANGE)
    ),
    Feature(
        "before_all and after_all",
        (),
        # Once in each run but that of instant 2, which has nothing to do.
        lambda w: (
            Counter(name for name, _ in w.states[LAST].hooks)
            == {"before_all": LAST, "after_all": LAST}
        ),
    ),
]


def unnamed(states: Sequence[State], kinds: Iterable[str]) -> set[str]:
    """Models and audits of a week that no feature names; and those of `kinds` that no feature
    begins its name with and shows with a model of that kind."""
    named = {model for feature in FEATURES for model in feature.models}
    there = {name for state in states for name in state.versions}
    shown = {
        kind
        for kind in kinds
        for feature in FEATURES
        if feature.name.split(",")[0] == kind and states[0].kinds[feature.models[0]] == kind
    }
    return (there - named) | (set(kinds) - shown)


def differences(theirs: Sequence[State], ours: Sequence[State]) -> list[str]:
    """What differs between two weeks, in words: by feature, model and instant."""
    found = []
    features: dict[str, list[str]] = {}
    for feature in FEATURES:
        for model in feature.models:
            features.setdefault(model, []).append(feature.name)
    for instant, (want, have) in enumerate(zip(theirs, ours, strict=True)):
        for what in ("tables", "versions", "intervals", "restatements", "turns", "audits"):
            wanted, got = getattr(want, what), getattr(have, what)
            for name in sorted(wanted.keys() | got.keys()):
                if wanted.get(name) != got.get(name):
                    called = ", ".join(features.get(name, ["nothing with a name"]))
                    found.append(
                        f"{called}: {what} of {name} after instant {instant}:\n"
                        f"  SQLMesh {wanted.get(name)}\n  ours    {got.get(name)}"
                    )
        if want.relations != have.relations:
            found.append(
                f"tables and views after instant {instant}: {want.relations ^ have.relations}"
            )
        if want.hooks != have.hooks:
            found.append(f"before_all and after_all, instant {instant}: {want.hooks}, {have.hooks}")
    return found
