"""Bare Dagster that stores what a run of ours has stored: the same specs, and an op that does
nothing but yield the same results with the same metadata, and log the same lines.

As a script it records the last run of a Dagster home, for the definitions that it writes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bench.measure import Side
from bench.project import ROOT, environment, run
from bench.stored import LINES, Stored, last_run, stored_of

FILE, RECORDED = "bare_run.py", "recorded.json"
# What the framework's user stores; all else Dagster adds by itself.
SORTS = ("ASSET_MATERIALIZATION", "ASSET_OBSERVATION", "ASSET_CHECK_EVALUATION")
_OWN_LINE = "did not yield or return expected outputs"
"""In a line that Dagster itself logs after the op."""
EQUAL = (*SORTS, LINES)
_DEFINITIONS = """

import json
from pathlib import Path

from dagster_shared.serdes import deserialize_value

RECORDED = Path(__file__).with_name("<recorded>")


@dg.multi_asset(
    name="transform",
    specs=list(transform.specs),
    check_specs=list(transform.check_specs),
    can_subset=True,
)
def replayed(context):
    for sort, yielded, value in json.loads(RECORDED.read_bytes()):
        if sort == "line":
            context.log.log(yielded, value)
            continue
        event = deserialize_value(value)
        if not yielded:
            context.log_event(event)
        elif isinstance(event, dg.AssetMaterialization):
            yield dg.MaterializeResult(asset_key=event.asset_key, metadata=event.metadata)
        else:
            yield dg.AssetCheckResult(
                asset_key=event.asset_key,
                check_name=event.check_name,
                passed=event.passed,
                severity=event.severity,
                metadata=event.metadata,
                description=event.description,
            )


defs = dg.Definitions(assets=[replayed], executor=dg.in_process_executor)
"""


def bare_side(ours: Path, runs: Path) -> Side:
    """A side that does in bare Dagster what the last run of ours has stored.

    Args:
        ours: The folder of our definitions.py.
        runs: The Dagster home of our runs; the bare side has its own, beside definitions.py.
    """
    home = ours / "bare_home"
    seen: list[Stored] = []

    def before() -> None:
        """Once, after our warm-up."""
        if seen:
            return
        home.mkdir(exist_ok=True)
        (home / "dagster.yaml").write_bytes((runs / "dagster.yaml").read_bytes())
        source, target = str(ours / "definitions.py"), str(ours / FILE)
        run([sys.executable, "-m", "bench.write_bare", source, target], ROOT)
        run([sys.executable, "-m", "bench.bare_run", str(runs), target], ROOT)
        seen.append(stored_of(runs, 0, ""))

    def verify(began: float, output: str) -> dict[str, Any]:
        stored, expected = stored_of(home, began, output), seen[0]
        if other := {sort: (stored.events.get(sort, 0), expected.events.get(sort, 0))
                     for sort in EQUAL
                     if stored.events.get(sort) != expected.events.get(sort)}:  # fmt: skip
            raise RuntimeError(f"Bare Dagster has stored something else than ours: {other}")
        return stored.facts()

    dagster = str(Path(sys.executable).with_name("dagster"))
    command = [dagster, "asset", "materialize", "--select", "*", "-f", FILE]
    return Side("bare", "bare Dagster, equal events", command, ours,
                environment(DAGSTER_HOME=str(home)), before, verify)  # fmt: skip


def recorded(entries: Iterable[Any]) -> Iterator[tuple[str, Any, str]]:
    """What an op has to do to store the same, in order: `line`, its level and text; or `event`,
    whether it is to be yielded as a result (else logged), and one of `SORTS`, serialised.

    Args:
        entries: All of a run's event log.
    """
    import dagster as dg

    entries = list(entries)
    events = [entry.dagster_event for entry in entries if entry.dagster_event]
    outputs = {
        event.step_output_data.output_name
        for event in events
        if event.event_type_value == "STEP_OUTPUT"
    }
    for entry in entries:
        event = entry.dagster_event
        if event is None:
            if _OWN_LINE not in entry.user_message:
                yield "line", entry.level, entry.user_message
            continue
        if event.event_type_value not in SORTS:
            continue
        name, value = "", None
        if event.event_type_value == "ASSET_MATERIALIZATION":
            value = event.step_materialization_data.materialization
            name = value.asset_key.to_python_identifier()
        elif event.event_type_value == "ASSET_OBSERVATION":
            value = event.asset_observation_data.asset_observation
        else:
            value = event.asset_check_evaluation_data
            spec = dg.AssetCheckSpec(value.check_name, asset=value.asset_key)
            name = spec.get_python_identifier()
        yield "event", name in outputs, dg.serialize_value(value)


def replaying(bare: str) -> str:
    """Bare definitions, as `bench.write_bare` writes them, with an op that does what is in the
    file `RECORDED` beside them."""
    return bare + _DEFINITIONS.replace("<recorded>", RECORDED)


def main() -> None:
    """Arguments: the home of the runs, and bare definitions that `bench.write_bare` has written."""
    import dagster as dg

    home, definitions = sys.argv[1], Path(sys.argv[2])
    with dg.DagsterInstance.from_config(home) as instance:
        events = list(recorded(instance.all_logs(last_run(instance, 0).run_id)))
    definitions.with_name(RECORDED).write_text(json.dumps(events), encoding="utf-8")
    definitions.write_text(replaying(definitions.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
