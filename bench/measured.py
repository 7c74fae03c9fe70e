"""What was measured, in short: bench/measured.json, which docs/benchmarks.md is written from.

A result in it is replaced by a newer one of the same benchmark and size, and by nothing else.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.measure import MEASURES

FILE = Path(__file__).resolve().parent / "measured.json"
Short = dict[str, Any]
"""A result: when, how often, on what; and sides or values, each with median, least and most."""


def key_of(benchmark: str, models: int | None = None) -> str:
    """What a result is found by: of a project, its number of models is a part of it."""
    return f"{benchmark} {models}" if models else benchmark


def read(file: Path) -> dict[str, Short]:
    """All results, by `key_of`; none where there is no file."""
    if not file.exists():
        return {}
    found: dict[str, Short] = json.loads(file.read_bytes())
    return found


def write(results: Mapping[str, Short], file: Path) -> None:
    """Keep results."""
    text = json.dumps(results, indent=1) + "\n"
    file.write_text(text, encoding="utf-8")


def merge(
    kept: Mapping[str, Short], results: Iterable[Mapping[str, Any]], say: Callable[[str], None]
) -> dict[str, Short]:
    """What is kept, and newer results in the place of older ones; sorted by key.

    Args:
        kept: By `key_of`.
        results: As benchmarks write them, in any order.
        say: Told of each that is left out because it was an attempt.
    """
    found = dict(kept)
    for result in sorted(results, key=lambda result: result["began"]):
        if "trial" not in result:
            continue  # of a version whose results have not all that is shown
        if result["trial"]:
            say(f"{result['benchmark']} of {result['began']} is left out: {result['trial']}")
            continue
        short = _short(result)
        key = key_of(short["benchmark"], short["models"])
        if key not in found or found[key]["began"] <= short["began"]:
            found[key] = short
    return dict(sorted(found.items()))


def _short(result: Mapping[str, Any]) -> Short:
    machine = result["machine"]
    found: Short = {
        "benchmark": result["benchmark"],
        "about": result["about"],
        "models": result.get("facts", {}).get("models"),
        "began": result["began"],
        "load": [round(machine["load_before"], 2), round(machine["load_after"], 2)],
        "machine": {k: machine[k] for k in ("cores", "cpu", "system")},
        "versions": result["versions"],
    }
    if "sides" not in result:
        return found | {"values": _VALUES[result["benchmark"]](result)}
    runs = result["runs"]
    first = next(iter(runs))
    return found | {
        "runs": len(runs[first]),
        "sides": {
            name: {
                "label": result["sides"][name]["label"],
                "versions": result["sides"][name]["versions"],
                **{measure: _three([r[k] for r in of_side]) for measure, k in MEASURES.items()},
                "walls": [r["wall"] for r in of_side],
                **{k: of_side[-1][k] for k in ("events", "materialised", "checks")
                   if k in of_side[-1]},
            }
            for name, of_side in runs.items()
        },
    }  # fmt: skip


def _three(values: Sequence[float]) -> list[float]:
    return [round(v, 4) for v in (statistics.median(values), min(values), max(values))]


def _of_claims(result: Mapping[str, Any]) -> dict[str, list[float]]:
    found = {}
    for kind, store in result["stores"].items():
        found[f"1,000 claims in one call, {kind}, s"] = _three(store["one_call"]["claim"])
        if ratio := store.get("ratio"):
            found[f"slots, {kind}, times"] = [ratio[k] for k in ("median", "min", "max")]
    return found


def _of_job_groups(result: Mapping[str, Any]) -> dict[str, list[float]]:
    """Of each size, the shape that takes longest."""
    found: dict[str, list[float]] = {}
    for graph in result["graphs"]:
        name, three = f"{graph['nodes']:,} nodes, s", _three(graph["seconds"]["afresh"])
        found[name] = max(found.get(name, three), three)
    return found


def _of_ticks(result: Mapping[str, Any]) -> dict[str, list[float]]:
    """Without the first of each, which makes what is made once."""
    return {f"{name}, CPU s": _three(then) for name, (_, *then) in result["seconds"].items()}


def _of_live(result: Mapping[str, Any]) -> dict[str, list[float]]:
    """The longest of each run."""
    return {
        f"{name}, s": _three([max(lags) for lags in runs])
        for name, runs in result["seconds"].items()
    }


_VALUES: Mapping[str, Callable[[Mapping[str, Any]], dict[str, list[float]]]] = {
    "claims": _of_claims,
    "job-groups": _of_job_groups,
    "live-100": _of_live,
    "ticks": _of_ticks,
}
