"""`python -m bench --report`: put new results into bench/measured.json, and write the tables of
docs/benchmarks.md from it. No figure is on that page that is not in that file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from bench import measured
from bench.lines import LINES, MOST_MEMORY, Line
from bench.measured import Short
from bench.project import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- written by make bench ARGS=--report -->", "<!-- to here -->"
_COUNTED = (
    "dagster", "sqlmesh", "dbt-core", "dbt-duckdb", "dbt-postgres", "duckdb", "SQLAlchemy",
    "pydantic",
)  # fmt: skip


def report(folder: Path, say: Callable[[str], None]) -> None:
    """Take what benchmarks have written into a folder, and write the page.

    Args:
        folder: Of results; each is looked at, however old it is.
        say: Tells what is left out, what falls short, and what was written.
    """
    files = sorted(folder.glob("*.json"))
    results = [json.loads(file.read_bytes()) for file in files]
    found = measured.merge(measured.read(measured.FILE), results, say)
    measured.write(found, measured.FILE)
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")
    for line in LINES:
        result = line.result(found)
        if result is None:
            say(f"not measured: {line.about}")
        elif missed := line.missed(result):
            say(f"falls short of {' and '.join(missed)}: {line.about}")
    say(f"Written to {PAGE}, from {len(found)} results")


def with_tables(page: str, results: Mapping[str, Short]) -> str:
    """A page with the tables of these results between its marks.

    Raises:
        ValueError: It has not the marks.
    """
    before, after = page[: page.index(BEGIN)], page[page.index(END) :]
    return f"{before}{BEGIN}\n{tables(results)}{after}"


def tables(results: Mapping[str, Short]) -> str:
    """All that is known of results, and nothing of what was not measured."""
    if not results:
        return ""
    return "\n".join([*_machines(results), *_lines(results), *_details(results), ""])


def _machines(results: Mapping[str, Short]) -> Iterator[str]:
    machines = {
        f"{m['cpu'] or 'unknown CPU'}, {m['cores']} cores, {_system(m['system'])}"
        for m in (result["machine"] for result in results.values())
    }
    days = sorted(result["began"][:10] for result in results.values())
    yield ""
    yield (
        f"Measured from {days[0]} to {days[-1]}."
        if days[0] != days[-1]
        else f"Measured on {days[0]}."
    )
    yield "; ".join(sorted(machines)) + "."
    versions = [result["versions"] for result in results.values()]
    python = sorted({v["python"] for v in versions})
    of_each = (
        f"{name} {' and '.join(sorted({v[name] for v in versions if name in v}))}"
        for name in _COUNTED
        if any(name in v for v in versions)
    )
    yield f"Python {' and '.join(python)}, {', '.join(of_each)}."


def _system(platform: str) -> str:
    """`Linux 6.18` of `Linux-6.18.44-...`."""
    name, release, *_ = (*platform.split("-"), "")
    return " ".join([name, ".".join(release.split(".")[:2])]).strip()


def _lines(results: Mapping[str, Short]) -> Iterator[str]:
    found = [(line, result) for line in LINES if (result := line.result(results)) is not None]
    if not found:
        return
    yield ""
    yield "| line | against | target | measured | seconds | CPU | memory | holds |"
    yield "|---|---|---|---|---|---|---|---|"
    for line, result in found:
        missed = line.missed(result)
        cells = [
            line.about, line.against, ", ".join(t.text for t in line.targets),
            *(_value(line, result) if "values" in result else _ratios(line, result)),
            f"no: {', '.join(missed)}" if missed else "yes",
        ]  # fmt: skip
        yield f"| {' | '.join(cells)} |"
    yield ""
    yield from _memory(found)


def _ratios(line: Line, result: Short) -> list[str]:
    """Measured, seconds, CPU, memory."""
    seconds = " / ".join(_seconds(result["sides"][s]["wall"][0]) for s in (line.side, line.other))
    wall, *others = (f"{line.measured(result, m):.2f}" for m in ("wall", "cpu", "memory"))
    walls = (result["sides"][side]["walls"] for side in (line.side, line.other))
    pairs = [ours / theirs for ours, theirs in zip(*walls, strict=True)]
    return [f"{wall} ({min(pairs):.2f} to {max(pairs):.2f})", seconds, *others]


def _value(line: Line, result: Short) -> list[str]:
    names = [target.measure for target in line.targets]
    units = [name.rpartition(", ")[2] for name in names]
    texts = [
        f"{_number(median)} {unit} ({_number(least)} to {_number(most)})"
        for unit, (median, least, most) in zip(
            units, (result["values"][name] for name in names), strict=True
        )
    ]
    return [", ".join(texts), "", "", ""]


def _memory(found: list[tuple[Line, Short]]) -> Iterator[str]:
    """In one sentence: where it is more than it is to be."""
    of_each = {
        line.about: line.measured(result, "memory")
        for line, result in found
        if "values" not in result
    }
    if not of_each:
        return
    over = [f"{about} ({r:.2f})" for about, r in of_each.items() if r > MOST_MEMORY]
    yield f"Peak memory is to be at most {MOST_MEMORY} times the other side's: " + (
        f"more for {'; '.join(over)}." if over else "it is in each line."
    )


def _details(results: Mapping[str, Short]) -> Iterator[str]:
    for result in results.values():
        yield ""
        yield f"### {_title(result)}"
        yield ""
        load = f"load {result['load'][0]:.1f} before, {result['load'][1]:.1f} after"
        if "values" in result:
            yield f"{result['about']}. {result['began'][:10]}, {load}."
            yield ""
            yield "| | median | min to max |"
            yield "|---|---|---|"
            for name, (median, least, most) in result["values"].items():
                yield f"| {name} | {_number(median)} | {_number(least)} to {_number(most)} |"
            continue
        yield f"{result['about']}. {result['began'][:10]}, {result['runs']} runs of each, {load}."
        yield ""
        yield "| | median | min to max | times ours | CPU | memory | events stored |"
        yield "|---|---|---|---|---|---|---|"
        first = next(iter(result["sides"].values()))
        for side in result["sides"].values():
            wall = side["wall"]
            cells = (
                _label(side), _seconds(wall[0]),
                f"{wall[1]:.2f} to {_seconds(wall[2])}", f"{wall[0] / first['wall'][0]:.2f}",
                _seconds(side["cpu"][0]), f"{side['memory'][0]:.0f} MB",
                f"{side['events']:,}" if "events" in side else "",
            )  # fmt: skip
            yield f"| {' | '.join(cells)} |"


def _title(result: Short) -> str:
    models = result["models"]
    same = models is None or str(models) in result["benchmark"]
    return result["benchmark"] if same else f"{result['benchmark']}, {models:,} models"


def _label(side: Short) -> str:
    """A peer with its version."""
    version = side["versions"].get(side["label"])
    return f"{side['label']} {version}" if version else str(side["label"])


def _seconds(value: float) -> str:
    return f"{value:.2f} s"


def _number(value: float) -> str:
    return f"{value:.4f}" if value < 0.1 else f"{value:.2f}"
