"""A SQLMesh project on PostgreSQL with 200 audits of every sort, of half a second each.

The time is the server's: an audit's query has a `pg_sleep`, which PostgreSQL carries out once. The
project is planned on good data, and two of forty rows are spoilt afterwards: so blocking audits can
fail, and it is known which audits fail, and with how many rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

FIRST_DAY, LAST_DAY = "2024-01-01", "2024-01-31"
AUDITS = 200
DATABASE = "bench"
TASKS = 8
_SECONDS = 0.5
_ROWS = 40
_SLOW = f"(SELECT PG_SLEEP({_SECONDS})) IS NOT NULL"
_SPOIL = "SET label = 'strange', email = 'nobody', method = 'FETCH' WHERE id IN (7, 8)"
_COLUMNS = {
    "id": "INT", "day": "DATE", "amount": "DOUBLE PRECISION", "label": "TEXT", "email": "TEXT",
    "url": "TEXT", "uuid": "TEXT", "method": "TEXT", "low": "INT", "high": "INT",
}  # fmt: skip


@dataclass(frozen=True)
class Call:
    """An audit as something calls it.

    Attributes:
        audit: Its name.
        arguments: Without its condition.
        failures: How many rows it finds in the spoilt data; None: it is skipped.
        slow: Whether its condition sleeps; the queries of our own audits, and a view of ours, do by
            themselves.
    """

    audit: str
    arguments: str = ""
    failures: int | None = 0
    slow: bool = False

    @property
    def text(self) -> str:
        given = [self.arguments] * bool(self.arguments) + [f"condition := {_SLOW}"] * self.slow
        return f"{self.audit}({', '.join(given)})" if given else self.audit

    @property
    def pairs(self) -> dict[str, str]:
        """The arguments by name."""
        pairs = (one.split(":=") for one in _split(self.arguments) if one)
        return {name.strip(): value.strip() for name, value in pairs}

    def is_called(self, given: Mapping[str, str]) -> bool:
        """Whether these are its arguments; `blocking`, which is none of the audit's, left out."""
        pairs = {name: value for name, value in self.pairs.items() if name != "blocking"}
        return all(given.get(name) == value for name, value in pairs.items())


def _built_in(audit: str, arguments: str, failures: int = 0) -> Call:
    return Call(audit, arguments, failures, slow=True)


_LABELS = "column := label, is_in := ('even', 'odd')"
# All of SQLMesh's, but for the one that takes no condition, and for three whose queries PostgreSQL
# refuses: valid_email, kl_divergence, chi_square.
_BUILT_IN = (
    _built_in("not_null", "columns := (id, day)"),
    _built_in("unique_values", "columns := (id)"),
    _built_in("accepted_values", _LABELS, 2),
    _built_in("accepted_values_non_blocking", _LABELS, 2),
    _built_in("number_of_rows", "threshold := 5"),
    _built_in("number_of_rows", "threshold := 1000, blocking := false", 1),
    _built_in("forall", "criteria := (amount > 0, id > 0)"),
    _built_in("accepted_range", "column := amount, min_v := 1, max_v := 1000"),
    _built_in(
        "accepted_range", "column := id, max_v := 40, inclusive := false, blocking := false", 1
    ),
    _built_in("at_least_one", "column := amount"),
    _built_in("not_constant", "column := amount"),
    _built_in("not_empty_string", "column := label"),
    _built_in("not_null_proportion", "column := label, threshold := 0.9"),
    _built_in("not_accepted_values", "column := label, is_in := ('strange', 'void')", 2),
    _built_in("sequential_values", "column := id, interval := 1"),
    _built_in("unique_combination_of_columns", "columns := (id, day)"),
    _built_in("mutually_exclusive_ranges", "lower_bound_column := low, upper_bound_column := high"),
    _built_in("valid_uuid", "column := uuid"),
    _built_in("valid_url", "column := url"),
    _built_in("match_regex_pattern_list", "column := email, patterns := ('^user_', '@void$')", 2),
    _built_in("not_match_regex_pattern_list", "column := label, patterns := ('^str', '^void')", 2),
    _built_in("match_like_pattern_list", "column := url, patterns := ('http:%', 'https:%')"),
    _built_in("not_match_like_pattern_list", "column := email, patterns := ('no%', 'void%')", 2),
    _built_in("z_score", "column := amount, threshold := 3"),
    _built_in("string_length_between", "column := label, min_v := 3, max_v := 4", 2),
    _built_in("string_length_equal", "column := uuid, v := 36"),
    _built_in("stddev_in_range", "column := amount, min_v := 1, max_v := 1000"),
    _built_in("mean_in_range", "column := amount, min_v := 1, max_v := 1000"),
)
_AUDITS = {
    "rare_labels": f"""\
AUDIT (name rare_labels, defaults (least = 1));
SELECT label FROM @this_model WHERE {_SLOW} GROUP BY label HAVING COUNT(*) < @least
""",
    "outside_of_time": f"""\
AUDIT (name outside_of_time);
SELECT * FROM @this_model WHERE (day < @start_ds OR day > @end_ds) AND {_SLOW}
""",
    "not_in_source": f"""\
AUDIT (name not_in_source);
SELECT t.* FROM @this_model AS t LEFT JOIN raw.events AS e ON t.id = e.id
WHERE e.id IS NULL AND {_SLOW}
""",
    "too_much": f"""\
AUDIT (name too_much);
@DEF(most, 395);
SELECT * FROM @this_model WHERE amount > @most + @IF(@allowed, 5, 0) AND {_SLOW}
""",
    "of_one_label": f"""\
AUDIT (name of_one_label, blocking false);
JINJA_QUERY_BEGIN;
SELECT * FROM {{{{ this_model }}}}
WHERE {_SLOW} AND (
  {{% for one in ('strange', 'void') %}} label = '{{{{ one }}}}' OR {{% endfor %}} FALSE
)
JINJA_END;
""",
    "unfinished": "AUDIT (name unfinished, skip true);\nSELECT * FROM @this_model\n",
}
_OWN = (
    Call("rare_labels", "least := 2"),
    Call("rare_labels", "least := 3", 1),
    Call("not_in_source"),
    Call("too_much", "allowed := TRUE"),
    Call("too_much", "allowed := FALSE, blocking := false", 1),
    Call("of_one_label", failures=2),
    Call("of_one_label", "blocking := true", 2),
    Call("unfinished", failures=None),
)
_OF_SLEEPY = (
    Call("valid_http_method", "column := method", 2),
    Call("valid_http_method_non_blocking", "column := method", 2),
    Call("of_sleepy", failures=2),
    Call("unfinished", failures=None),
)
_OF_SOURCE = (
    _built_in("not_null", "columns := (id, day)"),
    _built_in("number_of_rows", "threshold := 5"),
    _built_in("accepted_values", _LABELS, 2),
    _built_in("unique_values_non_blocking", "columns := (id)"),
)
_TIME, _KEY = (
    "INCREMENTAL_BY_TIME_RANGE (time_column day)",
    "INCREMENTAL_BY_UNIQUE_KEY (unique_key id)",
)
_KINDS = {
    "kinds.full": "FULL", "kinds.by_time": _TIME, "kinds.by_key": _KEY, "kinds.view": "VIEW",
    "kinds.seed": "SEED (path '../seeds/events.csv')",
}  # fmt: skip
# What they read, and how many rows they find.
_STANDALONE = (
    ("SELECT * FROM kinds.full WHERE label = 'strange' AND {slow}", 2),
    ("SELECT * FROM kinds.by_time WHERE id IS NULL AND {slow}", 0),
    ("SELECT id FROM kinds.full JOIN kinds.by_key USING (id, label) WHERE id > 40 AND {slow}", 0),
    ("SELECT * FROM raw.events WHERE email = 'nobody' AND {slow}", 2),
    ("SELECT id FROM kinds.view WHERE {slow} GROUP BY id HAVING COUNT(*) > 1", 0),
)  # fmt: skip


def calls() -> dict[str, Sequence[Call]]:
    """All calls in SQLMesh's order, by the model that has them; "": standalone audits."""
    found: dict[str, Sequence[Call]] = dict.fromkeys(_KINDS, (*_BUILT_IN, *_OWN))
    # The run's time is known only to models that are built for a time.
    found["kinds.by_time"] = (*found["kinds.by_time"], Call("outside_of_time"))
    found["kinds.sleepy"] = _OF_SLEEPY
    found["raw.events"] = _OF_SOURCE
    carried_out = sum(call.failures is not None for of_one in found.values() for call in of_one)
    found[""] = [
        Call(f"alone_{number:02}", failures=_STANDALONE[number % len(_STANDALONE)][1])
        for number in range(AUDITS - carried_out)
    ] + [Call("alone_unfinished", failures=None)]
    return found


def project_files(connection: Mapping[str, object]) -> dict[str, str]:
    """The project's files by path.

    Args:
        connection: SQLMesh's connection.
    """
    config = {
        "gateways": {"local": {"connection": {"type": "postgres", **connection}}},
        "default_gateway": "local",
        "model_defaults": {"dialect": "postgres", "start": FIRST_DAY, "cron": "@daily"},
        "disable_anonymized_analytics": True,
    }
    found = {"config.yaml": json.dumps(config)}  # JSON is YAML
    found |= {f"audits/{name}.sql": text for name, text in _AUDITS.items()}
    found |= dict(_standalone_files())
    called = calls()
    for name, kind in _KINDS.items():
        found[f"models/{name.partition('.')[2]}.sql"] = _model(name, kind, called[name])
    found["models/sleepy.sql"] = (
        _model("kinds.sleepy", "VIEW", called["kinds.sleepy"], where=_SLOW)
        + ";\n\nAUDIT (name of_sleepy, blocking false);\n"
        + "SELECT * FROM @this_model WHERE id IN (7, 8)\n"
    )
    source = {
        "name": "raw.events",
        "columns": _COLUMNS,
        "audits": [_as_yaml(call) for call in called["raw.events"]],
    }
    found["external_models.yaml"] = json.dumps([source])
    lines = [",".join(_COLUMNS), *(",".join(row) for row in _rows())]
    found["seeds/events.csv"] = "\n".join(lines) + "\n"
    return found


def source_statements() -> Iterator[str]:
    """What makes the table that the models read."""
    yield "CREATE SCHEMA raw"
    columns = ", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())
    yield f"CREATE TABLE raw.events ({columns})"
    values = ", ".join("(" + ", ".join(f"'{value}'" for value in row) + ")" for row in _rows())
    yield f"INSERT INTO raw.events VALUES {values}"


def spoiling_statements() -> Iterator[str]:
    """What spoils two rows of everything, through the views that readers see."""
    for name in ("raw.events", *(name for name, kind in _KINDS.items() if kind != "VIEW")):
        yield f"UPDATE {name} {_SPOIL}"


def _rows() -> Iterator[list[str]]:
    for n in range(1, _ROWS + 1):
        yield [
            str(n), f"2024-01-{(n - 1) % 31 + 1:02}", str(n * 10.0), "odd" if n % 2 else "even",
            f"user_{n}@example.com", f"https://example.com/{n}",
            f"00000000-0000-4000-8000-{n:012}", "GET", str(n * 10), str(n * 10 + 9),
        ]  # fmt: skip


def _model(name: str, kind: str, called: Sequence[Call], where: str = "") -> str:
    audits = ",\n    ".join(call.text for call in called)
    columns = ", ".join(f"{column} {of}" for column, of in _COLUMNS.items())
    given = f"  columns ({columns}),\n" if kind.startswith("SEED") else f"  end '{LAST_DAY}',\n"
    text = f"MODEL (\n  name {name},\n  kind {kind},\n{given}  audits (\n    {audits}\n  )\n);\n"
    if kind.startswith("SEED"):
        return text
    conditions = [where] if where else []
    if kind == _TIME:
        conditions.append("day BETWEEN @start_ds AND @end_ds")
    chosen = ",\n  ".join(f"{column}::{of}" for column, of in _COLUMNS.items())
    text += f"\nSELECT\n  {chosen}\nFROM raw.events"
    return text + (f"\nWHERE {' AND '.join(conditions)}" if conditions else "")


def _standalone_files() -> Iterator[tuple[str, str]]:
    for number, call in enumerate(calls()[""]):
        query = _STANDALONE[number % len(_STANDALONE)][0].format(slow=_SLOW)
        skip = ", skip true" if call.failures is None else ""
        header = f"AUDIT (name {call.audit}, standalone true{skip});\n"
        yield f"audits/{call.audit}.sql", header + query + "\n"


def _as_yaml(call: Call) -> dict[str, str]:
    condition = {"condition": _SLOW} if call.slow else {}
    return {"name": call.audit, **condition, **call.pairs}


def _split(arguments: str) -> list[str]:
    """Arguments one by one: commas in brackets divide nothing."""
    found, depth = [""], 0
    for character in arguments:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and not depth:
            found.append("")
        else:
            found[-1] += character
    return found
