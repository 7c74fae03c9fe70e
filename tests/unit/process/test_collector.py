"""Each test in a process of its own: the collector is the process's.

Python 3.12 begins with some hundreds of objects out of the collector's sight, others with none.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# What programs leave open, in every way that a process's end treats differently.
LEAVES_OPEN = """
import gc, sys
from contextlib import nullcontext
from dagster_transform.process.collector import kept

folder, how = sys.argv[1:]

class Holder:
    def __init__(self, name):
        self.file = open(f"{folder}/{name}", "w")
        self.file.write("all of it")
        self.itself = self
    def method(self): ...

class Last:
    def __init__(self, name):
        self.name, self.itself = name, self
    def __del__(self):
        import json
        open(f"{folder}/{self.name}", "w").write(json.dumps("said"))

early = open(f"{folder}/early", "w")
early.write("all of it")
early_in_a_cycle = Holder("early_in_a_cycle")
Holder("early_garbage")
with kept("this") if how == "kept" else nullcontext():
    during = Holder("during")
late = open(f"{folder}/late", "w")
late.write("all of it")
late_in_a_cycle = Holder("late_in_a_cycle")
Holder("late_garbage")
Last("late_finaliser")
"""


def run(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout.strip()


def test_what_a_process_leaves_open_is_closed_as_always(tmp_path: Path) -> None:
    found: dict[str, dict[str, str]] = {}
    for how in ("kept", "plain"):
        (tmp_path / how).mkdir()
        run(LEAVES_OPEN, str(tmp_path / how), how)
        found[how] = {file.name: file.read_text() for file in (tmp_path / how).iterdir()}
    # Of garbage in a cycle Python itself may lose what its buffers hold.
    lost = {name: text for name, text in found["plain"].items() if found["kept"][name] != text}
    assert set(lost.values()) <= {""}
    assert found["kept"]["late"] == found["kept"]["late_in_a_cycle"] == "all of it"
    assert found["kept"]["early"] == "all of it"
    assert found["kept"]["early_in_a_cycle"] == "all of it"
    assert found["kept"]["late_finaliser"] == '"said"'


def test_the_collector_rests_and_does_not_see_what_was_made() -> None:
    assert (
        run("""
import gc
from dagster_transform.process.collector import kept
with kept("this"):
    inside = gc.isenabled()
    made = [[] for _ in range(1000)]
seen = any(o is made for o in gc.get_objects())
print(inside, gc.isenabled(), seen, gc.get_freeze_count() > 1000)
""")
        == "False True False True"
    )


def test_what_comes_later_is_collected() -> None:
    assert (
        run("""
import gc, weakref
from dagster_transform.process.collector import kept
class Node: ...
def garbage():
    node = Node()
    node.itself = node
    return weakref.ref(node)
with kept("this"): ...
count = gc.get_freeze_count()
with kept("this"):
    again = gc.isenabled()
    of_the_second = garbage()
later = garbage()
gc.collect()
print(again, of_the_second(), later(), gc.get_freeze_count() == count)
with kept("that"):
    more = [[] for _ in range(1000)]
print(gc.get_freeze_count() > count + 1000)
""")
        == "True None None True\nTrue"
    )


def test_an_error_keeps_nothing() -> None:
    assert (
        run("""
import gc
from dagster_transform.process.collector import kept
at_first = gc.get_freeze_count()
try:
    with kept("this"):
        raise ValueError
except ValueError:
    print(gc.isenabled(), gc.get_freeze_count() == at_first)
with kept("this"): ...
print(gc.isenabled(), gc.get_freeze_count() > at_first)
""")
        == "True True\nTrue True"
    )


def test_a_collector_that_is_off_stays_off() -> None:
    assert (
        run("""
import gc
from dagster_transform.process.collector import kept
gc.disable()
at_first = gc.get_freeze_count()
with kept("this"): ...
print(gc.isenabled(), gc.get_freeze_count() == at_first)
""")
        == "False True"
    )


BESIDE = """
import sys, threading, time, weakref
from dagster_transform.process.collector import kept

class Statement: ...

def keep():
    for number in range(60):
        with kept(str(number)):
            made.append([[] for _ in range(20_000)])
        time.sleep(0.0005)

made = []
sys.setswitchinterval(0.00001)
beside = threading.Thread(target=keep)
beside.start()
tries, held = 0, 0
while beside.is_alive():
    statement = Statement()
    reference = weakref.ref(statement)
    time.sleep(0.00001)  # the other thread goes on here, as while SQLite works
    del statement
    held += reference() is not None
    tries += 1
print(tries > 200, held)
"""


def test_what_another_thread_lets_go_of_meanwhile_is_gone_at_once() -> None:
    """A statement of SQLite's that lives on keeps its transaction from being committed: "cannot
    commit transaction - SQL statements in progress"."""
    assert run(BESIDE) == "True 0"


DEFINITIONS = """
import gc, sys
from pathlib import Path
at_first = gc.get_freeze_count()
from dagster_transform import build_transform_assets, load_config
from dagster_transform.graph import Graph, Node, Relation

Path("p").mkdir()
Path("transform.yaml").write_text("projects: {p: {framework: sqlmesh, path: p}}")
relation = Relation("duckdb:/w", "db", "s", "m")
node = Node("p:m", "p", "sqlmesh", '"db"."s"."m"', "s.m", kind="FULL", relation=relation)
config = load_config(Path.cwd())
before = gc.get_freeze_count()
build_transform_assets(Graph.of([node]), config)
print(before == at_first, gc.get_freeze_count() > 100_000, gc.isenabled(), "sqlmesh" in sys.modules)
"""


def test_definitions_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(DEFINITIONS) == "True True True False"
