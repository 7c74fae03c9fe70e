"""What SQLMesh imports and sqlmesh/_compat_imports.py has it do without."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_PARSE = """
import json, sys
if sys.argv[1] == "later":
    from dagster_transform.sqlmesh._compat import import_sqlmesh
    import_sqlmesh()
import regex
from dateparser import timezone_parser
from dateparser.timezones import timezone_info_list
from dateparser.utils import get_timezone_from_tz_string
from sqlmesh.utils.date import to_datetime

def zone(text):
    try:
        return str(get_timezone_from_tz_string(text))
    except Exception as error:
        return type(error).__name__

def compiled():
    found = [info["regex"] for _, info in timezone_parser._tz_offsets]
    return sum(isinstance(each, regex.Pattern) or each._compiled is not None for each in found)

to_datetime("2024-01-31"), to_datetime("1 week ago")
at_first = compiled()
names = [zone[0] for info in timezone_info_list for zone in info["timezones"]]
names += ["", "Z", "Europe/Zurich", "estimate", "+5", "GMT+02:00", "utc-7", "nonsense"]
texts = [form.format(name) for name in names for form in ("12:00 {}", "{}", "x{}", "12 {}", "{} 1")]
found = [
    *(str(timezone_parser.pop_tz_offset_from_string(text)) for text in texts),
    *(timezone_parser.word_is_tz(text) for text in texts),
    *map(zone, names),
    str(to_datetime("2024-01-31 12:00 EST")),
]
print(json.dumps({
    "regex": regex.compile("a") == regex.compile("a") and type(regex.compile("a")).__name__,
    "patterns": len(timezone_parser._tz_offsets),
    "at_first": at_first,
    "found": found,
}))
"""


def _parsed(how: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", _PARSE, how], capture_output=True, text=True, check=True
    )
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_names_of_time_zones_are_read_as_ever_and_compiled_when_needed() -> None:
    later, at_once = _parsed("later"), _parsed("at_once")
    assert at_once["at_first"] == at_once["patterns"]
    assert later["at_first"] == 0
    for what in ("regex", "patterns", "found"):
        assert later[what] == at_once[what], what


_LOADER = """
import os, sys
os.environ.update({environment})
from dagster_transform.sqlmesh._compat import import_sqlmesh
import_sqlmesh()
from sqlmesh import Context
from sqlmesh.core.config import Config, DuckDBConnectionConfig, ModelDefaultsConfig
config = Config(
    default_connection=DuckDBConnectionConfig(),
    model_defaults=ModelDefaultsConfig(dialect="duckdb"),
)
context = Context(paths=["."], config=config, load=False)
opened = "pandas" in sys.modules
context.load()
print(opened, "pandas" in sys.modules, context.fetchdf("SELECT 1 AS one").one.sum())
"""


@pytest.mark.parametrize(
    ("environment", "found"),
    [({}, "False False 1"), ({"MAX_FORK_WORKERS": "2"}, "True True 1")],
    ids=["nothing is forked", "the user forks"],
)
def test_a_context_without_forks_needs_no_pandas(
    tmp_path: Path, environment: dict[str, str], found: str
) -> None:
    inherited = {k: v for k, v in os.environ.items() if k != "MAX_FORK_WORKERS"}
    done = subprocess.run(
        [sys.executable, "-c", _LOADER.format(environment=environment)],
        capture_output=True, text=True, check=True, cwd=tmp_path, env=inherited,
    )  # fmt: skip
    assert done.stdout.strip() == found
