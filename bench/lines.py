"""What benchmarks are to reach: the lines of docs/benchmarks.md's first table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.measured import Short, key_of

_NAMES = {"wall": "wall time", "cpu": "CPU", "memory": "memory"}
THOUSAND, HUNDRED = 1000, 100


@dataclass(frozen=True)
class Target:
    """At most so many times the other side's; of a value: at most, or at least, so much.

    Attributes:
        most: The number.
        measure: `wall`, `cpu` or `memory`; of a value: its name in the result.
        at_least: Whether more is better.
    """

    most: float
    measure: str = "wall"
    at_least: bool = False

    @property
    def text(self) -> str:
        """As the table has it."""
        if self.measure in _NAMES:
            return f"{self.most:g} {_NAMES[self.measure]}"
        unit = self.measure.rpartition(", ")[2]
        amount = f"{self.most * 1000:g} ms" if unit == "s" and self.most < 1 else None
        return f"{'at least ' * self.at_least}{amount or f'{self.most:g} {unit}'}"

    def holds(self, measured: float) -> bool:
        """Whether it is reached."""
        return measured >= self.most if self.at_least else measured <= self.most


@dataclass(frozen=True)
class Line:
    """A line.

    Attributes:
        about: What is done.
        against: What it is compared with.
        benchmark: Which one measures it.
        targets: All have to be reached.
        models: The size of the project, where there is one.
        side: Ours.
        other: The other side; of a value: not looked at.
    """

    about: str
    against: str
    benchmark: str
    targets: tuple[Target, ...]
    models: int | None = None
    side: str = "ours"
    other: str = "theirs"

    def result(self, results: Mapping[str, Short]) -> Short | None:
        """What was measured; None: nothing was, or not both sides."""
        found = results.get(key_of(self.benchmark, self.models))
        if found is None:
            return None
        if "values" in found:
            return found if all(t.measure in found["values"] for t in self.targets) else None
        return found if {self.side, self.other} <= found["sides"].keys() else None

    def measured(self, result: Short, measure: str) -> float:
        """A value's median, or our median by the other side's."""
        if "values" in result:
            return float(result["values"][measure][0])
        ours, theirs = (result["sides"][side][measure][0] for side in (self.side, self.other))
        return float(ours / theirs)

    def missed(self, result: Short) -> list[str]:
        """The targets that are not reached."""
        return [t.text for t in self.targets if not t.holds(self.measured(result, t.measure))]


def _wall(most: float) -> tuple[Target, ...]:
    return (Target(most),)


_FIRST = "first plan of 100 SQLMesh models, 100 audits"
_FIRST_PLAN = (Target(1.2), Target(1.5, "cpu"))
_BARE, _PLAN, _POOLS = "bare Dagster, equal specs", "`sqlmesh plan`", "Dagster's pools"

LINES = (
    Line("load 1,000 models", _BARE, "load-1000", _wall(1.0), THOUSAND),
    Line("load 1,000 models, 20 job groups, one job", _BARE, "load-job-groups", _wall(1.1),
         THOUSAND, "ours_shared", "theirs_shared"),
    Line("load 1,000 models, 20 job groups, a job each", "20 bare jobs", "load-job-groups",
         _wall(1.0), THOUSAND),
    Line("one due SQLMesh model of 1,000", "`sqlmesh run --select-model`", "one-of-1000",
         _wall(0.4), THOUSAND),
    Line("one due SQLMesh model of 1,000, launched with `warm: true`",
         "`sqlmesh run --select-model`", "warm-one-of-1000", _wall(0.2), THOUSAND),
    Line("one dbt model of 1,000", "`dbt run --select`", "dbt-one-of-1000", _wall(0.7), THOUSAND),
    Line("one dbt model of 1,000, launched with `warm: true`", "`dbt run --select`",
         "warm-dbt-one-of-1000", _wall(0.3), THOUSAND),
    Line("one dbt test of 1,000", "`dbt test --select`", "dbt-test-one-of-1000", _wall(0.7),
         THOUSAND),
    Line(f"{_FIRST}, DuckDB, the plan job", _PLAN, "first-plan-100", _FIRST_PLAN, HUNDRED),
    Line(f"{_FIRST}, DuckDB, all assets with `plan: auto`", _PLAN, "first-plan-100",
         _FIRST_PLAN, HUNDRED, "ours_assets"),
    Line(f"{_FIRST}, PostgreSQL, the plan job", _PLAN, "first-plan-100-postgres", _FIRST_PLAN,
         HUNDRED),
    Line(f"{_FIRST}, PostgreSQL, all assets with `plan: auto`", _PLAN, "first-plan-100-postgres",
         _FIRST_PLAN, HUNDRED, "ours_assets"),
    Line("100 dbt models, 100 tests", "`dbt build`", "dbt-build-100", _wall(0.95), HUNDRED),
    Line("1,000 SQLMesh models, 1,000 audits in one run", "`sqlmesh run`", "run-1000", _wall(1.1),
         THOUSAND),
    Line("1,000 dbt models in one run", "`dbt build`", "dbt-run-1000", _wall(1.1), THOUSAND),
    Line("300 dbt models, PostgreSQL, 8 threads: while models are built", "`dbt run`", "dbt-300",
         (Target(0.65), Target(1.2, "cpu")), 300),
    Line("200 audits of 0.5 s, 8 workers", "`sqlmesh audit`", "audits-200", _wall(0.133)),
    Line("200 audits of 0.5 s, 8 workers, launched with `warm: true`", "`sqlmesh audit`",
         "warm-audits-200", _wall(0.133)),
    Line("1,000 claims in one call, SQLite", "", "claims",
         (Target(0.010, "1,000 claims in one call, sqlite, s"),)),
    Line("1,000 claims in one call, PostgreSQL", "", "claims",
         (Target(0.040, "1,000 claims in one call, postgres, s"),)),
    Line("slots, 8 processes contending, SQLite", _POOLS, "claims",
         (Target(50, "slots, sqlite, times", at_least=True),)),
    Line("slots, 8 processes contending, PostgreSQL", _POOLS, "claims",
         (Target(30, "slots, postgres, times", at_least=True),)),
    *(
        Line(f"100 models, from a build's commit to its event: {framework} on {database}", "",
             "live-100", (Target(2, f"{name}, s"),))
        for framework, database, name in (
            ("SQLMesh", "DuckDB", "sqlmesh, duckdb"), ("dbt", "DuckDB", "dbt, duckdb"),
            ("SQLMesh", "PostgreSQL", "sqlmesh, postgres"), ("dbt", "PostgreSQL", "dbt, postgres"),
        )
    ),
    Line("job groups of 100,000 nodes", "", "job-groups", (Target(2, "100,000 nodes, s"),)),
    Line("a look of the sensor: 1,000 nodes, 50 runs under way", "", "ticks",
         (Target(0.2, "sensor, CPU s"),)),
)  # fmt: skip
MOST_MEMORY = 1.3
"""Times the other side's, in each line that has one."""
